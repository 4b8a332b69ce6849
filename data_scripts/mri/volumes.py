"""Volumes on disk (NIfTI, .npy, .npz) as slices of one or more contrasts, and on another grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from data_scripts.finite import require_finite
from data_scripts.mri.centred_fft import fft_centred, ifft_centred, resize_centred
from data_scripts.unusable import UnusableFileError, read_npy, reading

_REMEDY = "save it again, as one array of numbers"
_ENDINGS = (".nii.gz", ".nii", ".npy", ".npz")


@dataclass(frozen=True)
class Volume:
    """One file; `name` is its name without ending, the contrast is what follows the last `_`."""

    path: Path
    name: str
    slice_axis: int

    @property
    def echo_names(self) -> tuple[str, ...]:
        """The contrast, or `echo1`, `echo2`, .. for a file with several echoes."""
        n_echoes = self._shape()[3] if len(self._shape()) == 4 else 1
        if n_echoes > 1:
            return tuple(f"echo{i + 1}" for i in range(n_echoes))
        return (self.name.rsplit("_", 1)[-1],)

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel along the rows and columns of a slice; equal where it is not known."""
        if self.path.suffix in (".npy", ".npz"):
            return (1.0, 1.0)
        with reading(self.path, _REMEDY):
            zooms = load_nifti(self.path).header.get_zooms()
        rest = [float(z) for axis, z in enumerate(zooms[:3]) if axis != self.slice_axis]
        return (rest[1], rest[0])

    def read(self) -> Shaped[np.ndarray, "slices echoes y z"]:
        """Read all slices, upright: the second axis of the volume runs down.

        Raises:
            ValueError: if the file has not 3 or 4 axes, or holds values that are not finite.
        """
        shape = self._shape()
        if len(shape) not in (3, 4):
            raise ValueError(
                f"{self.path} has shape {shape}; a volume has three axes, and a fourth for echoes"
            )
        values = self._load()
        if values.dtype.kind not in "ciufb" or min(shape) < 1:
            raise ValueError(
                f"{self.path} holds values of the type {values.dtype} and the shape {shape}, for "
                "example colours; save one number per voxel, for example the grey values"
            )
        values = values.reshape(*shape[:3], -1)
        require_finite(str(self.path), values, ("x", "y", "z", "echo"), "replace them first")
        in_plane = [axis for axis in range(3) if axis != self.slice_axis]
        ordered = values.transpose(self.slice_axis, 3, in_plane[1], in_plane[0])
        kind = np.complex64 if np.iscomplexobj(ordered) else np.float32
        return np.ascontiguousarray(ordered, kind)

    def _shape(self) -> tuple[int, ...]:
        if self.path.suffix == ".npz":
            return tuple(self._load().shape)
        with reading(self.path, _REMEDY):
            if self.path.suffix == ".npy":
                return tuple(np.lib.format.open_memmap(self.path, mode="r").shape)
            return tuple(load_nifti(self.path).shape)

    def _load(self) -> np.ndarray:
        if self.path.suffix == ".npy":
            return read_npy(self.path, _REMEDY)
        with reading(self.path, _REMEDY):
            if self.path.suffix == ".npz":
                with self.path.open("rb") as file:
                    archive = np.load(file)
                    (name,) = archive.files
                    return np.asarray(archive[name])
            return np.asarray(load_nifti(self.path).dataobj)


def load_nifti(path: Path) -> Any:
    """Return a NIfTI image whose values are read when asked for.

    Raises:
        UnusableFileError: nibabel is not installed.
    """
    try:
        import nibabel
    except ModuleNotFoundError as error:
        raise UnusableFileError(
            f"{path}: reading NIfTI needs nibabel: pip install nibabel, or save the volumes as .npy"
        ) from error
    return nibabel.load(path)


def find_volumes(paths: Sequence[Path], slice_axis: int) -> list[Volume]:
    """Return the volumes among some files.

    Args:
        paths: candidates; files of other kinds are passed over.
        slice_axis: axis that numbers the slices, 0 to 2.

    Raises:
        ValueError: if there is none, or two have one name.
    """
    if slice_axis not in (0, 1, 2):
        raise ValueError(f"slice_axis must be 0, 1 or 2, got {slice_axis}")
    volumes = []
    for path in paths:
        for ending in _ENDINGS:
            if path.name.endswith(ending):
                volumes.append(Volume(path, path.name.removesuffix(ending), slice_axis))
                break
    if not volumes:
        raise ValueError(f"no volume ({', '.join(_ENDINGS)}) among the {len(paths)} files given")
    names = [volume.name for volume in volumes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two volumes are called {twice[0]!r}; rename one")
    return volumes


def to_grid(
    images: Shaped[np.ndarray, "echoes y z"],
    grid: tuple[int, int],
    pixel_mm: tuple[float, float] = (1.0, 1.0),
) -> Shaped[np.ndarray, "echoes y_new z_new"]:
    """Return images with another number of pixels and the same values, through k-space.

    The field of view is first padded to the shape of the grid with square pixels, then k-space is
    cropped (or padded) to the grid, as a scanner of lower (or interpolated) resolution would.

    Args:
        images: real or complex, any unit.
        grid: new pixels.
        pixel_mm: pixel size along y and z.
    """
    n_y, n_z = images.shape[-2:]
    per_y = max(n_y * pixel_mm[0] / grid[0], n_z * pixel_mm[1] / grid[1])
    padded = (
        max(round(per_y * grid[0] / pixel_mm[0]), 1),
        max(round(per_y * grid[1] / pixel_mm[1]), 1),
    )
    image = resize_centred(images, padded).astype(np.complex64)
    gain = np.sqrt(np.prod(grid) / np.prod(padded)).astype(np.float32)
    resized = ifft_centred(resize_centred(fft_centred(image), grid)) * gain
    return resized if np.iscomplexobj(images) else resized.real
