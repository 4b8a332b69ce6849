"""Check PDE data files: `python data_scripts/pde/check.py PATH..` (files or folders)."""

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.pde import pdebench_format, well_format
from data_scripts.pde.readers import Trajectories, open_trajectories
from data_scripts.problems import run_check

FILE_PATTERNS = ("*.hdf5", "*.h5", "*.mat")
# Samples read at once while looking for NaN.
N_TOGETHER = 50
# Range over magnitude below which a field is one value in float32.
CONSTANT = 1e-6
# Keys and attributes that the readers of other projects rely on.
EXPECTED_KEYS = {
    "The Well": well_format.EXPECTED_KEYS,
    "PDEBench 1-D": pdebench_format.EXPECTED_OF_LINES,
    "PDEBench Darcy": pdebench_format.EXPECTED_OF_DARCY,
}
EXPECTED_ATTRIBUTES = {
    "The Well": well_format.EXPECTED_ATTRIBUTES,
    "PDEBench Darcy": (pdebench_format.FORCE,),
}


def check_file(path: Path) -> tuple[str, list[str]]:
    """Return what a file is, in one line, and its problems, one sentence each."""
    try:
        source = open_trajectories(path)
    except (ValueError, OSError) as error:
        return f"{path}: not readable", [str(error)]
    try:
        problems = _missing_keys(source) + _doubts(source) + _bad_values(source)
    except (ValueError, OSError) as error:
        problems = [str(error)]
    return describe(source), problems


def describe(source: Trajectories) -> str:
    """Return layout, sizes, times and viscosity of a file in one line."""
    n, n_frames, *grid = source.shape
    viscosity = "not stated" if source.viscosity is None else f"{source.viscosity:g}"
    return (
        f"{source.path}: {source.layout}, {n} trajectories, {n_frames} frames (times "
        f"{source.times[0]:g} to {source.times[-1]:g}), {' x '.join(map(str, grid))} points, "
        f"viscosity {viscosity}"
    )


def _missing_keys(source: Trajectories) -> list[str]:
    keys = EXPECTED_KEYS.get(source.layout, ())
    attributes = EXPECTED_ATTRIBUTES.get(source.layout, ())
    if not keys and not attributes:
        return []
    with h5py.File(source.path) as file:
        missing = [f"no {key}" for key in keys if key not in file]
        missing += [f"no attribute {name}" for name in attributes if name not in file.attrs]
    return [
        f"{source.path}: {what}, which other readers of {source.layout} files need"
        for what in missing
    ]


def _doubts(source: Trajectories) -> list[str]:
    """Return what would keep a training script from reading a file without a word of its user."""
    return [f"{source.path}: {doubt}" for doubt in source.states.doubts]


def _bad_values(source: Trajectories) -> list[str]:
    for start in range(0, source.shape[0], N_TOGETHER):
        try:
            values = source.read(slice(start, start + N_TOGETHER))
        except ValueError as error:
            return [str(error)]
        flat = values.reshape(math.prod(values.shape[:2]), -1)
        constant = np.ptp(flat, axis=1) <= CONSTANT * np.abs(flat).max(axis=1)
        if constant.any():
            number, frame = divmod(int(np.flatnonzero(constant)[0]), source.shape[1])
            return [
                f"{source.path}: the field is constant, first in trajectory {start + number}, "
                f"frame {frame}"
            ]
    return []


def find_files(places: Sequence[str]) -> list[Path]:
    """Return the files meant: those named, and those in and below the folders named.

    Raises:
        ValueError: a place does not exist or holds no such file.
    """
    found: list[Path] = []
    for place in (Path(name).expanduser() for name in places):
        files = [place]
        if place.is_dir():
            files = sorted(path for pattern in FILE_PATTERNS for path in place.rglob(pattern))
        if not files or not place.exists():
            raise ValueError(f"{place} is no file and holds none of {', '.join(FILE_PATTERNS)}")
        found += files
    return found


def _sentences(places: Sequence[str]) -> Iterator[tuple[str, bool]]:
    for path in find_files(places):
        summary, problems = check_file(path)
        yield summary, False
        yield from ((problem, True) for problem in problems)


def main(arguments: Sequence[str]) -> int:
    """Print every file and problem; return 0 if there is none, 1 otherwise, 2 for wrong paths."""
    usage = "python data_scripts/pde/check.py PATH.. (data files or folders)"
    return run_check(arguments, usage, _sentences)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
