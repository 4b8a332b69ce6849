"""Check prepared MRI scans: `python data_scripts/mri/check.py PATH..` (files or folders)."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pooch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.mri.dataset_check import check_together, describe_grids
from data_scripts.mri.schema import Scan, read_info
from data_scripts.mri.schema_check import check_scan
from data_scripts.problems import run_check


def check_paths(places: Sequence[str]) -> list[str]:
    """Return the problems of all scans in some files and folders, one sentence each.

    In a folder, the scans are also compared with each other, and with its `manifest.json` if there
    is one.

    Raises:
        ValueError: if a place does not exist or holds no scan.
    """
    problems = []
    for place in (Path(name).expanduser() for name in places):
        paths = sorted(place.glob("*.h5")) if place.is_dir() else [place]
        sums = _checksums(place / "manifest.json")
        if not paths and not sums:
            raise ValueError(
                f"{place} holds no prepared scan (*.h5); give a folder that does, or files"
            )
        missing = sorted(set(sums) - {path.name for path in paths})
        problems += [f"{place / name}: listed in manifest.json, but missing" for name in missing]
        of_scans: list[str] = []
        for path in paths:
            found = check_scan(path)
            changed = path.name in sums and sums[path.name] != pooch.file_hash(str(path))
            if not found and changed:
                found = [f"{path}: changed since it was made (its SHA-256 is not in manifest.json)"]
            of_scans += found
        problems += of_scans or _together_problems(paths)
    return problems


def grid_notes(places: Sequence[str]) -> list[str]:
    """Return a sentence for each folder whose scans, all sound, have several grids.

    It is no problem: fastMRI has many, of which a configuration takes the most common one.
    """
    folders = [path for path in (Path(name).expanduser() for name in places) if path.is_dir()]
    found = [(folder, describe_grids(_scans(sorted(folder.glob("*.h5"))))) for folder in folders]
    return [f"note: {folder}: {text}" for folder, text in found if text]


def _scans(paths: Sequence[Path]) -> list[Scan]:
    return [Scan(path, *read_info(path)) for path in paths]


def _together_problems(paths: Sequence[Path]) -> list[str]:
    try:
        check_together(_scans(paths), stored_targets=True, allow_duplicates=False)
    except ValueError as error:
        return [str(error)]
    return []


def _checksums(manifest: Path) -> dict[str, str]:
    """Return the SHA-256 of each scan by its file name; nothing without a manifest."""
    if not manifest.is_file():
        return {}
    try:
        entries = json.loads(manifest.read_text())
        return {name: str(entry["sha256"]) for name, entry in entries.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{manifest} is damaged ({error!r}): it does not give the SHA-256 of each scan; "
            "prepare the data again, or delete it to check the scans alone"
        ) from error


def _sentences(places: Sequence[str]) -> Iterator[tuple[str, bool]]:
    problems = check_paths(places)
    yield from ((problem, True) for problem in problems)
    if not problems:
        yield from ((note, False) for note in grid_notes(places))


def main(arguments: Sequence[str]) -> int:
    """Print every problem; return 0 if there is none, 1 otherwise, 2 for wrong arguments."""
    usage = "python data_scripts/mri/check.py PATH.. (prepared scans or folders)"
    return run_check(arguments, usage, _sentences)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
