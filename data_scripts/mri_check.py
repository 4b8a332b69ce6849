"""Check prepared MRI scans: `python data_scripts/mri_check.py PATH..` (files or folders)."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pooch
from rich.console import Console

from mri.schema_check import check_scan


def check_paths(places: Sequence[str]) -> list[str]:
    """Return the problems of all scans in some files and folders, one sentence each.

    In a folder, the scans are also compared with its `manifest.json`, if there is one.

    Raises:
        ValueError: if a place does not exist or holds no scan.
    """
    problems = []
    for place in map(Path, places):
        paths = sorted(place.glob("*.h5")) if place.is_dir() else [place]
        manifest_path = place / "manifest.json"
        manifest = json.loads(manifest_path.read_text()) if manifest_path.is_file() else {}
        if not paths and not manifest:
            raise ValueError(f"{place} holds no prepared scan (*.h5)")
        missing = sorted(set(manifest) - {path.name for path in paths})
        problems += [f"{place / name}: listed in manifest.json, but missing" for name in missing]
        for path in paths:
            found = check_scan(path)
            if (
                not found
                and path.name in manifest
                and pooch.file_hash(str(path), alg="sha256") != manifest[path.name]["sha256"]
            ):
                found = [f"{path}: changed since it was made (its SHA-256 is not in manifest.json)"]
            problems += found
    return problems


def main(arguments: Sequence[str]) -> int:
    """Print every problem; return 0 if there is none, 1 otherwise, 2 for wrong arguments."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not arguments or arguments[0] in ("-h", "--help"):
        console.print("usage: python data_scripts/mri_check.py PATH.. (prepared scans or folders)")
        return 0 if arguments else 2
    try:
        problems = check_paths(arguments)
    except ValueError as error:
        console.print(f"error: {error}")
        return 2
    for problem in problems:
        console.print(problem)
    if not problems:
        console.print("no problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
