"""What every MRI data script leaves behind: scans, `metadata.yaml` and `manifest.json`."""

import dataclasses
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pooch
from omegaconf import OmegaConf
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from data_scripts.file_names import plain_name
from data_scripts.mri.dataset_check import describe_grids
from data_scripts.mri.schema import Scan, read_info
from monarch_core.runs.fingerprint import fingerprint_files


def progress_bar() -> Progress:
    """Return a progress bar on standard error that ends with the elapsed time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def start_dataset(out: Path, names: Collection[str]) -> None:
    """Make the folder of a dataset and refuse one that holds scans of something else.

    Args:
        out: folder of prepared scans.
        names: scans that are about to be made (`<name>.h5`).

    Raises:
        ValueError: if it is a file, or other scans are there already.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; write the dataset into a folder with out=FOLDER")
    out.mkdir(parents=True, exist_ok=True)
    others = sorted(path.stem for path in out.glob("*.h5") if path.stem not in names)
    if others:
        raise ValueError(
            f"{out} holds {len(others)} scans that these options do not make ({others[0]}, ..): "
            "delete the folder, or write elsewhere with out=FOLDER"
        )
    _remove_leftovers(out)
    # the mark of a complete dataset; it comes back when everything is there
    (out / "metadata.yaml").unlink(missing_ok=True)


def _remove_leftovers(out: Path) -> None:
    """Delete the unfinished files of processes that were killed: `.<name>.<process>.part`."""
    for path in out.glob(".*.part"):
        process = path.name.split(".")[-2]
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except (ValueError, PermissionError):
            continue  # not ours, or still at work


def is_done(path: Path, recipe: Mapping[str, Any], accept: Collection[str] = ()) -> bool:
    """Tell whether a scan was already made by this recipe, so that a broken run can go on.

    Args:
        path: the prepared scan.
        recipe: what `ScanInfo.details["recipe"]` must be.
        accept: kinds of findings that may have been accepted then.
    """
    if not path.is_file():
        return False
    try:
        info, _ = read_info(path)
    except ValueError:
        return False
    same = info.details.get("recipe") == json.loads(json.dumps(dict(recipe)))
    return same and set(info.accepted) <= set(accept)


def scan_name(path: Path) -> str:
    """Return the name of the scan made from a source file: the file's, without its ending."""
    return plain_name(path.stem, f"the name of the scan in {path}")


def scan_details(config: Any, split: str, sources: Sequence[Path]) -> dict[str, Any]:
    """Return what a scan remembers of its making, to be made again when any of it changes.

    Args:
        config: dataclass of the converter's options, with `accept`.
        split: split of the scan.
        sources: files that it is made from; their content counts, not their names.
    """
    other = ("out", "train", "valid", "test", "max_scans", "source_dir", "mirror", "accept")
    options = {k: v for k, v in dataclasses.asdict(config).items() if k not in other}
    recipe = {**options, "split": split, "source": fingerprint_files(sources)}
    return {"recipe": recipe, "accept": list(config.accept)}


def convert_all(
    config: Any,
    jobs: Sequence[tuple[Path, str]],
    convert: Callable[[Path, str, dict[str, Any]], None],
    sources: Callable[[Path], Sequence[Path]] = lambda path: [path],
) -> None:
    """Convert every (file, split) that is not there yet, with progress.

    Args:
        config: options of the converter; `out` is the folder.
        jobs: source files with their split; a scan has the `scan_name` of its file.
        convert: makes `<out>/<scan_name>.h5` from one file, its split and the scan's details.
        sources: all files that a scan is made from.

    Raises:
        ValueError: if the folder holds other scans, two files have one name, or a file is refused.
    """
    out = Path(config.out)
    names = [scan_name(path) for path, _ in jobs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        places = [str(path) for (path, _), name in zip(jobs, names, strict=True) if name == twice]
        raise ValueError(
            f"two source files are called {twice!r} ({', '.join(places)}): both would become "
            f"{out / twice}.h5; rename one, or give it once"
        )
    start_dataset(out, names)
    with progress_bar() as progress:
        task = progress.add_task(f"converting {len(jobs)} scans into {out}", total=len(jobs))
        for (path, split), name in zip(jobs, names, strict=True):
            details = scan_details(config, split, sources(path))
            if not is_done(out / f"{name}.h5", details["recipe"], details["accept"]):
                _convert_one(path, split, details, convert)
            progress.advance(task)


def _convert_one(
    path: Path,
    split: str,
    details: dict[str, Any],
    convert: Callable[[Path, str, dict[str, Any]], None],
) -> None:
    try:
        convert(path, split, details)
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def finish_dataset(out: Path, config: object, description: Mapping[str, Any]) -> None:
    """Write the manifest of all scans in `out`, then `metadata.yaml`, which marks it complete.

    Scans of several grids are told on standard error: one model serves one of them.

    Args:
        out: folder of prepared scans.
        config: dataclass of the script's options, kept in the metadata.
        description: what was measured or simulated: equation, grid, units, source, licence.
    """
    manifest = {}
    scans = [Scan(path, *read_info(path)) for path in sorted(out.glob("*.h5"))]
    for path, info, shape in ((scan.path, scan.info, scan.shape) for scan in scans):
        manifest[path.name] = {
            "scan_id": info.scan_id,
            "split": info.split,
            "slices": shape.n_slices,
            "echoes": list(info.echo_names),
            "coils": shape.n_coils,
            "grid": list(shape.grid),
            "bytes": path.stat().st_size,
            "sha256": pooch.file_hash(str(path), alg="sha256"),
        }
    _write(out / "manifest.json", json.dumps(manifest, indent=1))
    metadata = {**description, "config": dataclasses.asdict(config)}  # type: ignore[call-overload]
    _write(out / "metadata.yaml", OmegaConf.to_yaml(OmegaConf.create(metadata)))
    if text := describe_grids(scans):
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        console.print(f"note: {out}: {text}")


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    temporary.replace(path)
