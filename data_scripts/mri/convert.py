"""What all converters share: which file is in which split, coil maps, targets, writing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex

from data_scripts.mri.centred_fft import fft_centred, ifft_centred, resize_centred
from data_scripts.mri.coil_maps import METHODS, combine_rss, combine_sense, estimate_maps
from data_scripts.mri.intake import HeaderFindings, Intake, hybrid_slices
from data_scripts.mri.kspace_findings import Finding, check_kinds
from data_scripts.mri.output import scan_name
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter


@dataclass
class ConvertConfig:
    """Options that every converter has.

    Attributes:
        out: folder to make.
        train: files or folders of the training scans.
        valid: files or folders of the validation scans.
        test: files or folders of the test scans; empty: every second subject of `valid`.
        max_scans: scans per split, 0 for all; for a first try on part of a large set.
        maps: how coil maps are estimated, espirit or jsense.
        calibration: side of the central square used for them, in samples.
        kernel: width of their k-space kernel, in samples.
        target: sense or rss.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    out: str
    train: list[str] = field(default_factory=list)
    valid: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    max_scans: int = 0
    maps: str = "espirit"
    calibration: int = 24
    kernel: int = 6
    target: str = "sense"
    accept: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("maps", self.maps, METHODS),
            ("target", self.target, ("sense", "rss")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}")
        if not 1 <= self.kernel <= self.calibration:
            raise ValueError(
                f"1 <= kernel <= calibration must hold, got kernel={self.kernel} and "
                f"calibration={self.calibration}; usual are 6 and 24"
            )
        if self.max_scans < 0:
            raise ValueError(f"max_scans must not be negative, got {self.max_scans}; 0 takes all")
        check_kinds(self.accept)


def find_scans(
    config: ConvertConfig,
    ending: str,
    subject_of: Callable[[Path], str],
    portal: str,
    is_scan: Callable[[Path], bool] = lambda _: True,
) -> list[tuple[Path, str]]:
    """Return the source files with their split.

    Args:
        config: where to look.
        ending: ending of the file names, for example `.h5`.
        subject_of: the subject a file belongs to, who must stay in one split.
        portal: where the data can be had, for the error when nothing was given.
        is_scan: whether a file is a scan, where others have the same ending.

    Raises:
        ValueError: if a split has no file, a path is missing, or a subject is in two splits.
    """
    if not config.train and not config.valid:
        raise ValueError(portal)
    found = {
        name: [path for path in _files(getattr(config, name), ending) if is_scan(path)]
        for name in ("train", "valid", "test")
    }
    if not config.test:
        subjects = sorted({subject_of(path) for path in found["valid"]})
        kept = set(subjects[::2])
        found["test"] = [path for path in found["valid"] if subject_of(path) not in kept]
        found["valid"] = [path for path in found["valid"] if subject_of(path) in kept]
    home: dict[str, str] = {}
    jobs = []
    for split, paths in found.items():
        chosen = paths[: config.max_scans or None]
        if not chosen:
            raise ValueError(
                f"the split {split} has no scan; give files or folders with {split}=[..] (an empty "
                "test takes every second subject of valid, which then needs at least two)"
            )
        for path in chosen:
            if home.setdefault(subject_of(path), split) != split:
                raise ValueError(
                    f"the subject {subject_of(path)} is in {home[subject_of(path)]} and {split}; "
                    "a subject belongs to one split"
                )
            jobs.append((path, split))
    return jobs


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
    config: ConvertConfig,
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
    config: ConvertConfig,
    path: Path,
    split: str,
    details: dict[str, Any],
    kspace: Complex[np.ndarray, "slices echoes coils x y z"],
    n_keep: int,
    *,
    kind: str,
    licence: str,
    maps: Complex[np.ndarray, "slices coils x y z"] | None = None,
    findings: Sequence[Finding] = (),
) -> None:
    """Write one scan that is in memory: 2-D slices, or a 3-D volume in hybrid space.

    Args:
        config: as for `write_converted`.
        path: the file it comes from, which names the scan.
        split: of the scan.
        details: what the scan remembers of its making.
        kspace: centred, in any unit; x is the readout, z has one sample where slices are 2-D.
        n_keep: central pixels along x that are kept: without the oversampling.
        kind: of the file, for its source.
        licence: of the data.
        maps: on the pixels that are kept; estimated when None.
        findings: what is wrong with the scan as a whole, as far as it is known.

    Raises:
        ValueError: as `write_converted`, or if there are several volumes.
    """
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
        scan_id=scan_name(path),
        split=split,
        source=f"{kind} file {path.name}",
        licence=licence,
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
