"""PDE files of every layout that the readers know, for the tests."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

from data_scripts.pde.conventions import BURGERS
from pde.config.dataset import BurgersConfig, DarcyConfig, NavierStokesConfig

SIZES = {"n_train": 4, "n_valid": 2, "n_test": 2}
N, N_FRAMES, GRID = 8, 6, 12


def flow(n=N, n_frames=N_FRAMES, grid=(GRID, GRID), seed=0):
    """Smooth periodic fields that travel and fade, (trajectory, time, *grid), in float32."""
    rng = np.random.default_rng(seed)
    field = np.zeros((n, n_frames, *grid))
    axes = np.meshgrid(*(np.arange(points) / points for points in grid), indexing="ij")
    time = np.arange(n_frames).reshape(-1, *[1] * len(grid))
    for _ in range(3):
        k = rng.integers(1, 3, (n, len(grid)))
        amplitude, phase, speed = rng.uniform(0.3, 1.0, (3, n, 1, *[1] * len(grid)))
        place = sum(k[:, i].reshape(n, 1, *[1] * len(grid)) * x for i, x in enumerate(axes))
        field += amplitude * 0.9**time * np.sin(2 * np.pi * (place - 0.1 * speed * time) + phase)
    return field.astype(np.float32)


def write_well(path, u, name="vorticity", times=None, **attributes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("t0_fields")
        pieces = {"chunks": (1, 1, *u.shape[2:]), "fletcher32": True} if u.size else {}
        field = group.create_dataset(name, data=u, **pieces)
        field.attrs.update({"sample_varying": True, "time_varying": True})
        file["dimensions/time"] = np.arange(1, u.shape[1] + 1) * 0.5 if times is None else times
        file.attrs.update(attributes)
    return path


def write_matlab(path, u, **more):
    scipy.io.savemat(path, {"a": u[:, 0], **more, "u": u.transpose(0, 2, 3, 1)})
    return path


def write_matlab_hdf5(path, u, t=None, header=True):
    arrays = {"u": u.transpose(0, 2, 3, 1)} if t is None else {"u": u.transpose(0, 2, 3, 1), "t": t}
    return write_reversed(path, header=header, **arrays)


def write_reversed(path, header=True, **arrays):
    """Write a v7.3 file as MATLAB does: every array with its axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = np.atleast_2d(values).T
    if header:
        with path.open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def write_tensor(path, u, x=None, t=None, **attributes):
    """Write PDEBench's one-dimensional layout; x and t are left away where they are None."""
    with h5py.File(path, "w") as file:
        file["tensor"] = u
        for name, values in (("x-coordinate", x), ("t-coordinate", t)):
            if values is not None:
                file[name] = values
        file.attrs.update(attributes)
    return path


def write_groups(path, u, x=None, t=None):
    """Write PDEBench's two-dimensional layout."""
    with h5py.File(path, "w") as file:
        for i, frames in enumerate(u):
            file[f"{i:04d}/data"] = frames[..., None]
            file[f"{i:04d}/grid/t"] = np.arange(len(frames)) * 2.0 if t is None else t
            for axis in "xy" if x is not None else "":
                file[f"{i:04d}/grid/{axis}"] = x
    return path


def write_darcy(path, a, u, **attributes):
    with h5py.File(path, "w") as file:
        file["nu"], file["tensor"] = a, u[:, None]
        file.attrs.update(attributes)
    return path


def own_burgers(name="burgers", viscosity=0.1):
    """Attributes by which a Burgers file is one of ours."""
    return {**BURGERS, "name": name, "viscosity": viscosity}


def navier_stokes(path: Path, **changes) -> NavierStokesConfig:
    """Return the options that use every frame of `flow` on its own grid."""
    frames = {"n_input_frames": 2, "n_output_frames": 4, "first_frame": 0, "frame_spacing": 1}
    return NavierStokesConfig(**{"path": str(path), "grid": GRID, **frames, **SIZES, **changes})


def burgers(path: Path, **changes) -> BurgersConfig:
    return BurgersConfig(**{"path": str(path), "grid": GRID, **SIZES, **changes})


def darcy(path: Path, **changes) -> DarcyConfig:
    return DarcyConfig(**{"path": str(path), "grid": GRID, **SIZES, **changes})
