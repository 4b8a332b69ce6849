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

from mri.schema import read_info


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
        ValueError: if other scans are there already.
    """
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


def is_done(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Tell whether a scan was already made by this recipe, so that a broken run can go on.

    Args:
        path: the prepared scan.
        recipe: what `ScanInfo.details["recipe"]` must be.
    """
    if not path.is_file():
        return False
    try:
        info, _ = read_info(path)
    except ValueError:
        return False
    return bool(info.details.get("recipe") == json.loads(json.dumps(dict(recipe))))


def scan_name(path: Path) -> str:
    """Return the name of the scan made from a source file: the file's, without endings."""
    return path.name.split(".")[0]


def scan_recipe(config: object, split: str) -> dict[str, Any]:
    """Return the options of a converter that decide what one scan looks like."""
    other = ("out", "train", "valid", "test", "max_scans", "source_dir", "mirror")
    options = dataclasses.asdict(config)  # type: ignore[call-overload]
    return {**{k: v for k, v in options.items() if k not in other}, "split": split}


def convert_all(
    config: Any, jobs: Sequence[tuple[Path, str]], convert: Callable[[Path, str], None]
) -> None:
    """Convert every (file, split) that is not there yet, with progress.

    Args:
        config: options of the converter; `out` is the folder.
        jobs: source files with their split; a scan has the `scan_name` of its file.
        convert: makes `<out>/<scan_name>.h5` from one file.

    Raises:
        ValueError: if the folder holds other scans, or two files have one name.
    """
    out = Path(config.out)
    names = [scan_name(path) for path, _ in jobs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two source files are called {twice!r}; rename one")
    start_dataset(out, names)
    with progress_bar() as progress:
        task = progress.add_task(f"converting {len(jobs)} scans into {out}", total=len(jobs))
        for (path, split), name in zip(jobs, names, strict=True):
            if not is_done(out / f"{name}.h5", scan_recipe(config, split)):
                convert(path, split)
            progress.advance(task)


def finish_dataset(out: Path, config: object, description: Mapping[str, Any]) -> None:
    """Write the manifest of all scans in `out`, then `metadata.yaml`, which marks it complete.

    Args:
        out: folder of prepared scans.
        config: dataclass of the script's options, kept in the metadata.
        description: what was measured or simulated: equation, grid, units, source, licence.
    """
    manifest = {}
    for path in sorted(out.glob("*.h5")):
        info, shape = read_info(path)
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


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    temporary.replace(path)
