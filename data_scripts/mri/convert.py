"""What all converters share: which file is in which split, coil maps, targets, writing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex

from data_scripts.mri.centred_fft import fft_centred, ifft_centred, resize_centred
from data_scripts.mri.coil_maps import (
    METHODS,
    check_map_options,
    combine_rss,
    combine_sense,
    estimate_maps,
)
from data_scripts.mri.intake import HeaderFindings, Intake, hybrid_slices
from data_scripts.mri.kspace_findings import Finding, check_kinds
from data_scripts.mri.output import ScanJob, ScanRecipe, scan_name
from data_scripts.mri.schema import SPLITS, ScanInfo, ScanShape, ScanWriter
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
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    out: str = ""
    maps: str = "espirit"
    calibration: int = 24
    kernel: int = 6
    threshold: float = 0.02
    crop: float = 0.95
    target: str = "sense"
    accept: list[str] = field(default_factory=list)


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
        require_one_of(self, {"maps": METHODS, "target": ("sense", "rss")})
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


def write_converted(
    config: CoilOptions,
    source: Path,
    info: ScanInfo,
    shape: ScanShape,
    measured: Callable[[int], Complex[np.ndarray, "echoes coils kx ky"]],
    *,
    maps: Complex[np.ndarray, "slices coils ky kz"] | None = None,
    findings: Sequence[Finding] = (),
    of_header: HeaderFindings = lambda _: (),
) -> None:
    """Write one scan: k-space on its grid, maps of the first echo, the combination as target.

    Samples that are zero in every slice, echo and coil are marked as not acquired.

    Args:
        config: output folder, maps, target, and what is accepted.
        source: the file it comes from, for errors.
        info: attributes of the scan.
        shape: its sizes; the grid may be smaller than the measured one, which is then cropped in
            image space.
        measured: gives k-space of a slice, centred and orthonormal, in acquired units; asked twice,
            so that nothing is estimated before every slice was looked at.
        maps: maps of each slice; estimated when None.
        findings: what is wrong with the scan as a whole, as far as it is known.
        of_header: what is wrong between a header and where slices are not zero.

    Raises:
        ValueError: if k-space is no ground truth (`kspace_findings`), unless that was accepted, or
            the maps cannot be estimated.
    """
    out = Path(config.out)
    intake = Intake(source, config.accept)
    intake.refuse(findings)
    for index in range(shape.n_slices):
        intake.look(measured(index))
    intake.judge_kspace(of_header)
    with ScanWriter(out / f"{info.scan_id}.h5", info, shape) as writer:
        for index in range(shape.n_slices):
            kspace = crop_images(measured(index), shape.grid).astype(np.complex64)
            slice_maps = (
                estimate_maps(
                    kspace[0],
                    method=config.maps,
                    calibration=config.calibration,
                    kernel=config.kernel,
                    threshold=config.threshold,
                    crop=config.crop,
                    cache_dir=out / "maps_cache",
                )
                if maps is None
                else maps[index]
            )
            intake.look_at_maps(kspace, slice_maps)
            combine_all = config.target == "rss"
            target = combine_rss(kspace) if combine_all else combine_sense(kspace, slice_maps)
            writer.write(index, kspace, slice_maps, target)
        intake.judge_maps()
        acquired = intake.acquired(shape.grid)
        if not acquired.all():
            writer.write_mask("acquired", acquired)


def write_volume(
    config: CoilOptions,
    job: ScanJob,
    details: dict[str, Any],
    kspace: Complex[np.ndarray, "slices echoes coils x y z"],
    n_keep: int,
    *,
    kind: str,
    maps: Complex[np.ndarray, "slices coils x y z"] | None = None,
    findings: Sequence[Finding] = (),
) -> None:
    """Write one scan that is in memory: 2-D slices, or a 3-D volume in hybrid space.

    Args:
        config: as for `write_converted`.
        job: the scan, of one file.
        details: what the scan remembers of its making.
        kspace: centred, in any unit; x is the readout, z has one sample where slices are 2-D.
        n_keep: central pixels along x that are kept: without the oversampling.
        kind: of the file, for its source.
        maps: on the pixels that are kept; estimated when None.
        findings: what is wrong with the scan as a whole, as far as it is known.

    Raises:
        ValueError: as `write_converted`, or if there are several volumes.
    """
    path = job.files[0]
    hybrid = kspace.shape[-1] > 1
    if hybrid:
        if len(kspace) > 1:
            raise ValueError(
                f"{path} has {len(kspace)} slabs of {kspace.shape[-1]} partitions (z); convert one "
                "of them at a time (of BART's files `bart slice 13` takes one)"
            )
        slices, of_axes = hybrid_slices(path, kspace[0], n_keep)
        findings = [*findings, *of_axes]
        maps = None if maps is None else np.moveaxis(maps[0], -3, 0)
        grid = slices.shape[-2:]
    else:
        slices = np.ascontiguousarray(kspace[..., 0], np.complex64)
        maps = None if maps is None else maps[..., 0]
        grid = (n_keep, slices.shape[-1])
    n_slices, n_echoes, n_coils = slices.shape[:3]
    info = ScanInfo(
        scan_id=job.name,
        split=job.split,
        source=f"{kind} file {path.name}",
        licence=job.licence,
        echo_names=tuple(f"echo{i + 1}" for i in range(n_echoes)),
        hybrid_axes="x" if hybrid else "",
        target_kind=config.target,
        details=details,
    )
    shape = ScanShape(n_slices, n_echoes, n_coils, (grid[0], grid[1]))
    write_converted(config, path, info, shape, slices.__getitem__, maps=maps, findings=findings)


def crop_images(
    kspace: Complex[np.ndarray, "*batch ky kz"], grid: tuple[int, int]
) -> Complex[np.ndarray, "*batch ky_new kz_new"]:
    """Return k-space of the central (or zero-padded) field of view with `grid` pixels.

    Axes that keep their length are not touched, so that lines without data stay exactly zero.
    """
    axes = [axis for axis in (-2, -1) if kspace.shape[axis] != grid[axis]]
    if not axes:
        return kspace
    images = resize_centred(ifft_centred(kspace, axes), [grid[axis] for axis in axes], axes)
    return fft_centred(images, axes)
