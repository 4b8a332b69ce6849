"""Partial Fourier: the side of k-space that was not measured, from the side that was.

The image of an object with a smooth phase phi is real up to that phase, which the lines around the
centre tell; both sides of k-space then hold the same. Projections onto convex sets (Haacke,
Lindskog and Lin 1991, JMR 92:126; McGibney et al. 1993, MRM 30:51, compare them with homodyne
detection, Noll et al. 1991):

    phi = arg F^-1 W y                        (1)
    x_j = F^-1 k_j,  p_j = |x_j| exp(i phi)   (2)
    k_{j+1} = y where measured, F p_j where its mirror image about the centre was, else 0   (3)

W is the part of k-space that was measured on both sides, with a Hann window over its extent.
"""

import numpy as np
from jaxtyping import Bool, Complex, Float

from data_scripts.mri.centred_fft import fft_centred, ifft_centred

_ITERATIONS = 20


def complete_pocs(
    kspace: Complex[np.ndarray, "*batch ky kz"], acquired: Bool[np.ndarray, "ky kz"]
) -> Complex[np.ndarray, "*batch ky kz"]:
    """Return k-space with its unmeasured side, each image (echo, coil) by itself.

    What was measured is returned as it is, and so is k-space that lacks nothing, or the same on
    both sides.

    Args:
        kspace: centred, orthonormal; any unit.
        acquired: what was measured.
    """
    mirrored = _mirror(acquired)
    missing = mirrored & ~acquired
    if not missing.any():
        return kspace
    measured = kspace * acquired
    smooth = ifft_centred(measured * _window(acquired & mirrored))
    phase = np.exp(1j * np.angle(smooth)).astype(kspace.dtype)  # (1)
    completed = measured
    for _ in range(_ITERATIONS):
        projected = fft_centred(np.abs(ifft_centred(completed)) * phase)  # (2)
        completed = np.where(missing, projected, measured)  # (3)
    return completed.astype(kspace.dtype)


def _mirror(acquired: Bool[np.ndarray, "ky kz"]) -> Bool[np.ndarray, "ky kz"]:
    """Return a mask reflected about the centre n // 2; what has no mirror image is False."""
    padded = np.pad(acquired, [(0, 1 - n % 2) for n in acquired.shape])  # odd, centre kept
    return padded[::-1, ::-1][: acquired.shape[0], : acquired.shape[1]]


def _window(both_sides: Bool[np.ndarray, "ky kz"]) -> Float[np.ndarray, "ky kz"]:
    """Return a Hann window over the extent of the part that was measured on both sides."""
    window = both_sides.astype(np.float32)
    for axis in (0, 1):
        lines = np.flatnonzero(both_sides.any(1 - axis))
        centre = both_sides.shape[axis] // 2
        reach = max(centre - lines[0], lines[-1] - centre) + 1 if lines.size else 1
        offsets = np.abs(np.arange(both_sides.shape[axis]) - centre) / reach
        hann = np.where(offsets < 1, 0.5 + 0.5 * np.cos(np.pi * offsets), 0)
        window *= np.expand_dims(hann.astype(np.float32), 1 - axis)
    return window
