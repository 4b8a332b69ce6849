"""Options of data of your own, whatever their problem."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from data_scripts.pde.readers import SPACE, ReadOptions
from pde.config.base import DatasetConfig
from pde.dataset.thinning import thin_own

SPLITS = ("train", "valid", "test")


@dataclass
class OwnConfig(DatasetConfig):
    """A file or folder of your own: what it holds, and what of that to learn from what.

    Nothing but `path` has to be said. Where an option is null, 0 or empty, what the file has is
    taken, else what is likely; `pde.understand` says it and writes it here, so that the
    config of a run is complete.

    Attributes:
        path: a .npy, .npz, .pt, .mat, HDF5 or netCDF file, or a folder of Zarr or The Well.
        key: name of the array of the evolving or, of a steady problem, predicted field; of several,
            with commas, each is a channel.
        input_key: name of the array of a static input field; several with commas.
        times_key: name of the array of the times of the frames.
        x_key: name of the array of the coordinates along x.
        y_key: along y.
        z_key: along z.
        parameters: names of the numbers per trajectory that are inputs, too; [] for none.
        axes: name of every axis of the array of `key` in the order of the file: trajectory, time,
            channel, x, y, z.
        spacing: distance of two points, per axis of space.
        times: time of every frame of the file.
        time_step: between two frames, where `times` does not say them; the first is then at 0.
        periodic: whether each axis of space is.
        channels: names of the fields to predict, in this order.
        units: of each.
        constants: names of the inputs that do not evolve.
        grid: points per axis that the model sees, of those that the file has; one number is for
            all axes.
        uneven: by name of the axis, where the points of the file lie if they are not even, in units
            of the length of the domain.
        window: frames of the pieces that every trajectory of the file is cut into, without overlap,
            each a trajectory of its own, in the order of their times; 0 for no cut.
        first_frame: which frame of the file is the first input (with a window, of its first piece),
            counted from 0.
        stride: frames of the file from one used frame to the next.
        n_input_frames: frames that the model sees; of a steady problem none.
        n_output_frames: frames that it predicts.
        fractions: of the trajectories, in train, valid and test, where the file has no splits.
        n_train: trajectories to learn from.
        n_valid: trajectories to choose by.
        n_test: trajectories to report on.

    Raises:
        ValueError: values are impossible; names all of them, and the remedies.
    """

    # Where the data are: free to change while their content stays.
    DATA_PLACES: ClassVar[tuple[str, ...]] = ("path",)

    name: str = "own"
    key: str | None = None
    input_key: str | None = None
    times_key: str | None = None
    x_key: str | None = None
    y_key: str | None = None
    z_key: str | None = None
    parameters: list[str] | None = None
    axes: list[str] | None = None
    spacing: list[float] | None = None
    times: list[float] | None = None
    time_step: float | None = None
    periodic: list[bool] = ()  # type: ignore[assignment]  # a factory would uncover the property
    channels: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    grid: list[int] = field(default_factory=list)
    uneven: dict[str, Any] = field(default_factory=dict)
    window: int = 0
    first_frame: int = 0
    stride: int = 1
    n_input_frames: int = 0
    n_output_frames: int = 0
    fractions: list[float] = field(default_factory=lambda: [0.8, 0.1, 0.1])
    n_train: int = 0
    n_valid: int = 0
    n_test: int = 0

    def __post_init__(self) -> None:
        """Raise one ValueError for all that is impossible whatever the file."""
        least = {
            "window": 0,
            "first_frame": 0,
            "stride": 1,
            "n_input_frames": 0,
            "n_output_frames": 0,
        }
        least |= {f"n_{split}": 0 for split in SPLITS}
        problems = [
            f"dataset.{key} must be at least {low}, got {getattr(self, key)}"
            for key, low in least.items()
            if getattr(self, key) < low
        ]
        if self.name != "own":
            problems.append(f"dataset.name must be own, got {self.name!r}")
        if any(n < 4 for n in self.grid):
            problems.append(f"dataset.grid must be at least 4 along every axis, got {self.grid}")
        if len(self.fractions) != 3 or min(self.fractions) <= 0 or sum(self.fractions) > 1 + 1e-9:
            problems.append(
                "dataset.fractions must be three positive numbers with a sum of at most 1, for "
                f"train, valid and test, got {self.fractions}"
            )
        lengths = {
            f"dataset.{key}={value}": len(value)
            for key in ("grid", "periodic", "spacing")
            if (value := getattr(self, key)) and not (key == "grid" and len(value) == 1)
        }
        if len({*lengths.values()}) > 1:
            problems.append(f"each axis needs one value in {' and '.join(lengths)}")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def is_understood(self) -> bool:
        """Whether what was not said has been written here."""
        return bool(self.periodic and self.grid and self.channels and self.n_output_frames)

    @property
    def read_options(self) -> ReadOptions:
        """What is said of the file."""
        return ReadOptions(
            key=self.key,
            input_key=self.input_key,
            parameters=self.parameters,
            axes=self.axes,
            spacing=self.spacing,
            periodic=self.periodic or None,
            times=self.times,
            time_step=self.time_step,
            times_key=self.times_key,
            point_keys={
                axis: key
                for axis, key in zip(SPACE, (self.x_key, self.y_key, self.z_key), strict=True)
                if key is not None
            },
            window=self.window,
            first_frame=self.first_frame,
        )

    @property
    def split_sizes(self) -> dict[str, int]:
        """Trajectories in each split."""
        return {split: getattr(self, f"n_{split}") for split in SPLITS}

    @property
    def points(self) -> tuple[int, ...]:
        """`grid`."""
        return tuple(self.grid)

    def points_of(self, grid: int) -> tuple[int, ...]:
        """Return the points per axis of a grid in the proportions of `grid`.

        Raises:
            ValueError: there is none with as many along the first axis.
        """
        scaled = [n * grid / self.grid[0] for n in self.grid]
        if any(n != int(n) for n in scaled):
            raise ValueError(
                f"a grid of {grid} points along the first axis has {scaled} in the proportions of "
                f"dataset.grid={self.grid}; choose one with whole numbers"
            )
        return tuple(map(int, scaled))

    @property
    def frames(self) -> slice:
        """Frames of a trajectory, or of a window, that are used: inputs first, then outputs."""
        n_used = self.n_input_frames + self.n_output_frames
        first = 0 if self.window else self.first_frame
        return slice(first, first + self.stride * (n_used - 1) + 1, self.stride)

    @property
    def evolves(self) -> bool:
        """Whether frames follow from frames; else the output follows from the constants."""
        return self.n_input_frames > 0

    @property
    def normalization(self) -> str:
        """Frames are one quantity; in a steady problem inputs and outputs are two."""
        return "field" if self.evolves else "role"

    @property
    def quantities(self) -> tuple[tuple[str, str], ...]:
        """The channels and their units."""
        return tuple(zip(self.channels, self.units or [""] * len(self.channels), strict=True))

    @property
    def n_constants(self) -> int:
        """Inputs that do not evolve."""
        return len(self.constants)

    def coordinates(self, axis: int) -> Callable[[int], Float[np.ndarray, " n"]] | None:
        """Return what gives the points of an axis on which they are not even."""
        points = self.uneven.get(SPACE[axis])
        if points is None:
            return None
        stored = np.asarray(points, dtype=np.float64)
        return lambda n: stored[thin_own(len(stored), n, periodic=self.periodic[axis])]

    def knows_period(self, axis: int) -> bool:
        """Whether points that are not even were stored with the first one again behind the last.

        `grid` leaves that one out.
        """
        points = self.uneven.get(SPACE[axis])
        return points is None or not self.periodic[axis] or len(points) % self.grid[axis] != 0

    def describe_frames(self, times: tuple[float, ...]) -> str:
        """Return what follows from what."""
        given = f" and {', '.join(self.constants)}" if self.constants else ""
        if not self.evolves:
            return f"from {', '.join(self.constants)} to {', '.join(self.channels)}"
        return (
            f"{self.n_input_frames} frames of {', '.join(self.channels)}{given} in, "
            f"{self.n_output_frames} out, times {times[0]:g} to {times[-1]:g}"
        )
