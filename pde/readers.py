"""Read trajectories from the file formats in which benchmark data are shared.

Every layout ends up as one array (trajectory, time, *grid) in float32:

    The Well        folder or HDF5 file with t0_fields/<name> (trajectory, time, x, y)
    PDEBench 1-D    HDF5 file with `tensor` (trajectory, time, x)
    PDEBench 2-D    HDF5 file with /0000/data, /0001/data, ... (time, x, y, channel)
    MATLAB v7.3     HDF5 file with `u`, axes reversed: (time, y, x, trajectory)
    MATLAB          classic file with `u` (trajectory, x, y, time)
"""

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from jaxtyping import Float

LAYOUTS = (
    "The Well (t0_fields), PDEBench (tensor, or 0000/data) and MATLAB (u, classic or v7.3) "
    "layouts are known"
)
_MATLAB_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    NotImplementedError,
    zlib.error,
    scipy.io.matlab.MatReadError,
)


@dataclass(frozen=True)
class Trajectories:
    """Trajectories in a file, read when asked for.

    Attributes:
        path: file or folder.
        layout: name of the layout, for messages.
        shape: (n_trajectories, n_times, *grid).
        times: time of every frame; 1, 2, ... where the file does not say.
        load: returns the trajectories and times of two slices, in any float type.
    """

    path: Path
    layout: str
    shape: tuple[int, ...]
    times: Float[np.ndarray, " time"]
    load: Callable[[slice, slice], np.ndarray]

    def read(
        self, trajectories: slice = slice(None), frames: slice = slice(None)
    ) -> Float[np.ndarray, "trajectory time *grid"]:
        """Return part of the data in float32.

        Raises:
            ValueError: the file is damaged, or what was asked for holds NaN or infinity.
        """
        try:
            values = np.ascontiguousarray(self.load(trajectories, frames), dtype=np.float32)
        except _MATLAB_ERRORS as error:
            raise _damaged(self.path, error) from error
        finite = np.isfinite(values).all(axis=tuple(range(2, values.ndim)))
        if not finite.all():
            bad = np.argwhere(~finite)
            trajectory, frame = bad[0]
            number = range(self.shape[0])[trajectories][trajectory]
            time = self.times[frames][frame]
            raise ValueError(
                f"{self.path} holds NaN or infinity, first in trajectory {number} at time "
                f"{time:g}; {len(np.unique(bad[:, 0]))} of {len(values)} trajectories are "
                "affected. Remove them or make the file again"
            )
        return values


def read_trajectories(
    path: str | Path,
) -> tuple[Float[np.ndarray, "trajectory time *grid"], Float[np.ndarray, " time"]]:
    """Return everything in a file or folder: the field in float32, and the times.

    Raises:
        ValueError: as `open_trajectories` and `Trajectories.read`.
    """
    source = open_trajectories(path)
    return source.read(), source.times


def open_trajectories(path: str | Path) -> Trajectories:
    """Find out the layout, shape and times of a file or folder without reading the field.

    Raises:
        ValueError: there is no such file, it is damaged, or its layout is unknown.
    """
    path = Path(path)
    if path.is_dir():
        return _open_well_folder(path)
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; check the path (relative ones start at {Path.cwd()})"
        )
    with path.open("rb") as file:
        header = file.read(128)
    if h5py.is_hdf5(path):
        try:
            with h5py.File(path) as file:
                return _open_hdf5(path, file, header)
        except OSError as error:
            raise _damaged(path, error) from error
    if header.startswith(b"MATLAB 5.0 MAT-file"):
        return _open_classic_matlab(path)
    raise ValueError(
        f"{path} ({path.stat().st_size} bytes) is neither HDF5 nor a MATLAB file, or its beginning "
        "is damaged; download or make it again"
    )


def is_well_folder(path: Path) -> bool:
    """Return whether a folder has The Well's splits."""
    return (path / "data" / "train").is_dir()


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is truncated or damaged ({' '.join(str(error).split())}); "
        "download or make it again"
    )


def _open_hdf5(path: Path, file: h5py.File, header: bytes) -> Trajectories:
    if "t0_fields" in file:
        return _open_well_file(path, file)
    if "tensor" in file:
        return _open_pdebench_1d(path, file)
    groups = sorted(name for name in file if name.isdigit() and f"{name}/data" in file)
    if groups:
        return _open_pdebench_2d(path, file, groups)
    if "u" in file:
        return _open_matlab_hdf5(path, file, header)
    raise ValueError(f"{path} holds {sorted(file)}, which is no known layout; {LAYOUTS}")


def _open_well_folder(path: Path) -> Trajectories:
    """Join all files of a folder: those of data/train, data/valid and data/test, in this order."""
    folders = [path / "data" / split for split in ("train", "valid", "test")]
    files = [
        file
        for folder in (folders if is_well_folder(path) else [path])
        for file in sorted(itertools.chain(folder.glob("*.hdf5"), folder.glob("*.h5")))
    ]
    if not files:
        raise ValueError(f"{path} holds no .hdf5 or .h5 file, neither in data/train nor directly")
    return _join(path, [open_trajectories(file) for file in files])


def _join(path: Path, parts: list[Trajectories]) -> Trajectories:
    first = parts[0]
    for part in parts[1:]:
        if part.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"the files of one folder must agree in frames and grid, got {first.shape[1:]} in "
                f"{first.path} and {part.shape[1:]} in {part.path}"
            )
    starts = np.cumsum([0, *(part.shape[0] for part in parts)])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        wanted = np.arange(starts[-1])[trajectories]
        pieces = []
        for part, start in zip(parts, starts, strict=False):
            inside = wanted[(wanted >= start) & (wanted < start + part.shape[0])] - start
            if len(inside):
                pieces.append(part.load(slice(None), frames)[inside])
        return np.concatenate(pieces)

    shape = (int(starts[-1]), *first.shape[1:])
    return Trajectories(path, first.layout, shape, first.times, load)


def _open_well_file(path: Path, file: h5py.File) -> Trajectories:
    names = sorted(file["t0_fields"])
    if "vorticity" in names:
        names = ["vorticity"]
    if len(names) != 1:
        raise ValueError(
            f"{path} must hold one scalar field or one named vorticity, got {names or 'none'}"
        )
    name = f"t0_fields/{names[0]}"
    field = file[name]
    for key in ("sample_varying", "time_varying"):
        if not field.attrs.get(key, False):
            raise ValueError(f"{path}: {name} must have {key}=True, as a trajectory has")
    times = np.asarray(file["dimensions/time"], dtype=np.float64).reshape(-1)
    if len(times) != field.shape[1]:
        raise ValueError(
            f"{path}: {name} has {field.shape[1]} frames but dimensions/time {len(times)} entries; "
            "time must be the same for all trajectories"
        )

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            return opened[name][trajectories, frames]

    return Trajectories(path, "The Well", field.shape, times, load)


def _open_pdebench_1d(path: Path, file: h5py.File) -> Trajectories:
    shape = file["tensor"].shape
    if len(shape) != 3:
        raise ValueError(
            f"{path}: tensor must have axes (trajectory, time, x), got shape {shape}; only the "
            "one-dimensional PDEBench files have such a tensor"
        )
    times = _times(file.get("t-coordinate"), shape[1])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            return opened["tensor"][trajectories, frames]

    return Trajectories(path, "PDEBench 1-D", shape, times, load)


def _open_pdebench_2d(path: Path, file: h5py.File, groups: list[str]) -> Trajectories:
    shapes = {file[group]["data"].shape for group in groups}
    if len(shapes) != 1:
        raise ValueError(f"{path}: all trajectories must have one shape, got {sorted(shapes)}")
    shape = shapes.pop()
    if len(shape) != 4 or shape[-1] != 1:
        raise ValueError(
            f"{path}: {groups[0]}/data must have axes (time, x, y, channel) with one channel, got "
            f"shape {shape}"
        )
    times = _times(file.get(f"{groups[0]}/grid/t"), shape[0])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            return np.stack(
                [opened[group]["data"][frames, ..., 0] for group in groups[trajectories]]
            )

    return Trajectories(path, "PDEBench 2-D", (len(groups), *shape[:3]), times, load)


def _open_matlab_hdf5(path: Path, file: h5py.File, header: bytes) -> Trajectories:
    u = file["u"]
    if not header.startswith(b"MATLAB 7.3 MAT-file") and "MATLAB_class" not in u.attrs:
        raise ValueError(
            f"{path} holds u but was not written by MATLAB, so the order of its axes is unknown; "
            f"{LAYOUTS}"
        )
    if u.ndim != 4:
        raise ValueError(
            f"{path}: u must have axes (trajectory, x, y, time), got shape {u.shape[::-1]}"
        )
    n_times, n_y, n_x, n_trajectories = u.shape

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        with h5py.File(path) as opened:
            reversed_axes = opened["u"][frames, :, :, trajectories]
        return reversed_axes.transpose(3, 0, 2, 1)

    shape = (n_trajectories, n_times, n_x, n_y)
    return Trajectories(path, "MATLAB v7.3", shape, _times(file.get("t"), n_times), load)


def _open_classic_matlab(path: Path) -> Trajectories:
    try:
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        t = scipy.io.loadmat(path, variable_names=["t"]).get("t")
    except _MATLAB_ERRORS as error:
        raise _damaged(path, error) from error
    if "u" not in shapes:
        raise ValueError(f"{path} holds {sorted(shapes)}, but no u; {LAYOUTS}")
    if len(shapes["u"]) != 4:
        raise ValueError(
            f"{path}: u must have axes (trajectory, x, y, time), got shape {shapes['u']}"
        )
    n_trajectories, n_x, n_y, n_times = shapes["u"]

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        u = scipy.io.loadmat(path, variable_names=["u"])["u"]
        return np.moveaxis(u[trajectories, :, :, frames], -1, 1)

    shape = (n_trajectories, n_times, n_x, n_y)
    return Trajectories(path, "MATLAB", shape, _times(t, n_times), load)


def _times(stored: h5py.Dataset | np.ndarray | None, n_times: int) -> np.ndarray:
    """Return the stored times, or 1, 2, ... if there are none; PDEBench stores one too many."""
    if stored is None:
        return np.arange(1.0, n_times + 1)
    times = np.asarray(stored, dtype=np.float64).reshape(-1)
    return times[:n_times] if len(times) >= n_times else np.arange(1.0, n_times + 1)
