"""A simulated multi-coil acquisition: phase, coil sensitivities, encoding errors, noise.

    y_c = E F (S_c m exp(i phi)) + n_c    (1)

m is the magnitude image, phi a smooth phase, S_c the sensitivities (root sum of squares one), F the
centred orthonormal DFT, E the identity or an encoding error of `Imperfections`, n complex noise.
Random things come from a `numpy.random.Generator` and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy.interpolate import make_interp_spline

from data_scripts.mri.centred_fft import fft_centred, ifft_centred


@dataclass(frozen=True)
class Imperfections:
    """Deviations of the scanner from the DFT; all zero is an ideal scanner.

    Attributes:
        trajectory: largest displacement of a ky line from its nominal place, in samples; the
            displacement is a fixed smooth function of ky, as of a gradient that is not calibrated.
        epi_ghost: phase between even and odd ky lines, in radians, as in echo-planar imaging.
        b0_hz: largest off-resonance, in Hz; every ky line sees it at its own time.
        line_ms: time between ky lines, in ms, for `b0_hz`.
    """

    trajectory: float = 0.0
    epi_ghost: float = 0.0
    b0_hz: float = 0.0
    line_ms: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not np.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {value}; 0 leaves it out")

    @property
    def none(self) -> bool:
        """Whether the scanner is ideal."""
        return self.trajectory == self.epi_ghost == self.b0_hz == 0


def encode(
    image: Complex[np.ndarray, "*batch y z"],
    imperfections: Imperfections,
    field: Float[np.ndarray, "y z"],
) -> Complex[np.ndarray, "*batch ky z"]:
    """Return k-space as an imperfect scanner measures it.

        K[k, z] = g_k / sqrt(n) sum_y exp(-2 pi i (k + d_k) y / n - 2 pi i f(y, z) t_k) m[y, z]  (1)

    followed by the DFT along z, with y and k counted from the centre, displacement d_k, ghost
    phase g_k = exp(+-i ghost / 2) for even and odd k, off-resonance f and line times t_k. With no
    imperfection this is `fft_centred`.

    Args:
        image: coil images, any unit.
        imperfections: sizes of the errors.
        field: off-resonance in units of `b0_hz`, -1 to 1.
    """
    if imperfections.none:
        return fft_centred(image)
    n = image.shape[-2]
    k = np.arange(n) - n // 2
    displacement = imperfections.trajectory * np.sin(2 * np.pi * (k / n + 0.15))
    ghost = np.exp(0.5j * imperfections.epi_ghost * np.where(k % 2 == 0, 1, -1))
    time_s = k * imperfections.line_ms * 1e-3
    dft = np.exp(-2j * np.pi * np.outer(k + displacement, k) / n) * ghost[:, None] / np.sqrt(n)
    kspace = np.empty(image.shape, np.complex64)
    for z in range(image.shape[-1]):
        turn = np.exp(-2j * np.pi * imperfections.b0_hz * np.outer(time_s, field[:, z]))
        kspace[..., z] = image[..., z] @ (dft * turn).T.astype(np.complex64)  # (1)
    return fft_centred(kspace, (-1,))


@dataclass(frozen=True)
class Acquired:
    """One simulated slice, in units of the image: k-space, and the image of an ideal scanner."""

    kspace: Complex[np.ndarray, "echoes coils ky kz"]
    target: Complex[np.ndarray, "echoes ky kz"]


def acquire(
    images: Complex[np.ndarray, "echoes coils y z"],
    maps: Complex[np.ndarray, "coils y z"],
    noise: float,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> Acquired:
    """Measure the coil images of one slice.

    The target is the SENSE combination of fully sampled data with the same noise, measured by an
    ideal scanner; without imperfections it is the combination of `kspace` itself.

    Args:
        images: noise-free coil images, all echoes.
        maps: sensitivities for the combination.
        noise: standard deviation of the real and of the imaginary part, in units of the image.
        imperfections: errors of the encoding.
        rng: source of the noise and of the off-resonance field.
    """
    draws = rng.standard_normal((*images.shape, 2), dtype=np.float32)
    added = np.float32(noise) * (draws[..., 0] + 1j * draws[..., 1])
    field = smooth_field(images.shape[-2:], rng, n_waves=4)
    kspace = (encode(images, imperfections, field) + added).astype(np.complex64)
    ideal = images + ifft_centred(added)
    return Acquired(kspace, (maps.conj() * ideal).sum(-3).astype(np.complex64))


def smooth_field(
    shape: tuple[int, int], rng: np.random.Generator, n_waves: int = 6, cycles: float = 1.2
) -> Float[np.ndarray, "y z"]:
    """Return a random smooth function with values between -1 and 1.

        f(y, z) = sum_j a_j cos(2 pi (u_j y + v_j z) + w_j),  |(u_j, v_j)| <= cycles

    Args:
        shape: number of points; the domain is the unit square.
        rng: source of the waves.
        n_waves: number of terms.
        cycles: highest frequency, in cycles per field of view.
    """
    y = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    z = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :]
    total = np.zeros(shape, np.float32)
    for _ in range(n_waves):
        angle, length, start = rng.uniform(0, 2 * np.pi), rng.uniform(0, cycles), rng.uniform(0, 1)
        wave = np.cos(angle) * y + np.sin(angle) * z
        total += np.float32(rng.normal()) * np.cos(2 * np.pi * (length * wave + start))
    return total / max(float(np.abs(total).max()), 1e-6)


def loop_maps(
    shape: tuple[int, int],
    n_coils: int,
    depth: float,
    rng: np.random.Generator,
) -> Complex[np.ndarray, "coils y z"]:
    """Return the receive fields of circular loops around the object, by the law of Biot-Savart.

        B(r) = sum_segments dl x (r - r') / |r - r'|^3,   S = B_y - i B_z

    The loops sit on an ellipse around the field of view, face its centre, and vary in place,
    size and tilt. The static field is along the normal of the slice.

    Args:
        shape: pixels along y and z; the field of view is [-1, 1] along its longer side.
        n_coils: number of loops, at least one.
        depth: position of the slice along its normal, in the same unit.
        rng: source of the variation; equal states give the same coils at every depth.

    Returns:
        Maps in an arbitrary common unit, not normalised.
    """
    aspect = np.asarray(shape) / max(shape)
    coarse = [np.linspace(-a, a, 25) for a in aspect]
    y, z = np.meshgrid(*coarse, indexing="ij")
    points = np.stack([y, z, np.full_like(y, depth)], -1)
    fine = [np.linspace(-a, a, n, endpoint=False) for a, n in zip(aspect, shape, strict=True)]
    onto = [
        make_interp_spline(c, np.eye(25), k=3)(f).astype(np.float32)
        for c, f in zip(coarse, fine, strict=True)
    ]
    maps = np.empty((n_coils, *shape), np.complex64)
    first = rng.uniform(0, 2 * np.pi)
    for coil in range(n_coils):
        angle = first + 2 * np.pi * coil / n_coils + rng.uniform(-0.15, 0.15)
        normal = np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.2, 0.2)])
        centre = np.array([*(1.3 * aspect + 0.1), 0.0]) * rng.uniform(0.92, 1.08) * normal
        centre[2] = rng.uniform(-0.3, 0.3)
        radius = rng.uniform(0.85, 1.15) * min(0.8, 4.4 / (n_coils + 2))
        field = loop_field(points, centre, normal / np.linalg.norm(normal), radius)
        coil_map = field[..., 0] - 1j * field[..., 1]
        maps[coil] = onto[0] @ coil_map @ onto[1].T
    return maps


def loop_field(
    points: Float[np.ndarray, "*grid 3"],
    centre: Float[np.ndarray, " 3"],
    normal: Float[np.ndarray, " 3"],
    radius: float,
    n_segments: int = 24,
) -> Float[np.ndarray, "*grid 3"]:
    """Return the field of one circular loop of straight segments, up to a constant."""
    first = np.cross(normal, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    second = np.cross(normal, first)
    angle = 2 * np.pi * np.arange(n_segments) / n_segments
    ring = centre + radius * (np.outer(np.cos(angle), first) + np.outer(np.sin(angle), second))
    middles, steps = (ring + np.roll(ring, -1, 0)) / 2, np.roll(ring, -1, 0) - ring
    field = np.zeros(points.shape)
    for middle, step in zip(middles, steps, strict=True):
        away = points - middle
        field += np.cross(step, away) / (np.linalg.norm(away, axis=-1, keepdims=True) ** 3 + 1e-3)
    return field


def normalise_maps(
    maps: Complex[np.ndarray, "coils y z"],
) -> tuple[Complex[np.ndarray, "coils y z"], Float[np.ndarray, "y z"]]:
    """Return maps whose root sum of squares is one, and what it was: the receive shading."""
    shading = np.sqrt((np.abs(maps) ** 2).sum(0))
    return (maps / np.maximum(shading, 1e-12)).astype(np.complex64), shading


def echo_phases(
    shape: tuple[int, int], echo_times_ms: Sequence[float], rng: np.random.Generator
) -> Float[np.ndarray, "echoes y z"]:
    """Return the smooth phase of each echo, in radians: an offset plus off-resonance times TE.

    Args:
        shape: pixels.
        echo_times_ms: echo times in ms.
        rng: source of the fields.
    """
    offset = 2.0 * smooth_field(shape, rng) + rng.uniform(-np.pi, np.pi)
    off_resonance_hz = 12.0 * smooth_field(shape, rng, n_waves=4)
    times_s = np.asarray(echo_times_ms, np.float32)[:, None, None] * 1e-3
    return (offset + 2 * np.pi * off_resonance_hz * times_s).astype(np.float32)
