"""Sampling masks: 2-D variable-density Poisson disc, 1-D equispaced and 1-D random.

Masks are boolean (ky, kz), dimensionless. The 1-D masks sample whole lines: they vary along kz,
the last axis. An acceleration is the ratio of all samples to those kept, `achieved_acceleration`,
and every generator reaches what it was asked for or raises. A seed alone decides a mask.
"""

import contextlib
import json
import math
import os
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

KINDS = ("poisson", "equispaced", "random")
TOLERANCE = 0.05
# children that are started, and seeds that each tries for one mask
_ROUNDS, _SEEDS = 2, 6
# discs of one sample, corners left out: no seed comes below this acceleration
_LEAST_POISSON = 1.7
# seconds for importing sigpy; wall time may be this many times processor time on a busy machine
_STARTUP_S, _BUSY = 30.0, 10.0


def achieved_acceleration(mask: Shaped[np.ndarray, "ky kz"]) -> float:
    """Return n_all / n_sampled.

    Raises:
        ValueError: if the mask samples nothing.
    """
    n_sampled = int(np.count_nonzero(mask))
    if n_sampled == 0:
        raise ValueError(
            f"the mask of shape {mask.shape} samples nothing; lower the acceleration or enlarge "
            "the calibration region"
        )
    return mask.size / n_sampled


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
    if not acceleration >= 1:
        raise ValueError(f"acceleration must be at least 1, got {acceleration}")
    if acceleration == 1:
        return [np.ones(shape, bool) for _ in seeds]
    if kind == "poisson":
        if cache_dir is None:
            raise ValueError("poisson masks need a cache_dir")
        masks = poisson_masks(
            shape,
            acceleration,
            seeds,
            calibration=calibration,
            cache_dir=cache_dir,
            timeout_s=timeout_s,
        )
    else:
        lines = equispaced_lines if kind == "equispaced" else random_lines
        masks = [
            np.broadcast_to(lines(shape[1], acceleration, center_fraction, seed), shape).copy()
            for seed in seeds
        ]
    for mask in masks:
        achieved_acceleration(mask)
    return masks


def equispaced_lines(
    n: int, acceleration: float, center_fraction: float, seed: int
) -> Bool[np.ndarray, " n"]:
    """Return equispaced lines with a fully sampled centre, by the rule of the public fastMRI masks.

        L = round(n f),  spacing = R (L - n) / (L R - n)                  (1)
        lines = round(offset + j spacing), 0 <= offset < round(spacing)   (2)

    The spacing outside the centre is larger than R and not an integer, so that the lines together
    with the centre number n / R (fastMRI; Zbontar et al. 2018, arXiv:1811.08839).

    Raises:
        ValueError: if the centre alone exceeds n / R, or R is missed by more than 10 % and a line.
    """
    n_center = _n_center(n, acceleration, center_fraction)
    spacing = acceleration * (n_center - n) / (n_center * acceleration - n)  # (1)
    offset = np.random.default_rng(seed).integers(0, max(round(spacing), 1))
    keep = _center_lines(n, n_center)
    keep[np.around(np.arange(offset, n - 1, spacing)).astype(int)] = True  # (2)
    if not _reaches(keep, acceleration, 0.1):
        raise ValueError(
            f"equispaced lines at {acceleration:g}x of {n} give {n / keep.sum():.2f}x; "
            "use another center_fraction or mask kind"
        )
    return keep


def random_lines(
    n: int, acceleration: float, center_fraction: float, seed: int
) -> Bool[np.ndarray, " n"]:
    """Return random lines with a fully sampled centre, by the fastMRI rule.

        L = round(n f),  P(line kept) = (n / R - L) / (n - L) outside the centre

    so the expected number is n / R. Draws that miss R by more than 10 % and one line are repeated,
    which fastMRI does not do; every mask here has the acceleration it claims.

    Raises:
        ValueError: if the centre alone exceeds n / R.
    """
    n_center = _n_center(n, acceleration, center_fraction)
    probability = (n / acceleration - n_center) / (n - n_center)
    rng = np.random.default_rng(seed)
    while True:
        keep = _center_lines(n, n_center) | (rng.random(n) < probability)
        if _reaches(keep, acceleration, 0.1):
            return keep


def _n_center(n: int, acceleration: float, center_fraction: float) -> int:
    n_center = round(n * center_fraction)
    if n_center * acceleration >= n:
        raise ValueError(
            f"{n_center} central lines of {n} (center_fraction {center_fraction:g}) already exceed "
            f"the {n / acceleration:.1f} lines of a {acceleration:g}x mask; use a center_fraction "
            f"below {1 / acceleration:.3g}, for example {0.32 / acceleration:.3g}"
        )
    return n_center


def _center_lines(n: int, n_center: int) -> Bool[np.ndarray, " n"]:
    start = (n - n_center + 1) // 2
    keep = np.zeros(n, bool)
    keep[start : start + n_center] = True
    return keep


def _reaches(mask: Bool[np.ndarray, "..."], acceleration: float, tolerance: float) -> bool:
    wanted = mask.size / acceleration
    return bool(abs(int(mask.sum()) - wanted) <= max(tolerance * wanted, 1.0))


def poisson_masks(
    shape: tuple[int, int],
    acceleration: float,
    seeds: Sequence[int],
    *,
    calibration: int,
    cache_dir: Path,
    timeout_s: float = 60.0,
) -> list[Bool[np.ndarray, "ky kz"]]:
    """Return variable-density Poisson-disc masks with a calibration square, corners left out.

    `sigpy.mri.poisson` does the work, in a child process: it can search for ever, and has crashed
    for some calibration sizes. A seed that fails is replaced by another one derived from it, the
    acceleration is checked to 5 %, and masks are kept in `cache_dir`.

    Args:
        shape: samples along ky and kz.
        acceleration: at least 1.7, since discs are no smaller than one sample.
        seeds: one per mask.
        calibration: side of the fully sampled central square.
        cache_dir: folder of the masks made so far.
        timeout_s: processor seconds allowed for one mask.

    Raises:
        ValueError: if no such mask could be made.
    """
    n_all = shape[0] * shape[1]
    if not 0 <= calibration <= min(shape):
        raise ValueError(f"calibration must be between 0 and {min(shape)}, got {calibration}")
    if acceleration < _LEAST_POISSON or calibration**2 >= n_all / acceleration:
        raise ValueError(
            f"a Poisson mask of {shape} with a {calibration} x {calibration} centre cannot have "
            f"acceleration {acceleration:g}: it must lie between {_LEAST_POISSON} (discs of one "
            f"sample) and {n_all / max(calibration**2, 1):.3g} (the centre alone); change the "
            "acceleration or the calibration"
        )
    paths = {
        seed: cache_dir
        / f"poisson_{shape[0]}x{shape[1]}_{acceleration:g}x_calib{calibration}_seed{seed}.npy"
        for seed in seeds
    }
    cache_dir.mkdir(parents=True, exist_ok=True)
    for round_ in range(_ROUNDS):
        missing = {seed: path for seed, path in paths.items() if not path.is_file()}
        if not missing:
            break
        _make_in_child(shape, acceleration, calibration, missing, round_, timeout_s)
    masks = []
    for seed in seeds:
        if not paths[seed].is_file():
            raise ValueError(
                f"no Poisson mask of {shape} at {acceleration:g}x with a {calibration} x "
                f"{calibration} centre was found in {_ROUNDS} attempts of {timeout_s:g} s (seed "
                f"{seed}); use a smaller calibration, another acceleration or mask kind"
            )
        mask = np.load(paths[seed])
        if mask.shape != shape or not _reaches(mask, acceleration, TOLERANCE):
            raise ValueError(f"{paths[seed]} is not the mask it is named after; delete it")
        masks.append(mask)
    return masks


def _make_in_child(
    shape: tuple[int, int],
    acceleration: float,
    calibration: int,
    missing: dict[int, Path],
    round_: int,
    timeout_s: float,
) -> None:
    """Make the missing masks in a child process; whatever it does not manage stays missing."""
    allowed_s = _STARTUP_S + timeout_s * len(missing)
    request = {
        "processor_s": allowed_s,
        "shape": shape,
        "acceleration": acceleration,
        "calibration": calibration,
        "masks": {str(path): _seeds(seed, round_) for seed, path in missing.items()},
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "mri.masks", json.dumps(request)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        _, complaint = child.communicate(timeout=_BUSY * allowed_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return
    if child.returncode > 0:
        raise ValueError(f"making Poisson masks failed: {complaint.strip().splitlines()[-1:]}")


def _seeds(seed: int, round_: int) -> list[int]:
    """Return the seeds to try for a mask: its own, then others that follow from it."""
    first = _SEEDS * round_
    return [(seed + 1_000_003 * attempt) % 2**32 for attempt in range(first, first + _SEEDS)]


def _make_from_request(request: str) -> None:
    """Write the Poisson masks that a JSON request asks for; the main of the child process."""
    asked = json.loads(request)
    _limit_processor_time(math.ceil(asked["processor_s"]))
    from sigpy.mri import poisson

    shape, acceleration = tuple(asked["shape"]), asked["acceleration"]
    for name, seeds in asked["masks"].items():
        for seed in seeds:
            try:
                mask = poisson(
                    shape,
                    acceleration,
                    calib=(asked["calibration"],) * 2,
                    dtype=np.float32,
                    seed=seed,
                    # on the acceleration; ours, on the number of samples, is a little wider
                    tol=0.9 * TOLERANCE * acceleration,
                )
            except ValueError:
                continue
            if _reaches(mask > 0, acceleration, TOLERANCE):
                temporary = Path(f"{name}.{os.getpid()}.part")
                with temporary.open("wb") as file:
                    np.save(file, mask > 0)
                temporary.replace(name)
                break


def _limit_processor_time(seconds: int) -> None:
    """End this process after so much processor time, however busy the machine is."""
    with contextlib.suppress(ImportError):  # Windows; there the parent's clock has to do
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


if __name__ == "__main__":
    _make_from_request(sys.argv[1])
