"""What all converters share: which file is in which split, coil maps, targets, writing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Complex

from data_scripts.mri.centred_fft import crop_images
from data_scripts.mri.coil_maps import (
    METHODS,
    check_map_options,
    combine_rss,
    combine_sense,
    echo_of_maps,
    estimate_maps,
)
from data_scripts.mri.intake import Intake
from data_scripts.mri.kspace_findings import check_kinds
from data_scripts.mri.measured import MeasuredScan
from data_scripts.mri.output import ScanJob, ScanRecipe, scan_name
from data_scripts.mri.partial_fourier import complete_pocs
from data_scripts.mri.schema import SPLITS, ScanInfo, ScanWriter
from data_scripts.recipe import require_one_of
from monarch_core.runs.fingerprint import fingerprint_files


@dataclass
class CoilOptions:
    """How coil maps and targets are made of k-space.

    Attributes:
        out: folder to make.
        maps: how coil maps are estimated, espirit or jsense.
        calibration: side of the central square used for them, in samples.
        kernel: width of their k-space kernel, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        partial_fourier: pocs: targets are made of k-space whose unmeasured side is completed from
            the measured one; none: of what was measured.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    out: str = ""
    maps: str = "espirit"
    calibration: int = 24
    kernel: int = 6
    threshold: float = 0.02
    crop: float = 0.95
    target: str = "sense"
    partial_fourier: str = "none"
    accept: list[str] = field(default_factory=list)

    @property
    def target_kind(self) -> str:
        """What targets are, in the words of prepared scans."""
        return "pocs" if self.partial_fourier == "pocs" else self.target

    def estimate(
        self, kspace: Complex[np.ndarray, "coils ky kz"]
    ) -> Complex[np.ndarray, "coils ky kz"]:
        """Return the maps of a slice, or those that were estimated before."""
        return estimate_maps(
            kspace,
            method=self.maps,
            calibration=self.calibration,
            kernel=self.kernel,
            threshold=self.threshold,
            crop=self.crop,
            cache_dir=Path(self.out) / "maps_cache",
        )

    def combine(
        self,
        kspace: Complex[np.ndarray, "echoes coils ky kz"],
        maps: Complex[np.ndarray, "coils ky kz"],
        acquired: Bool[np.ndarray, "ky kz"],
    ) -> Complex[np.ndarray, "echoes ky kz"]:
        """Return the target of a slice."""
        if self.partial_fourier == "pocs":
            return combine_sense(complete_pocs(kspace, acquired), maps)
        return combine_rss(kspace) if self.target == "rss" else combine_sense(kspace, maps)


@dataclass
class ConvertRecipe(CoilOptions, ScanRecipe):
    """Scans converted from files that you have, each of one file (and what lies beside it).

    Attributes:
        out: folder to make.
        train: files or folders of the training scans.
        valid: files or folders of the validation scans.
        test: files or folders of the test scans; empty: every second subject of `valid`.
        max_scans: scans per split, 0 for all; for a first try on part of a large set.
        maps: how coil maps are estimated, espirit or jsense.
        calibration: side of the central square used for them, in samples.
        kernel: width of their k-space kernel, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        partial_fourier: pocs: targets are made of k-space whose unmeasured side is completed from
            the measured one; none: of what was measured.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    OF_THE_SET: ClassVar[tuple[str, ...]] = ("train", "valid", "test", "max_scans", "accept")
    # Ending of the names of files, and where the data can be had, for when none was given.
    ENDING: ClassVar[str] = ".h5"
    HELP: ClassVar[str] = ""

    train: list[str] = field(default_factory=list)
    valid: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    max_scans: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed: dict[str, tuple[str, ...]] = {"maps": METHODS, "target": ("sense", "rss")}
        require_one_of(self, {**allowed, "partial_fourier": ("none", "pocs")})
        if self.partial_fourier == "pocs" and self.target == "rss":
            raise ValueError(
                "partial_fourier=pocs completes the target=sense, got target=rss; use one of them"
            )
        check_map_options(self.calibration, self.kernel, self.threshold, self.crop)
        if self.max_scans < 0:
            raise ValueError(f"max_scans must not be negative, got {self.max_scans}; 0 takes all")
        check_kinds(self.accept)

    def identity(self) -> dict[str, Any]:
        """Return the options that the scans depend on; files count by their content."""
        return self.options((*self.PLACES, "train", "valid", "test"))

    def subject_of(self, path: Path) -> str:
        """Return the subject a file belongs to, who must stay in one split."""
        return path.stem

    def is_scan(self, path: Path) -> bool:
        """Return whether a file is a scan, where others have the same ending."""
        return True

    def files_of(self, path: Path) -> list[Path]:
        """Return all files that a scan is made from."""
        return [path]

    @property
    def licence_of_files(self) -> str:
        """Licence of the data."""
        return "not stated"

    def jobs(self) -> list[ScanJob]:
        """Return a scan for each source file of the splits."""
        places = {split: getattr(self, split) for split in SPLITS}
        return self.jobs_of(places, self.licence_of_files)

    def jobs_of(self, places: Mapping[str, Sequence[str]], licence: str) -> list[ScanJob]:
        """Return a scan for each source file, given where to look for each split."""
        return [
            ScanJob(scan_name(path), split, licence, tuple(self.files_of(path)))
            for path, split in self.find_scans(places)
        ]

    def details(self, job: ScanJob) -> dict[str, Any]:
        """Return what a scan remembers, the content of its files and what was accepted included."""
        recipe = {**super().details(job)["recipe"], "source": fingerprint_files(job.files)}
        return {"recipe": recipe, "accept": list(self.accept)}

    def find_scans(self, places: Mapping[str, Sequence[str]]) -> list[tuple[Path, str]]:
        """Return the source files with their split, given where to look for each split.

        Raises:
            ValueError: if a split has no file, a path is missing, or a subject is in two splits.
        """
        if not places["train"] and not places["valid"]:
            raise ValueError(self.HELP)
        found = {
            split: [path for path in _files(where, self.ENDING) if self.is_scan(path)]
            for split, where in places.items()
        }
        subject = {path: self.subject_of(path) for paths in found.values() for path in paths}
        if not places["test"]:
            kept = set(sorted({subject[path] for path in found["valid"]})[::2])
            found["test"] = [path for path in found["valid"] if subject[path] not in kept]
            found["valid"] = [path for path in found["valid"] if subject[path] in kept]
        home: dict[str, str] = {}
        scans = []
        for split, paths in found.items():
            chosen = paths[: self.max_scans or None]
            if not chosen:
                raise ValueError(
                    f"the split {split} has no scan; give files or folders with {split}=[..] (an "
                    "empty test takes every second subject of valid, which then needs at least two)"
                )
            for path in chosen:
                first = home.setdefault(subject[path], split)
                if first != split:
                    raise ValueError(
                        f"the subject {subject[path]} is in {first} and {split}; a subject belongs "
                        "to one split"
                    )
                scans.append((path, split))
        return scans


def _files(places: Sequence[str], ending: str) -> list[Path]:
    paths: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            found = sorted(path for path in place.glob(f"*{ending}") if path.is_file())
            if not found:
                raise ValueError(f"{place} holds no *{ending} file; give another folder, or files")
            paths += found
        elif not place.is_file():
            raise ValueError(f"{place} does not exist; give files or folders that do")
        elif not place.name.endswith(ending):
            raise ValueError(f"{place} is no *{ending} file; give one, or a folder of them")
        else:
            paths.append(place)
    return paths


def convert_measured(
    config: CoilOptions, job: ScanJob, details: Mapping[str, Any], scan: MeasuredScan, source: str
) -> None:
    """Write the scan of a job from a file that is open; errors as `write_converted`.

    Args:
        config: as for `write_converted`.
        job: the scan, of one file.
        details: what the scan remembers of its making.
        scan: the file.
        source: where the data came from, for the attributes.
    """
    info = ScanInfo(
        scan_id=job.name,
        split=job.split,
        source=source,
        licence=job.licence,
        echo_names=scan.echo_names,
        hybrid_axes=scan.hybrid_axes,
        target_kind=config.target_kind,
        details={**details, **scan.details},
    )
    write_converted(config, info, scan)


def write_converted(config: CoilOptions, info: ScanInfo, scan: MeasuredScan) -> None:
    """Write one scan: k-space on its grid, maps of the first echo with a signal, targets.

    Samples that are zero in every slice, echo and coil are marked as not acquired.

    Args:
        config: output folder, maps, target, and what is accepted.
        info: attributes of the scan.
        scan: what was measured; every slice is read twice, so that nothing is estimated before all
            were looked at.

    Raises:
        ValueError: if k-space is no ground truth (`kspace_findings`), unless that was accepted, or
            the maps cannot be estimated.
    """
    out, shape = Path(config.out), scan.shape
    intake = Intake(scan.path, config.accept)
    intake.refuse(scan.findings())
    for index in range(shape.n_slices):
        intake.look(scan.read(index))
    intake.judge_kspace(scan.of_header)
    acquired = intake.acquired(shape.grid)
    with ScanWriter(out / f"{info.scan_id}.h5", info, shape) as writer:
        for index in range(shape.n_slices):
            kspace = crop_images(scan.read(index), shape.grid).astype(np.complex64)
            maps = scan.maps(index) if scan.maps else config.estimate(kspace[echo_of_maps(kspace)])
            intake.look_at_maps(kspace, maps)
            writer.write(index, kspace, maps, config.combine(kspace, maps, acquired))
        intake.judge_maps()
        if not acquired.all():
            writer.write_mask("acquired", acquired)
        for name, mask in scan.masks.items():
            writer.write_mask(name, mask)
