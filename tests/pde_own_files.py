"""Files of own data of several kinds, for the tests."""

import h5py
import numpy as np
import scipy.io
from pde_files import flow


def two_fields(n=8, n_frames=5, grid=(12, 8), seed=0):
    """Two fields of other sizes, (trajectory, time, *grid, channel)."""
    return np.stack(
        [flow(n, n_frames, grid, seed=seed), 3 + 0.1 * flow(n, n_frames, grid, seed=seed + 1)], -1
    )


def write_vector(path, u, times=None, **more):
    """A vector field on a ring along x and between walls along y, as HDF5."""
    with h5py.File(path, "w") as file:
        file["velocity"] = u
        file["t"] = np.arange(u.shape[1]) * 0.5 if times is None else times
        for name, values in more.items():
            file[name] = values
    return path


def write_scalars(path, n=8, n_frames=5, points=16):
    """Two fields on a line, and a number per trajectory, as an archive of NumPy."""
    u = flow(n, n_frames, (points,), seed=3)
    nu = np.linspace(0.1, 0.8, n).astype(np.float32)
    np.savez(path, density=2 + 0.1 * u, velocity=u[:, ::-1].copy(), nu=nu)
    return path


def write_solid(path, n=8, n_frames=4, points=8):
    """A field in three dimensions, as an archive of NumPy."""
    np.savez(
        path, temperature=flow(n, n_frames, (points,) * 3, seed=5), t=np.arange(n_frames) * 0.1
    )
    return path


def write_steady(path, n=8, points=12):
    """A field and what follows from it, as a MATLAB file."""
    a = np.exp(flow(n, 1, (points, points + 1), seed=7)[:, 0])
    scipy.io.savemat(path, {"coeff": a, "sol": np.cumsum(a, axis=1) / points})
    return path
