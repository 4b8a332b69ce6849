"""What every MRI recipe does around its own scans: which are missing, metadata and manifest."""

import contextlib
import json
import os
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pooch
from rich.console import Console

from data_scripts.file_names import plain_name
from data_scripts.mri.dataset_check import describe_grids
from data_scripts.mri.schema import Scan, read_info
from data_scripts.recipe import METADATA, Recipe, write_metadata
from data_scripts.replaced import replaced_source
from data_scripts.resumable import progress_bar, run_jobs
from monarch_core.runs.files import remove_leftovers, write_text
from monarch_core.runs.plain_files import read_yaml


@dataclass(frozen=True)
class ScanJob:
    """A scan to make.

    Attributes:
        name: of the scan and its file, `<name>.h5`.
        split: train, valid or test.
        licence: of what it is made from.
        files: what it is made from, the most important first; their content counts, not their
            names.
        about: what else its recipe wants to know of it.
    """

    name: str
    split: str
    licence: str
    files: tuple[Path, ...] = ()
    about: Any = None


@dataclass
class ScanRecipe(Recipe):
    """Prepared scans in one folder.

    Options that are left at their defaults take what is in a folder that is there already.

    Attributes:
        out: folder to make.
    """

    PLACES: ClassVar[tuple[str, ...]] = ("out", "source_dir", "mirror", "n_workers")
    # Options that do not change what one scan looks like, beside its place.
    OF_THE_SET: ClassVar[tuple[str, ...]] = ()

    out: str = ""

    @property
    def folder(self) -> Path:
        """Where the scans are, or are to be."""
        return Path(self.out)

    def identity(self) -> dict[str, Any]:
        """Return the options that the scans depend on."""
        return self.options(self.PLACES)

    @abstractmethod
    def jobs(self) -> Sequence[ScanJob]:
        """Return the scans of the set, having fetched what they are made from.

        Raises:
            ValueError: if something is missing, or a split has no scan.
        """

    @abstractmethod
    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Make `<out>/<name>.h5`, with `details` among what it remembers."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Return what was measured or simulated: equation, grid, units, source."""

    @property
    def n_processes(self) -> int:
        """How many scans are made at a time."""
        return 1

    def details(self, job: ScanJob) -> dict[str, Any]:
        """Return what a scan remembers of its making, to be made again when any of it changes."""
        options = self.options(("name", *self.PLACES, *self.OF_THE_SET))
        return {"recipe": {**options, "split": job.split}}

    def make(self, console: Console) -> None:
        """Make the scans that are missing, then the manifest and the metadata.

        Raises:
            ValueError: if the folder holds other scans, or what scans are made from, or a source
                is missing or refused.
            OSError: if a file cannot be written, or a worker process was killed.
        """
        jobs, out = self.jobs(), self.folder
        _refuse_twins(jobs, out)
        _refuse_sources(jobs, out)
        start_dataset(out, [job.name for job in jobs])
        with progress_bar(console) as progress:
            task = progress.add_task(f"making {len(jobs)} scans in {out}", total=len(jobs))
            with contextlib.closing(run_jobs(self._make_missing, jobs, self.n_processes)) as done:
                for _ in done:
                    progress.advance(task)
        about = {"name": out.name, **self.description(), "licence": jobs[0].licence}
        finish_dataset(out, {**about, "config": self.options()}, console)

    def _make_missing(self, job: ScanJob) -> None:
        details = self.details(job)
        accept = details.get("accept", ())
        if is_done(self.folder / f"{job.name}.h5", details["recipe"], accept):
            return
        try:
            self.make_scan(job, details)
        except ValueError as error:
            if not job.files or str(job.files[0]) in str(error):
                raise
            raise ValueError(f"{job.files[0]}: {error}") from error

    def made_with(self) -> dict[str, Any]:
        """Return the options that the scans in the folder were made with.

        Raises:
            ValueError: if the metadata do not hold them.
        """
        metadata = self.folder / METADATA
        remedy = (
            "it does not tell how the scans were prepared; delete it, and they are prepared again"
        )
        try:
            stored = read_yaml(metadata)
        except ValueError as error:
            raise ValueError(f"{metadata} is damaged ({error}): {remedy}") from error
        options = stored.get("config") if isinstance(stored, dict) else None
        if not isinstance(options, dict):
            raise ValueError(f"{metadata} has no config: {remedy}")
        return {str(name): value for name, value in options.items()}

    def check(self) -> None:
        """Compare the options that differ from the defaults with those of the scans there.

        Raises:
            ValueError: naming the option, what it is and what it was.
        """
        made_with, defaults = self.made_with(), type(self)().options()
        remedy = f"delete {self.folder}, or give another folder (dataset.root)"
        if made_with.get("name", self.name) != self.name:
            raise ValueError(
                f"{self.folder} was prepared by the recipe {made_with['name']!r}, not by "
                f"{self.name!r}; {remedy}, or dataset.recipe=null to take it as it is"
            )
        for name, value in self.options(self.PLACES).items():
            if value == made_with.get(name, defaults[name]) or value == defaults[name]:
                continue
            if name not in made_with:
                raise ValueError(
                    f"{self.folder} was prepared without an option {name!r}, only "
                    f"{sorted(made_with)}; leave dataset.recipe.{name} out, or {remedy}"
                )
            raise ValueError(
                f"{self.folder} was prepared with {name}={made_with[name]!r}, but "
                f"dataset.recipe.{name} is {value!r}; {remedy}"
            )


def scan_name(path: Path) -> str:
    """Return the name of the scan made from a source file: the file's, without its ending."""
    return plain_name(path.stem, f"the name of the scan in {path}")


def _refuse_twins(jobs: Sequence[ScanJob], out: Path) -> None:
    names = [job.name for job in jobs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        places = [str(path) for job in jobs if job.name == twice for path in job.files[:1]]
        raise ValueError(
            f"two source files are called {twice!r} ({', '.join(places)}): both would become "
            f"{out / twice}.h5; rename one, or give it once"
        )


def _refuse_sources(jobs: Sequence[ScanJob], out: Path) -> None:
    """Refuse a folder where a scan would take the place of a file that one is made from."""
    places = (out / f"{job.name}.h5" for job in jobs)
    replaced = replaced_source(places, (path for job in jobs for path in job.files))
    if replaced is not None:
        raise ValueError(
            f"{replaced[1]} is what a scan is made from, and the scan would take its place in "
            f"{out}; write to another folder (out=FOLDER, or dataset.root)"
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
    remove_leftovers(out)
    remove_unfinished(out, "*")
    # the mark of a complete dataset; it comes back when everything is there
    (out / METADATA).unlink(missing_ok=True)


def remove_unfinished(folder: Path, name: str) -> None:
    """Delete the unfinished files of processes that were killed: `.<name>.<process>.part`.

    Args:
        folder: where they are.
        name: of the file that was to be made, as a pattern.
    """
    for path in folder.glob(f".{name}.part"):
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


def finish_dataset(out: Path, metadata: Mapping[str, Any], console: Console) -> None:
    """Write the manifest of all scans in `out`, then `metadata.yaml`, which marks it complete.

    Scans of several grids are told: one model serves one of them.
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
    write_text(out / "manifest.json", json.dumps(manifest, indent=1))
    write_metadata(out, metadata)
    if text := describe_grids(scans):
        console.print(f"note: {out}: {text}")
