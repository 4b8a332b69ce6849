"""Convert SKM-TEA raw-track scans that you have (skm_tea.md)."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from jaxtyping import Bool, Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts import hdf5
from data_scripts.command_line import run_recipe
from data_scripts.file_names import plain_name
from data_scripts.mri.centred_fft import resize_centred
from data_scripts.mri.coil_maps import combine_sense
from data_scripts.mri.intake import Intake
from data_scripts.mri.kspace_findings import check_kinds
from data_scripts.mri.output import ScanJob, ScanRecipe, scan_name
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter, mask_datasets
from monarch_core.runs.fingerprint import fingerprint_files

_PORTAL = (
    "SKM-TEA is not downloaded by this script: get it from Stanford AIMI, "
    "https://stanfordaimi.azurewebsites.net/datasets/4aaeafb9-c6e6-4e3c-9188-3aaaf0e0a9e7 (account "
    "and research agreement; 900 GB compressed, 1.6 TB unpacked; the raw track alone cannot be "
    "chosen), unpack, then: python -m data_scripts.mri.skm_tea source_dir=FOLDER. The folder holds "
    "files_recon_calib-24/MTR_*.h5 and annotations/v1.0.0/{train,val,test}.json"
)
SOURCE = "SKM-TEA raw track (Desai et al. 2021, arXiv:2203.06823)"
LICENCE = "Stanford University dataset research use agreement, no redistribution"
_REMEDY = "unpack the scan again, or take it out of the folder"
_SPLIT_FILES = {"train": "train.json", "valid": "val.json", "test": "test.json"}


@dataclass
class SkmTeaRecipe(ScanRecipe):
    """SKM-TEA raw-track scans: hybrid (x, ky, kz) k-space, two echoes, maps, SENSE target, masks.

    Attributes:
        out: folder to make.
        source_dir: folder with files_recon_calib-24 and annotations.
        version: version of the annotations, which define the splits.
        max_scans: scans per split, 0 for all.
        slice_step: take every n-th slice; 1 takes all 512.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    OF_THE_SET: ClassVar[tuple[str, ...]] = ("max_scans", "accept")

    name: str = "skm_tea"
    out: str = "data/skm_tea"
    source_dir: str = ""
    version: str = "v1.0.0"
    max_scans: int = 0
    slice_step: int = 1
    accept: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slice_step < 1 or self.max_scans < 0:
            raise ValueError(
                "slice_step must be at least 1 and max_scans not negative, got "
                f"slice_step={self.slice_step} and max_scans={self.max_scans}"
            )
        check_kinds(self.accept)

    def jobs(self) -> list[ScanJob]:
        """Return a scan for each file of the source folder that the annotations list."""
        if not self.source_dir:
            raise ValueError(_PORTAL)
        return [
            ScanJob(scan_name(path), split, LICENCE, (path,)) for path, split in find_scans(self)
        ]

    def details(self, job: ScanJob) -> dict[str, Any]:
        """Return what a scan remembers, the content of its file and what was accepted included."""
        recipe = {**super().details(job)["recipe"], "source": fingerprint_files(job.files)}
        return {"recipe": recipe, "accept": list(self.accept)}

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y_c = F S_c x + n_c in hybrid space (x, ky, kz), measured and ARC-filled",
            "units": "scanner units divided by each scan's scale",
            "source": SOURCE,
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Convert one scan."""
        convert(self, job, details)


def find_scans(config: SkmTeaRecipe) -> list[tuple[Path, str]]:
    """Return the scans of the source folder with the split that the annotations give them.

    Raises:
        ValueError: if annotations are missing, or a split has no scan in the folder.
    """
    source = Path(config.source_dir)
    jobs = []
    for split, name in _SPLIT_FILES.items():
        annotations = source / "annotations" / config.version / name
        if not annotations.is_file():
            raise ValueError(f"{annotations} is missing; {_PORTAL}")
        listed = _listed(annotations)
        paths = [source / "files_recon_calib-24" / file_name for file_name in listed]
        there = [path for path in paths if path.is_file()][: config.max_scans or None]
        if not there:
            raise ValueError(
                f"none of the {len(listed)} {split} scans is in {source / 'files_recon_calib-24'}; "
                "unpack at least one, for example " + ", ".join(listed[:2])
            )
        jobs += [(path, split) for path in there]
    return jobs


def _listed(annotations: Path) -> list[str]:
    """Return the file names of a split, each a plain name."""
    try:
        names = [image["file_name"] for image in json.loads(annotations.read_text())["images"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{annotations} is no list of images with file names ({error!r}); unpack it again"
        ) from error
    return [plain_name(name, f"file_name in {annotations}") for name in names]


def convert(config: SkmTeaRecipe, job: ScanJob, details: dict[str, Any]) -> None:
    """Convert one scan, slice by slice along the readout.

    K-space counts as acquired where a slice, echo or coil of it is not zero: what was padded is
    exactly zero, and what the vendor filled in (ARC) cannot be told from what was measured.

    Raises:
        ValueError: if a dataset is missing, shapes disagree, or the target is not what k-space and
            maps combine to.
    """
    path = job.files[0]
    with hdf5.open_file(path, _REMEDY) as file:
        kspace, maps, target = (
            hdf5.array(file, name, _REMEDY) for name in ("kspace", "maps", "target")
        )
        n_x, n_y, n_z, n_echoes, n_coils = _sizes(path, kspace, maps, target)
        positions = range(0, n_x, config.slice_step)
        if len(positions) < 2 <= n_x:
            raise ValueError(
                f"{path} has {n_x} slices, of which slice_step={config.slice_step} takes only the "
                "first; take a smaller step"
            )
        _check_target(path, kspace, maps, target)
        info = ScanInfo(
            scan_id=job.name,
            split=job.split,
            source=SOURCE,
            licence=job.licence,
            echo_names=tuple(f"echo{i + 1}" for i in range(n_echoes)),
            hybrid_axes="x",
            target_kind="source",
            details={**details, "slice_step": config.slice_step},
        )
        shape = ScanShape(len(positions), n_echoes, n_coils, (n_y, n_z))
        intake = Intake(path, config.accept)
        with ScanWriter(Path(config.out) / f"{info.scan_id}.h5", info, shape) as writer:
            for index, x in enumerate(positions):
                measured, slice_maps, image = _slice(kspace, maps, target, x)
                intake.look(measured)
                intake.look_at_maps(measured, slice_maps)
                writer.write(index, measured, slice_maps, image)
            intake.judge_kspace()
            intake.judge_maps()
            acquired = intake.acquired((n_y, n_z))
            if not acquired.all():
                writer.write_mask("acquired", acquired)
            for name, mask in mask_datasets(file, _REMEDY).items():
                values = hdf5.read(mask, (), _REMEDY)
                writer.write_mask(name, _padded_mask(path, name, values, (n_y, n_z)))


def _slice(
    kspace: h5py.Dataset, maps: h5py.Dataset, target: h5py.Dataset, x: int
) -> tuple[
    Complex[np.ndarray, "echoes coils ky kz"],
    Complex[np.ndarray, "coils y z"],
    Complex[np.ndarray, "echoes y z"],
]:
    """Read k-space, maps and target of one slice in the order of prepared scans."""
    measured, coils, images = (
        hdf5.read(data, (x,), _REMEDY).astype(np.complex64) for data in (kspace, maps, target)
    )
    return (
        np.moveaxis(measured, (2, 3), (0, 1)),
        np.moveaxis(coils[..., 0], -1, 0),
        np.moveaxis(images[..., 0], -1, 0),
    )


def _sizes(
    path: Path, kspace: h5py.Dataset, maps: h5py.Dataset, target: h5py.Dataset
) -> tuple[int, int, int, int, int]:
    n_x, n_y, n_z, n_echoes, n_coils = kspace.shape if kspace.ndim == 5 else (0, 0, 0, 0, 0)
    if maps.shape != (n_x, n_y, n_z, n_coils, 1) or target.shape != (n_x, n_y, n_z, n_echoes, 1):
        raise ValueError(
            f"{path}: kspace {kspace.shape}, maps {maps.shape} and target {target.shape} are not "
            "(x, y, z, echoes, coils), (x, y, z, coils, 1) and (x, y, z, echoes, 1); " + _REMEDY
        )
    return n_x, n_y, n_z, n_echoes, n_coils


def _padded_mask(
    path: Path, name: str, mask: np.ndarray, grid: tuple[int, int]
) -> Bool[np.ndarray, "ky kz"]:
    """Return a mask of the data set, stored on the grid before zero-padding, on the padded one."""
    squeezed = np.squeeze(mask)
    if squeezed.ndim != 2 or squeezed.shape[0] > grid[0] or squeezed.shape[1] > grid[1]:
        raise ValueError(
            f"{path}: masks/{name} has shape {mask.shape}, which is no part of the k-space grid "
            f"{grid}; remove it from the file or unpack the scan again"
        )
    return resize_centred(squeezed != 0, grid)


def _check_target(
    path: Path, kspace: h5py.Dataset, maps: h5py.Dataset, target: h5py.Dataset
) -> None:
    """Compare the target of the middle slice with our SENSE combination."""
    x = kspace.shape[0] // 2
    measured, slice_maps, given = _slice(kspace, maps, target, x)
    combined = combine_sense(measured, slice_maps)
    difference = float(np.linalg.norm(combined - given))
    if difference > 0.3 * float(np.linalg.norm(given)) + 1e-12:
        raise ValueError(
            f"{path}: the target of slice {x} differs from the SENSE combination of its k-space by "
            f"{difference / max(float(np.linalg.norm(given)), 1e-12):.0%}; the file is not in the "
            "centred, orthonormal convention of the raw track"
        )


if __name__ == "__main__":
    sys.exit(run_recipe(SkmTeaRecipe))
