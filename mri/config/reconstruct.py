"""Options of the reconstruction of one scan; `configs/mri/reconstruct.yaml` holds the values."""

import math
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from data_scripts.mri.coil_maps import METHODS, check_map_options
from data_scripts.mri.formats import ReadOptions
from data_scripts.mri.kspace_findings import check_kinds

# The weight and the iterations of a method where none are given; None for a method without.
DEFAULTS: dict[str, tuple[float, int] | None] = {
    "cg_sense": (0.01, 30),
    "l1_wavelet": (0.003, 60),
    "sense": None,
}


@dataclass
class MapsConfig:
    """How coil maps are estimated.

    Attributes:
        method: espirit or jsense; null takes those that came with the scan, else espirit.
        calibration: largest side of the central square that is used, in samples; the sampled
            square may be smaller.
        kernel: width of the k-space kernel, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        n_sets: 2 for an object larger than the field of view (soft SENSE), with espirit and
            method=cg_sense or sense.
    """

    method: str | None = None
    calibration: int = 24
    kernel: int = 6
    threshold: float = 0.02
    crop: float = 0.95
    n_sets: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a word or number that maps cannot have."""
        if self.method not in (None, *METHODS):
            raise ValueError(
                f"maps.method must be null or one of {METHODS}, got {self.method!r}; null takes "
                "the maps that came with the scan"
            )
        if self.n_sets not in (1, 2) or (self.n_sets == 2 and self.method == "jsense"):
            raise ValueError(
                f"maps.n_sets must be 1, or 2 with maps.method=espirit, got {self.n_sets}"
            )
        check_map_options(self.calibration, self.kernel, self.threshold, self.crop)


@dataclass
class ReconstructConfig:
    """One scan, and how its image is made.

    Attributes:
        input: the scan.
        out: the file to write: .h5, .npy, .nii, .nii.gz or .png.
        run: folder of a trained run; or
        method: cg_sense, l1_wavelet or sense, without training.
        calibration: folder of a run of `mri/calibrate.py`, on the grid of the scan; a method then
            takes the encoding of the scanner for what it is. null: the DFT.
        lamda: weight of the regularisation of a method; null: .01 (cg_sense), .003 (l1_wavelet).
        n_iterations: of a method; null: 30 (cg_sense), 60 (l1_wavelet).
        mask: name of a mask that is stored in a prepared scan, or a .npy file; null: what is not
            zero was sampled.
        maps: how coil maps are estimated.
        read: what the format does not say of itself.
        accept: kinds of findings that are no reason to refuse the scan.
        accelerator: auto, cpu, cuda or mps.
    """

    input: str | None = None
    out: str | None = None
    run: str | None = None
    method: str | None = None
    calibration: str | None = None
    lamda: float | None = None
    n_iterations: int | None = None
    mask: str | None = None
    maps: MapsConfig = field(default_factory=MapsConfig)
    read: ReadOptions = field(default_factory=ReadOptions)
    accept: list[str] = field(default_factory=list)
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        """Raise ValueError for what is missing or does not go together."""
        if not self.input or not self.out:
            raise ValueError(
                "give the scan and the file to write, as in input=scan.h5 out=image.h5, got "
                f"input={self.input} and out={self.out}"
            )
        if (self.run is None) == (self.method is None):
            raise ValueError(
                "give either run=RUN_DIR, a trained run, or method=cg_sense, l1_wavelet or sense, "
                f"got run={self.run} and method={self.method}"
            )
        if self.method not in (None, *DEFAULTS):
            raise ValueError(f"method must be one of {', '.join(DEFAULTS)}, got {self.method!r}")
        if self.run is not None and self.calibration is not None:
            raise ValueError(
                f"the run has an encoding of its own, got run={self.run} and calibration="
                f"{self.calibration}; give method=cg_sense in place of the run, or train with it"
            )
        given = [k for k in ("lamda", "n_iterations") if getattr(self, k) is not None]
        if given and DEFAULTS.get(self.method or "") is None:
            raise ValueError(
                f"{' and '.join(given)} cannot be given without method=cg_sense or l1_wavelet, got "
                f"run={self.run} and method={self.method}; leave them out"
            )
        if self.lamda is not None and not 0 <= self.lamda < math.inf:
            raise ValueError(f"lamda must be a finite number, not negative, got {self.lamda}")
        if self.maps.n_sets == 2 and self.method not in ("cg_sense", "sense"):
            raise ValueError(
                "two sets of maps are combined by method=cg_sense or sense alone, got "
                f"run={self.run} and method={self.method}; use maps.n_sets=1"
            )
        check_kinds(self.accept)

    @property
    def weight(self) -> float:
        """The weight of the method, its default if none was given."""
        default = DEFAULTS[self.method or "sense"]
        return self.lamda if self.lamda is not None else default[0] if default else 0.0

    @property
    def iterations(self) -> int:
        """The iterations of the method, its default if none were given."""
        default = DEFAULTS[self.method or "sense"]
        return self.n_iterations if self.n_iterations is not None else default[1] if default else 1


ConfigStore.instance().store(name="mri_reconstruct_schema", node=ReconstructConfig)
