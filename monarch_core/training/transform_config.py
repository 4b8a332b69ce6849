"""The transform of a run: the one line in which two compared runs differ."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.config_store import ConfigStore
from jaxtyping import Complex, Float
from omegaconf import MISSING, OmegaConf
from torch import Tensor

from monarch_core.runs.ranges import MOST, check_ranges, check_unread
from monarch_core.transforms import Dense, Fourier, LinearTransform, Monarch, PhasedFourier
from monarch_core.transforms.monarch import APPLICATIONS
from monarch_core.transforms.nonuniform import nonuniform_fourier
from monarch_core.transforms.starts import STARTS

# The options that each kind of transform has.
OPTIONS = {
    "fourier": (),
    "dense": ("axes", "heads", "learn"),
    "phases": ("axes", "learn"),
    "modes": ("axes", "learn"),
    "exact": ("axes", "learn"),
    "measured": ("axes", "learn"),
    "nudft": ("axes", "learn"),
    "monarch": ("axes", "heads", "learn", "start", "rank", "block_sizes", "apply"),
}
LEARN = ("both", "forward", "inverse", "none")
# What is made of the problem itself, and not of a start.
KNOWN = ("modes", "exact", "measured", "nudft")
CONTROL = "fft"  # what tables call the Fourier transform, and nothing else
RANGES = {"axes": (0, 2), "heads": (1, 1024), "rank": (1, 1024), "block_sizes": (1, MOST)}


@dataclass
class TransformConfig:
    """Which linear transform stands where the Fourier transform would.

    Attributes:
        name: word for tables.
        kind: fourier (the FFT itself, the control), monarch (learnable factors), dense (an
            unconstrained matrix, the ablation), phases (the FFT between two diagonals of learnable
            phases), modes (the normal modes of the problem, where they are known: what a transform
            could learn at best), exact (the transform by which the data came about, where it is
            known: likewise), measured (as much of it as a measurement tells) or nudft (the Fourier
            transform on uneven points).
        axes: all but fourier: numbers of the axes that it belongs to, such as [1] for the one
            across a channel; the others keep the DFT, fixed. null: all axes.
        heads: monarch, dense: learnable copies, each for its part of the channels.
        learn: all but fourier: which transforms learn: both, forward (to frequencies), inverse
            (from frequencies) or none.
        start: monarch: what the factors equal before learning: fourier, cosine, sine, hadamard,
            identity or random.
        rank: monarch: terms of the product; null is the rank of the start.
        block_sizes: monarch: (p, q) with p q = n; null is the most balanced pair.
        apply: monarch: factored, multiplied (out) or auto, the cheaper one.
    """

    name: str = MISSING
    kind: str = "monarch"
    axes: list[int] | None = None
    heads: int = 1
    learn: str = "both"
    start: str = "fourier"
    rank: int | None = None
    block_sizes: list[int] | None = None
    apply: str = "auto"

    def __post_init__(self) -> None:
        """Check every value, and that none is given that this kind does not read.

        Raises:
            ValueError: naming the key, its value and what would be accepted.
        """
        self._require("kind", self.kind in OPTIONS, f"one of {', '.join(OPTIONS)}")
        for key, known in (("learn", LEARN), ("start", STARTS), ("apply", APPLICATIONS)):
            self._require(key, getattr(self, key) in known, f"one of {', '.join(known)}")
        check_ranges(self, "transform", RANGES)
        two = self.block_sizes is None or len(self.block_sizes) == 2
        self._require("block_sizes", two, "null or two whole numbers")
        distinct = self.axes is None or (0 < len(self.axes) == len({*self.axes}))
        self._require("axes", distinct, "null or different numbers of axes, as in [1]")
        check_unread(self, "transform", OPTIONS[self.kind])
        if self.is_control != (self.name == CONTROL):
            raise ValueError(
                f"tables call the Fourier transform {CONTROL} and no other, got transform.name="
                f"{self.name} with transform.kind={self.kind}; use transform={CONTROL} for the "
                "control, or another name"
            )

    @property
    def is_control(self) -> bool:
        """Whether this is the FFT itself, which every other transform is compared with."""
        return self.kind == "fourier"

    def declares(self) -> dict[str, str | bool]:
        """Return what others may want to know of a transform, whatever its name is.

        Returns:
            `basis`, what it equals before learning; `control`, whether it is the one that all
            others are compared with; `learns`: both, forward, inverse or none.
        """
        return {
            "basis": self.kind if self.kind in KNOWN else self.start,
            "control": self.is_control,
            "learns": "none" if self.is_control else self.learn,
        }

    def basis_of(self, axis: int) -> str:
        """Return what the transform of an axis equals before learning."""
        return str(self.declares()["basis"]) if self._has(axis) else FIXED_DFT.start

    def _has(self, axis: int) -> bool:
        return self.axes is None or axis in self.axes

    def _require(self, key: str, is_valid: bool, remedy: str) -> None:
        if not is_valid:
            raise ValueError(f"transform.{key} must be {remedy}, got {getattr(self, key)!r}")


# An inverse leaves out what the forward transform keeps less than this share of: it is noise.
_LOST = 0.1

# What stands on the axes that a transform does not have.
FIXED_DFT = TransformConfig("monarch_frozen", learn="none")


def axis_transform(
    config: TransformConfig,
    n: int,
    *,
    axis: int = 0,
    inverse: bool = False,
    normal_modes: Callable[[int], Float[Tensor, "n n"]] | None = None,
    known: Callable[[str, int], Complex[Tensor, "*heads n n"]] | None = None,
    coordinates: Callable[[int], Float[np.ndarray, " n"]] | None = None,
    **options: Any,
) -> LinearTransform:
    """Return the transform of one axis: here the FFT becomes a Monarch.

    Args:
        config: which transform, and what of it learns.
        n: points of the axis.
        axis: its number; one that `config.axes` leaves out has the DFT, fixed.
        inverse: the transform from frequencies; otherwise the one to frequencies.
        normal_modes: returns those of the problem as orthonormal rows on n points, lowest first.
        known: returns the matrix to frequencies of the kind `exact` or `measured`, on n points.
        coordinates: returns where the n points lie in the unit interval; None where they are even.
        options: `norm`, `centered` and `modes`, as in `Fourier`.

    Raises:
        ValueError: the transform does not exist on n points, or the modes, the matrix or the points
            are not known.
    """
    if config.is_control:
        return Fourier(n, inverse=inverse, **options)
    if not config._has(axis):
        config = replace(FIXED_DFT, heads=config.heads)
    frozen = config.learn not in ("both", "inverse" if inverse else "forward")
    if config.kind == "modes":
        if normal_modes is None:
            raise ValueError(
                f"transform={config.name} takes the normal modes of the problem, which are not "
                f"known along axis {axis}; choose a data set that has them, such as wave_layered, "
                "the axes that have them, as in transform.axes=[1], or another transform"
            )
        kept = normal_modes(n)[list(options["modes"])]
        return Dense.from_matrix(kept.mT if inverse else kept, frozen=frozen)
    if config.kind in ("exact", "measured"):
        if known is None:
            raise ValueError(
                f"transform={config.name} takes the transform by which the data came about, which "
                f"is not known along axis {axis}; choose a data set that knows it, such as scans "
                "simulated with one scanner, or another transform"
            )
        A = known(config.kind, n)
        way = torch.linalg.pinv(A, rtol=_LOST) if inverse else A
        return Dense.from_matrix(way, frozen=frozen)
    if config.kind == "nudft":
        if coordinates is None:
            raise ValueError(
                f"transform={config.name} is for uneven points, and those along axis {axis} are "
                "even; choose a data set such as burgers_stretched, the axes whose points are not, "
                "as in transform.axes=[1], or transform=fft"
            )
        A, B = nonuniform_fourier(torch.from_numpy(coordinates(n)), options["modes"])
        return Dense.from_matrix(B if inverse else A, frozen=frozen)
    if config.kind == "phases":
        return PhasedFourier(n, inverse=inverse, frozen=frozen, **options)
    options |= {"inverse": inverse, "heads": config.heads, "frozen": frozen}
    if config.kind == "dense":
        return Dense(n, **options)
    return Monarch(
        n,
        start=config.start,
        rank=config.rank,
        block_sizes=config.block_sizes,
        apply=config.apply,
        **options,
    )


def offer_transforms(configs: Path) -> None:
    """Let hydra choose among the files in the folder `transform` of `configs`.

    Hydra looks for groups in one folder, that of the application; these belong to all of them. What
    is stored here goes with the run to any folder and into the processes of any launcher.
    """
    for path in sorted((configs / "transform").glob("*.yaml")):
        ConfigStore.instance().store(
            group="transform", name=path.stem, node=OmegaConf.load(path), provider=path.parent.name
        )
