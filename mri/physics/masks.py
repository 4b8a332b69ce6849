"""Sampling masks: 2-D variable-density Poisson disc, 1-D equispaced and 1-D random.

Masks are boolean (ky, kz), dimensionless. The 1-D masks sample whole lines: they vary along kz,
the last axis. An acceleration is the ratio of all samples to those kept, `achieved_acceleration`.
A mask has the number of samples it was asked for to 5 % (Poisson) or 10 % (lines), or there is a
ValueError that says why not. A seed alone decides a mask.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from mri.physics.acceleration import check_acceleration, reaches
from mri.physics.poisson import poisson_masks

KINDS = ("poisson", "equispaced", "random")
# of the number of lines, relative
TOLERANCE = 0.1


def scan_seed(scan_id: str, seed: int = 0) -> int:
    """Return a seed that depends on the scan's name and on nothing else about the machine."""
    return (zlib.crc32(scan_id.encode()) + 1_000_003 * seed) % 2**31


def make_masks(
    kind: str,
    shape: tuple[int, int],
    acceleration: float,
    seeds: Sequence[int],
    *,
    calibration: int = 16,
    center_fraction: float = 0.08,
    cache_dir: Path | None = None,
    timeout_s: float = 60.0,
) -> list[Bool[np.ndarray, "ky kz"]]:
    """Return one mask per seed.

    Args:
        kind: `poisson`, `equispaced` or `random`.
        shape: samples along ky and kz.
        acceleration: one samples everything, whatever the kind.
        seeds: not negative; equal seeds give equal masks.
        calibration: side of the fully sampled central square (Poisson).
        center_fraction: share of fully sampled central lines (equispaced and random).
        cache_dir: where Poisson masks are kept; required for them, since they are slow to make.
        timeout_s: processor seconds allowed for one Poisson mask.

    Raises:
        ValueError: if no such mask exists, naming the remedy.
    """
    if kind not in KINDS:
        raise ValueError(f"mask kind must be one of {KINDS}, got {kind!r}")
    if min(shape) < 1:
        raise ValueError(f"a mask needs a positive number of samples along ky and kz, got {shape}")
    if any(seed < 0 for seed in seeds):
        raise ValueError(f"seeds of masks must not be negative, got {min(seeds)}; count from 0")
    check_acceleration(acceleration, shape[0] * shape[1])
    if acceleration == 1:
        return [np.ones(shape, bool) for _ in seeds]
    if kind == "poisson":
        if cache_dir is None:
            raise ValueError("poisson masks need a cache_dir")
        return poisson_masks(
            shape,
            acceleration,
            seeds,
            calibration=calibration,
            cache_dir=cache_dir,
            timeout_s=timeout_s,
        )
    lines = equispaced_lines if kind == "equispaced" else random_lines
    return [
        np.broadcast_to(lines(shape[1], acceleration, center_fraction, seed), shape).copy()
        for seed in seeds
    ]


def equispaced_lines(
    n: int, acceleration: float, center_fraction: float, seed: int
) -> Bool[np.ndarray, " n"]:
    """Return equispaced lines with a fully sampled centre, by the rule of the public fastMRI masks.

        L = round(n f),  spacing = R (L - n) / (L R - n)                  (1)
        lines = round(offset + j spacing), 0 <= offset < round(spacing)   (2)

    The spacing outside the centre is larger than R and not an integer, so that the lines together
    with the centre number n / R (fastMRI; Zbontar et al. 2018, arXiv:1811.08839). On small grids
    an offset may miss R by more than 10 %, which fastMRI accepts; here the next one that does not
    takes its place.

    Raises:
        ValueError: if no offset reaches R, saying why.
    """
    n_center = _n_center(n, acceleration, center_fraction)
    spacing = acceleration * (n_center - n) / (n_center * acceleration - n)  # (1)
    n_offsets = max(round(spacing), 1)
    drawn = int(np.random.default_rng(seed).integers(0, n_offsets))
    for offset in (*range(drawn, n_offsets), *range(drawn)):
        keep = _center_lines(n, n_center)
        keep[np.around(np.arange(offset, n - 1, spacing)).astype(int)] = True  # (2)
        if reaches(keep, acceleration, TOLERANCE):
            return keep
    raise ValueError(
        f"no offset of equispaced lines with {n_center} of {n} in the centre makes "
        f"{acceleration:g}x to 10 % (one makes {n / keep.sum():.3g}x); use another "
        "center_fraction, acceleration or mask kind"
    )


def random_lines(
    n: int, acceleration: float, center_fraction: float, seed: int
) -> Bool[np.ndarray, " n"]:
    """Return random lines with a fully sampled centre, by the fastMRI rule.

        L = round(n f),  P(line kept) = (n / R - L) / (n - L) outside the centre

    so the expected number is n / R. Draws that miss R by more than 10 % are repeated, which fastMRI
    does not do; every mask here has the acceleration it claims.

    Raises:
        ValueError: if no number of lines makes R, saying why.
    """
    n_center = _n_center(n, acceleration, center_fraction)
    probability = (n / acceleration - n_center) / (n - n_center)
    rng = np.random.default_rng(seed)
    while True:
        keep = _center_lines(n, n_center) | (rng.random(n) < probability)
        if reaches(keep, acceleration, TOLERANCE):
            return keep


def _n_center(n: int, acceleration: float, center_fraction: float) -> int:
    """Return the number of central lines, if a whole number of lines makes the acceleration."""
    check_acceleration(acceleration, n)
    if not 0 <= center_fraction < 1:
        raise ValueError(f"center_fraction must be from 0 to below 1, got {center_fraction}")
    n_center = round(n * center_fraction)
    if n_center * acceleration >= n and acceleration > 1:
        raise ValueError(
            f"{n_center} central lines of {n} (center_fraction {center_fraction:g}) already exceed "
            f"the {n / acceleration:.1f} lines of a {acceleration:g}x mask; use a center_fraction "
            f"below {1 / acceleration:.3g}, for example {0.32 / acceleration:.3g}"
        )
    wanted = n / acceleration
    fewer, more = math.floor(wanted), math.ceil(wanted)
    if min(wanted - fewer, more - wanted) > TOLERANCE * wanted:
        raise ValueError(
            f"no number of {n} lines makes {acceleration:g}x to 10 %: {fewer} make "
            f"{n / fewer:.3g}x and {more} make {n / more:.3g}x; use one of these"
        )
    return n_center


def _center_lines(n: int, n_center: int) -> Bool[np.ndarray, " n"]:
    start = (n - n_center + 1) // 2
    keep = np.zeros(n, bool)
    keep[start : start + n_center] = True
    return keep
