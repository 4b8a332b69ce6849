"""Names, types and defaults of an MRI run; `configs/mri` holds the values that differ."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from monarch_core.runs.former_layout import names_of_options, without_unread
from monarch_core.runs.ranges import MOST, SEEDS, check_ranges
from monarch_core.training.config import FitConfig
from monarch_core.training.transform_config import TransformConfig, offer_transforms
from mri.config.dataset import DatasetConfig
from mri.config.former import former_dataset
from mri.config.model import MODELS, ModelConfig, SenseConfig
from mri.metrics.losses import STRUCTURE_WEIGHT, find_loss
from mri.metrics.presets import find_preset

CONFIGS = Path(__file__).parents[2] / "configs"
CALIBRATED = "calibrated"  # a transform that means nothing without `calibration`


@dataclass
class EvaluationConfig:
    """How the test split is measured.

    Attributes:
        preset: metric definitions: meddlr, meddlr_2d or fastmri (`mri.metrics.presets`).
        unseen_mask: also measure with a sampling mask that training never saw; needs
            dataset.mask_regime=fixed, as the other regimes test on masks of their own anyway.
    """

    preset: str = "meddlr_2d"
    unseen_mask: bool = False


@dataclass
class MriConfig:
    """One MRI run.

    Attributes:
        dataset: what is reconstructed, and its sampling masks.
        model: which reconstruction; its name decides which options it has.
        transform: which linear transform; its heads are matrices along height, for as many groups
            of neighbouring columns of the image, and must divide the width.
        fit: how it is trained.
        evaluation: how it is measured.
        loss: l1 or l2, of complex images; l2_ssim, with the structural similarity of magnitudes;
            l1_magnitude, for targets without a phase.
        structure_weight: of what the structural similarity lacks, in l2_ssim.
        seed: of weights and data order.
        calibration: folder of a run of `mri/calibrate.py`, on the same grid; the transform starts
            at the encoding that it found, and stays there with transform.learn=none.
        weights: folder of a run of `mri/train.py` whose weights this one starts from (fine-tuning).
        resume: folder of a run to continue; its own config is then used.
    """

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=SenseConfig, metadata={"by_name": MODELS})
    transform: TransformConfig = field(default_factory=TransformConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    loss: str = "l2"
    structure_weight: float = STRUCTURE_WEIGHT
    seed: int = 0
    calibration: str | None = None
    weights: str | None = None
    resume: str | None = None

    @classmethod
    def from_former(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Return the stored config of a run in the layout of today, whenever the run was made."""
        dataset = stored.get("dataset")
        if isinstance(dataset, dict):
            stored = {**stored, "dataset": former_dataset(dataset)}
        return without_unread(stored, "model", names_of_options(MODELS), "name")

    def __post_init__(self) -> None:
        """Raise ValueError for words that are none, and for what does not go together."""
        check_ranges(self, "", {"structure_weight": (0, MOST), **SEEDS})
        find_loss(self.loss, self.structure_weight)
        if self.transform.axes is not None:
            raise ValueError(
                f"both axes of an image have the same transform, got transform.axes="
                f"{self.transform.axes}; leave it out"
            )
        if self.calibration is None and self.transform.name == CALIBRATED:
            raise ValueError(
                f"transform={CALIBRATED} is what mri/calibrate.py found; give the folder of that "
                "run, as in calibration=RUN_DIR"
            )
        learn, held = self.transform.learn, self.model.directions
        if {learn, held} == {"forward", "inverse"}:
            raise ValueError(
                f"model={self.model.name} has no transform that transform.learn={learn} would let "
                f"learn; use transform.learn={held}, or none"
            )
        find_preset(self.evaluation.preset)
        if self.evaluation.unseen_mask and (
            self.dataset.mask_regime != "fixed" or self.dataset.mask == "stored"
        ):
            raise ValueError(
                "evaluation.unseen_mask compares the one mask of training with another, but "
                f"dataset.mask={self.dataset.mask} with mask_regime={self.dataset.mask_regime} has "
                "other masks for the test split anyway; leave it out or use mask_regime=fixed"
            )


@dataclass
class CalibrationConfig(MriConfig):
    """One run of `mri/calibrate.py`, which begins at the transform as it is made."""

    def __post_init__(self) -> None:
        """Raise ValueError as `MriConfig`, and for what another run would have to leave first."""
        if self.transform.name == CALIBRATED:
            raise ValueError(
                f"transform={CALIBRATED} is what a calibration leaves; say what it is to find, as "
                "in transform=monarch transform.rank=4"
            )
        super().__post_init__()
        for key in ("calibration", "weights"):
            if (value := getattr(self, key)) is not None:
                raise ValueError(
                    f"{key}={value} is where a training begins, and a calibration finds its "
                    f"encoding from nothing but the scan; leave it out, or give {key} to "
                    "mri/train.py"
                )


# Hydra checks every override of `configs/mri/train.yaml` against these names and types; those of a
# model and of a recipe are chosen by their files.
_schema = OmegaConf.structured(MriConfig)
_schema.model = _schema.dataset = MISSING
_store = ConfigStore.instance().store
_store(name="mri_schema", node=_schema)
for _name, _model in MODELS.items():
    _store(group="model", name=f"mri_{_name}_options", node=_model)
offer_transforms(CONFIGS)
