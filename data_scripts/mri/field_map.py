"""The map of off-resonance as it is measured: what correction of it by current toolboxes knows."""

import numpy as np
from jaxtyping import Complex, Float
from scipy.ndimage import gaussian_filter

from data_scripts.mri.scanner import Scanner

# Echoes so far apart tell -250 to 250 Hz apart; a phantom of this signal to noise in each of them.
_ECHO_SPACING_S = 2e-3
_SIGNAL_TO_NOISE = 50.0
_SMOOTHING_PIXELS = 1.0


def measured_field(scanner: Scanner, grid: tuple[int, int]) -> Float[np.ndarray, "y z"]:
    """Return the off-resonance that two gradient echoes of a uniform phantom show, in Hz.

        q = G * (conj(I_1) I_2),  I_e = exp(2 pi i f t_e) + n_e,  f_measured = arg q / (2 pi dt)

    with dt = t_2 - t_1 = 2 ms, complex noise n_e at a signal-to-noise ratio of 50 and a Gaussian G
    with a standard deviation of one pixel (after Jezzard and Balaban 1995, MRM 34:65): off by less
    than 1 Hz inside, more at the border of a steep field. The noise follows from `map_seed`.
    """
    rng = np.random.default_rng([scanner.map_seed, 1])
    turn = 2 * np.pi * _ECHO_SPACING_S
    noise = (rng.standard_normal((2, *grid, 2)) / _SIGNAL_TO_NOISE).view(np.complex128)[..., 0]
    first, second = 1 + noise[0], np.exp(1j * turn * scanner.field(grid)) + noise[1]
    product = first.conj() * second
    smooth = [gaussian_filter(part, _SMOOTHING_PIXELS) for part in (product.real, product.imag)]
    return np.arctan2(smooth[1], smooth[0]) / turn


def measured_columns(
    scanner: Scanner, grid: tuple[int, int]
) -> Complex[np.ndarray, "columns ky y"]:
    """Return E_y of every column with the measured map, and none of the errors it does not show."""
    seen = Scanner(b0_hz=scanner.b0_hz, line_ms=scanner.line_ms)
    return seen.columns(grid, measured_field(scanner, grid))
