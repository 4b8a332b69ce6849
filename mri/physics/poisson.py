"""Variable-density Poisson-disc masks, made by sigpy in a child process and kept on disk."""

import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool

from mri.physics.acceleration import reaches

# of the number of samples, relative
TOLERANCE = 0.05
# children that are started, and seeds that each tries for one mask
_ROUNDS, _SEEDS = 2, 6
# discs of one sample, corners left out: no seed comes below this acceleration
_LEAST_POISSON = 1.7
# masks that sigpy draws while it halves an interval: then its ends are neighbouring numbers
_HALVINGS = 100
# seconds for importing sigpy; wall time may be this many times processor time on a busy machine
_STARTUP_S, _BUSY = 30.0, 10.0


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
        calibration: side of the fully sampled central square, less than that of the grid.
        cache_dir: folder of the masks made so far.
        timeout_s: processor seconds allowed for one mask.

    Raises:
        ValueError: if no such mask could be made.
    """
    n_all = shape[0] * shape[1]
    if min(shape) < 2:
        raise ValueError(
            f"a Poisson mask needs two axes of samples, got the grid {shape}; use mask kind "
            "equispaced or random, whose lines vary along the last axis"
        )
    if not 0 <= calibration < min(shape):
        raise ValueError(
            f"calibration must be from 0 to {min(shape) - 1} samples on the grid {shape}, got "
            f"{calibration}"
        )
    if not acceleration >= _LEAST_POISSON or calibration**2 >= n_all / acceleration:
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
                f"{seed}): {n_all / acceleration:.3g} samples must be met to 5 %; use a smaller "
                "calibration, another acceleration or mask kind"
            )
        masks.append(_load_mask(paths[seed], shape, acceleration))
    return masks


def _load_mask(
    path: Path, shape: tuple[int, int], acceleration: float
) -> Bool[np.ndarray, "ky kz"]:
    try:
        with path.open("rb") as file:
            mask = np.lib.format.read_array(file)  # neither archives nor pickles
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged; delete it, and it is made again") from error
    sound = (mask.shape, mask.dtype) == (shape, np.bool_)
    if not sound or not reaches(mask, acceleration, TOLERANCE):
        raise ValueError(f"{path} is not the mask it is named after; delete it")
    return mask


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
        [sys.executable, "-m", "mri.physics.poisson", json.dumps(request)],
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
    samp = _sigpy_samp()
    draw = samp._poisson
    shape, acceleration = tuple(asked["shape"]), asked["acceleration"]
    for name, seeds in asked["masks"].items():
        for seed in seeds:
            samp._poisson = _at_most(_HALVINGS, draw)
            try:
                mask = samp.poisson(
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
            if reaches(mask > 0, acceleration, TOLERANCE):
                temporary = Path(f"{name}.{os.getpid()}.part")
                with temporary.open("wb") as file:
                    np.save(file, mask > 0)
                temporary.replace(name)
                break


def _sigpy_samp() -> Any:
    """Return `sigpy.mri.samp` alone: the packages around it import torch and scipy, for seconds.

    For a process that uses nothing else of sigpy, whose packages are empty then.
    """
    spec = find_spec("sigpy")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("sigpy draws Poisson masks; run pip install 'sigpy>=0.1.27'")
    place = Path(spec.origin).parent
    for name, folder in (("sigpy", place), ("sigpy.mri", place / "mri")):
        sys.modules[name] = package = ModuleType(name)
        package.__path__ = [str(folder)]
    from sigpy.mri import samp

    return samp


def _at_most(n: int, draw: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Return a function that raises instead of drawing more than `n` masks.

    sigpy halves an interval of densities until a mask has the acceleration, and goes on for ever
    where none has.
    """
    left = iter(range(n))

    def limited(*arguments: object) -> np.ndarray:
        if next(left, None) is None:
            raise ValueError("no density gives this acceleration")
        return draw(*arguments)

    return limited


def _limit_processor_time(seconds: int) -> None:
    """End this process after so much processor time, however busy the machine is."""
    with contextlib.suppress(ImportError):  # Windows; there the parent's clock has to do
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


if __name__ == "__main__":
    _make_from_request(sys.argv[1])
