"""Centred, orthonormal FFTs of NumPy arrays: the convention of every k-space array in this suite.

    K[k] = 1 / sqrt(n) sum_j x[j] exp(-2 pi i (k - n // 2) (j - n // 2) / n)    (1)

The zero frequency and the image centre are both at index n // 2, for even and odd n. The torch
models use `monarch_core.Fourier(n, norm="ortho", centered=True)`, which is the same map.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from jaxtyping import Complex, Num, Shaped


def fft_centred(
    x: Num[np.ndarray, "..."], axes: Sequence[int] = (-2, -1)
) -> Complex[np.ndarray, "..."]:
    """Return the transform (1) of an image along `axes`; precision and units are kept."""
    shifted = np.fft.ifftshift(x, axes=axes)
    return np.fft.fftshift(scipy.fft.fftn(shifted, axes=axes, norm="ortho"), axes=axes)


def ifft_centred(
    k: Num[np.ndarray, "..."], axes: Sequence[int] = (-2, -1)
) -> Complex[np.ndarray, "..."]:
    """Return the inverse (and adjoint) of `fft_centred`, k-space to image."""
    shifted = np.fft.ifftshift(k, axes=axes)
    return np.fft.fftshift(scipy.fft.ifftn(shifted, axes=axes, norm="ortho"), axes=axes)


def resize_centred(
    x: Shaped[np.ndarray, "..."], shape: Sequence[int], axes: Sequence[int] = (-2, -1)
) -> Shaped[np.ndarray, "..."]:
    """Crop or zero-pad along `axes` so that index n // 2 stays the centre.

    Applied to an image it changes the field of view; applied to k-space it changes the resolution,
    where the image keeps its values when k-space is also multiplied by sqrt(n_new / n_old).

    Args:
        x: array in any unit; other axes are untouched.
        shape: new length of each of `axes`.
        axes: the axes to change.

    Raises:
        ValueError: if `shape` and `axes` differ in length or a length is below one.
    """
    if len(shape) != len(axes) or any(n < 1 for n in shape):
        raise ValueError(f"shape must give a positive length for each of {axes}, got {shape}")
    crop: list[slice] = [slice(None)] * x.ndim
    padding = [(0, 0)] * x.ndim
    for n_new, axis in zip(shape, axes, strict=True):
        n_old = x.shape[axis]
        before = n_new // 2 - n_old // 2
        after = n_new - n_old - before
        crop[axis] = slice(max(-before, 0), n_old - max(-after, 0))
        padding[axis] = (max(before, 0), max(after, 0))
    return np.pad(x[tuple(crop)], padding)


def crop_images(
    kspace: Complex[np.ndarray, "*batch ky kz"], grid: tuple[int, int]
) -> Complex[np.ndarray, "*batch ky_new kz_new"]:
    """Return k-space of the central (or zero-padded) field of view with `grid` pixels.

    Axes that keep their length are not touched, so that lines without data stay exactly zero.
    """
    axes = [axis for axis in (-2, -1) if kspace.shape[axis] != grid[axis]]
    if not axes:
        return kspace
    images = resize_centred(ifft_centred(kspace, axes), [grid[axis] for axis in axes], axes)
    return fft_centred(images, axes)
