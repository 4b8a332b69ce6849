"""Simulate multi-coil scans from volumes: open_ms_data brains or your own (simulate.md)."""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.io
from jaxtyping import Complex
from scipy.ndimage import affine_transform

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.mri.acquisition import (
    acquire,
    echo_phases,
    loop_maps,
    normalise_maps,
)
from data_scripts.mri.coil_maps import compression_matrix
from data_scripts.mri.download import fetch, known_sources
from data_scripts.mri.output import ScanJob
from data_scripts.mri.schema import SPLITS, ScanInfo, ScanShape, ScanWriter
from data_scripts.mri.simulation import SimulatedRecipe
from data_scripts.mri.volumes import Volume, find_volumes, to_grid
from data_scripts.recipe import require_one_of, require_range

_LESJAK = (
    "open_ms_data (github.com/muschellij2/open_ms_data; Lesjak et al. 2016, 2017): magnitude "
    "volumes of patients with multiple sclerosis"
)
# patients of open_ms_data whose volumes go into each split
_PATIENTS = {
    "train": ["patient01", "patient09", "patient19"],
    "valid": ["patient04"],
    "test": ["patient12"],
}
_SCALE_PERCENTILE = 99.5


@dataclass
class SimulateRecipe(SimulatedRecipe):
    """Multi-coil scans simulated from magnitude (or complex) volumes, split by patient.

    Attributes:
        source: open_ms_data (public brains, fetched if needed) or volumes (your own files).
        source_dir: folder of the source files; empty: beside the repository, else downloaded.
        mirror: folder or URL used in place of GitHub.
        train: name prefixes (patients) of the training volumes; empty: all of your own that are
            left, or the public patients of simulate.md.
        valid: prefixes of the validation volumes; empty: the public patient, for open_ms_data.
        test: prefixes of the test volumes; empty: the public patient, for open_ms_data.
        contrasts: contrasts to use, by the end of the file name; empty: all.
        slice_axis: axis of your volumes that numbers the slices.
        maps: measured (32-channel head coil of alignedSENSE, compressed) or loops (Biot-Savart).
        n_coils: virtual coils after compression, or loops.
        move_coils: largest shift of the measured maps between scans, as share of the field of view.
        noise: standard deviation of real and imaginary noise, relative to the volume's 99.5th
            percentile.
        licence: licence of your own volumes.
        seed: of phase, coil position and noise.
    """

    OF_THE_SET: ClassVar[tuple[str, ...]] = ("train", "valid", "test", "contrasts", "licence")

    name: str = "simulate"
    out: str = "data/mri_brain"
    source: str = "open_ms_data"
    source_dir: str = ""
    mirror: str = ""
    train: list[str] = field(default_factory=list)
    valid: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    contrasts: list[str] = field(default_factory=list)
    slice_axis: int = 2
    maps: str = "measured"
    move_coils: float = 0.03
    licence: str = "not stated"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of(self, {"source": ("open_ms_data", "volumes"), "maps": ("measured", "loops")})
        if self.source == "volumes" and not self.source_dir:
            raise ValueError("source=volumes needs source_dir=FOLDER with your volumes")
        require_range("move_coils", self.move_coils, 0, 0.5, "fields of view")
        for name in (*SPLITS, "contrasts"):
            if "" in getattr(self, name):
                raise ValueError(
                    f"{name} holds an empty name, which fits every volume; leave it out, or write "
                    "how the names of the volumes begin (contrasts: end)"
                )
        if self.source == "open_ms_data":
            for split, patients in _PATIENTS.items():
                setattr(self, split, getattr(self, split) or list(patients))

    def jobs(self) -> list[ScanJob]:
        """Return a scan for each volume that belongs to a split."""
        if self.source == "open_ms_data":
            sources = known_sources("open_ms_data/")
            paths, licence = fetch(sources, self.source_dir, self.mirror), sources[0].licence
        else:
            folder, licence = Path(self.source_dir), self.licence
            if not folder.is_dir():
                raise ValueError(
                    f"source_dir={folder} is no folder; give the one with your volumes"
                )
            paths = sorted(folder.iterdir())
        return [
            ScanJob(volume.name, split, licence, about=volume)
            for volume, split in assign_splits(self, find_volumes(paths, self.slice_axis))
        ]

    @property
    def origin(self) -> str:
        """What the volumes are."""
        if self.source == "open_ms_data":
            return _LESJAK
        # its name alone: the same volumes elsewhere make the same scans
        return f"own volumes in {Path(self.source_dir).resolve().name}"

    def description(self) -> dict[str, Any]:
        """Return what is simulated."""
        maps = "measured, github.com/mriphysics/alignedSENSE (MIT)"
        return {
            "equation": "y_c = E F S_c (m exp(i phi)) + n_c, simulated",
            "grid": [self.height, self.width],
            "units": "magnitude relative to the volume's 99.5th percentile, divided by scale",
            "source": self.origin,
            "coil_maps": maps if self.maps == "measured" else "simulated, Biot-Savart",
            "caution": "k-space computed from processed magnitude images is optimistic "
            "(Shimron et al. 2022, doi:10.1073/pnas.2117203119)",
            "scanner": self.described_scanner(),
            "seed": self.seed,
        }

    @functools.cached_property
    def measured(self) -> Complex[np.ndarray, "coils y z"] | None:
        """The measured maps, where they are used."""
        return measured_maps(self) if self.maps == "measured" else None

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Simulate one volume and write it."""
        volume: Volume = job.about
        name_seed = [ord(letter) for letter in volume.name]
        rng = np.random.default_rng([self.seed, *name_seed])
        grid = (self.height, self.width)
        images = volume.read()
        brightest = float(np.percentile(np.abs(images), _SCALE_PERCENTILE))
        if brightest == 0:
            raise ValueError(
                f"{volume.path}: {_SCALE_PERCENTILE:g} % of the volume is zero, so that there is "
                "no brightness for the noise to be relative to; crop it, or leave it out"
            )
        coil_seed = int(rng.integers(2**31))
        moved = None if self.measured is None else _move(self.measured, self.move_coils, rng)
        scanner = self.scanner_of(job.name)
        info = ScanInfo(
            scan_id=volume.name,
            split=job.split,
            source=f"simulated multi-coil k-space from {self.origin}",
            licence=job.licence,
            echo_names=volume.echo_names,
            target_kind="sense" if scanner.is_ideal else "ideal",
            details={**details, "scanner": dataclasses.asdict(scanner), "simulated": True},
        )
        n_slices, n_echoes = images.shape[:2]
        with ScanWriter(
            self.folder / f"{job.name}.h5", info, ScanShape(n_slices, n_echoes, self.n_coils, grid)
        ) as writer:
            for i in range(n_slices):
                maps = moved
                if maps is None:
                    depth = (i / max(n_slices - 1, 1) - 0.5) * 0.8
                    coils = np.random.default_rng(coil_seed)
                    maps, _ = normalise_maps(loop_maps(grid, self.n_coils, depth, coils))
                signal = to_grid(images[i], grid, volume.pixel_mm) / brightest
                if not np.iscomplexobj(images):
                    signal = signal * np.exp(1j * echo_phases(grid, [0.0] * n_echoes, rng))
                coil_images = (maps * signal[:, None]).astype(np.complex64)
                acquired = acquire(coil_images, maps, self.noise, scanner, rng)
                writer.write(i, acquired.kspace, maps, acquired.target)


def assign_splits(config: SimulateRecipe, volumes: Sequence[Volume]) -> list[tuple[Volume, str]]:
    """Return the volumes to use with their split; a volume belongs to the prefix of its name.

    Raises:
        ValueError: if a prefix names no volume, a volume falls in two splits, or a split is empty.
    """
    used = [v for v in volumes if not config.contrasts or v.name.endswith(tuple(config.contrasts))]
    names = ", ".join(v.name for v in volumes)
    if not used:
        raise ValueError(
            f"no volume's name ends with one of {config.contrasts}; there are: {names}"
        )
    jobs = []
    for prefix in (*config.train, *config.valid, *config.test):
        if not any(v.name.startswith(prefix) for v in used):
            raise ValueError(
                f"no volume's name starts with {prefix!r}; there are: {names}; say with train=[..],"
                " valid=[..] and test=[..] how those of your own begin (train=[] takes all left)"
            )
    for volume in used:
        splits = [
            split
            for split in ("train", "valid", "test")
            if volume.name.startswith(tuple(getattr(config, split)))
        ]
        if not splits and not config.train:
            splits = ["train"]
        if len(splits) > 1:
            raise ValueError(f"{volume.name} is in {splits}; a patient belongs to one split")
        jobs += [(volume, split) for split in splits]
    for split in ("train", "valid", "test"):
        if split not in {s for _, s in jobs}:
            raise ValueError(
                f"the split {split} is empty; say how the names of its volumes begin with "
                f"{split}=[..], of: {names}"
            )
    return jobs


def measured_maps(config: SimulateRecipe) -> Complex[np.ndarray, "coils y z"]:
    """Return the measured 32-channel maps of alignedSENSE, compressed and resized to the grid.

    The strongest virtual coils are kept (singular vectors of the maps), then the root sum of
    squares is made one.
    """
    sources = known_sources("mriphysics__alignedSENSE/")
    (path,) = fetch(
        sources, config.source_dir if config.source == "open_ms_data" else "", config.mirror
    )
    channels = np.moveaxis(scipy.io.loadmat(path)["S"][:, :, 0, :], -1, 0)
    if config.n_coils > channels.shape[0]:
        raise ValueError(
            f"the measured maps have {channels.shape[0]} channels, n_coils is {config.n_coils}; "
            "use fewer coils or maps=loops"
        )
    matrix, _ = compression_matrix(channels, config.n_coils)
    virtual = np.einsum("vc,cyz->vyz", matrix, channels)
    grid = (config.height, config.width)
    zoom = [n_old / n_new for n_old, n_new in zip(virtual.shape[1:], grid, strict=True)]
    return normalise_maps(_resample(virtual, np.array(zoom), np.zeros(2), grid))[0]


def _move(
    maps: Complex[np.ndarray, "coils y z"], share: float, rng: np.random.Generator
) -> Complex[np.ndarray, "coils y z"]:
    """Shift the maps by a random part of the field of view: no two heads lie equally in a coil."""
    grid = maps.shape[1:]
    shift = rng.uniform(-share, share, 2) * np.array(grid)
    return normalise_maps(_resample(maps, np.ones(2), shift, (grid[0], grid[1])))[0]


def _resample(
    maps: Complex[np.ndarray, "coils y z"],
    zoom: np.ndarray,
    offset: np.ndarray,
    grid: tuple[int, int],
) -> Complex[np.ndarray, "coils y_new z_new"]:
    return np.stack(
        [affine_transform(m, zoom, offset, grid, order=1, mode="nearest") for m in maps]
    ).astype(np.complex64)


if __name__ == "__main__":
    sys.exit(run_recipe(SimulateRecipe))
