"""A simulated multi-coil acquisition: phase, coil sensitivities, encoding, noise.

    y_c = E F (S_c m exp(i phi)) + n_c

m is the magnitude image, phi a smooth phase, S_c the sensitivities (root sum of squares one), F the
centred orthonormal DFT, E the identity or the errors of a `Scanner`, n complex noise. Random things
come from a `numpy.random.Generator` and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy.interpolate import make_interp_spline

from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.mri.scanner import Scanner
from data_scripts.mri.smooth_field import smooth_field


@dataclass(frozen=True)
class Acquired:
    """One simulated slice, in units of the image: k-space, and the image of an ideal scanner."""

    kspace: Complex[np.ndarray, "echoes coils ky kz"]
    target: Complex[np.ndarray, "echoes ky kz"]


def acquire(
    images: Complex[np.ndarray, "echoes coils y z"],
    maps: Complex[np.ndarray, "coils y z"],
    noise: float,
    scanner: Scanner,
    rng: np.random.Generator,
) -> Acquired:
    """Measure the coil images of one slice.

    The target is the SENSE combination of fully sampled data with the same noise, measured by an
    ideal scanner; without errors it is the combination of `kspace` itself.

    Args:
        images: noise-free coil images, all echoes.
        maps: sensitivities for the combination.
        noise: standard deviation of the real and of the imaginary part, in units of the image.
        scanner: the errors of the encoding.
        rng: source of the noise.
    """
    draws = rng.standard_normal((*images.shape, 2), dtype=np.float32)
    added = np.float32(noise) * (draws[..., 0] + 1j * draws[..., 1])
    # off-resonance was once drawn here, and what a seed makes after it is to stay
    smooth_field(images.shape[-2:], rng, n_waves=4)
    kspace = (scanner.encode(images) + added).astype(np.complex64)
    ideal = images + ifft_centred(added)
    return Acquired(kspace, (maps.conj() * ideal).sum(-3).astype(np.complex64))


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
