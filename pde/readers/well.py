"""The layout of The Well (Ohana et al. 2024, arXiv:2412.00568)."""

from pathlib import Path

import h5py
import numpy as np

from pde.readers.trajectories import Trajectories


def open_well(path: Path, file: h5py.File) -> Trajectories:
    """Return the one scalar field of a file, or the one named vorticity.

    Raises:
        ValueError: the file has no such field, or it is no trajectory.
    """
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

    viscosity = file.attrs.get("viscosity")
    return Trajectories(
        path,
        "The Well",
        field.shape,
        times,
        load,
        viscosity=None if viscosity is None else float(viscosity),
    )
