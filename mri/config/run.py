"""Names, types and defaults of an MRI run; `configs/mri` holds the values that differ."""

from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.config_store import ConfigStore

from monarch_core.runs.ranges import MOST, SEEDS, check_ranges
from monarch_core.training.config import FitConfig
from monarch_core.training.transform_config import TransformConfig, offer_transforms
from mri.config.dataset import DatasetConfig
from mri.metrics.losses import find_loss
from mri.metrics.presets import find_preset

CONFIGS = Path(__file__).parents[2] / "configs"
# The transforms that each model holds: to k-space, from k-space, or both.
DIRECTIONS = {
    "sense": "inverse",
    "cg_sense": "forward",
    "l1_wavelet": "forward",
    "unet": "inverse",
    "unrolled": "forward",
}
WORDS = {
    "weighting": ("none", "scale", "diagonal"),
    "data_consistency": ("gradient", "cg"),
}
RANGES = {
    "candidates": (0, MOST),
    "n_iterations": (1, MOST),
    "n_channels": (1, 2**16),
    "n_pools": (1, 32),
    "n_cascades": (1, 1024),
    "n_layers": (1, 1024),
}


@dataclass
class ModelConfig:
    """A reconstruction model; each reads only the options named after it.

    Attributes:
        name: sense, cg_sense, l1_wavelet, unet or unrolled.
        weighting: sense: what is learned besides the transform: none, scale or diagonal.
        candidates: cg_sense, l1_wavelet: regularisation weights; with several, the best on the
            validation split is kept.
        n_iterations: cg_sense, l1_wavelet: iterations; unrolled with cg: iterations per cascade.
        n_channels: unet: channels of the first level; unrolled: channels of the regulariser.
        n_pools: unet: poolings.
        residual: unet: add the zero-filled image to the output.
        n_cascades: unrolled: cascades.
        n_layers: unrolled: layers of the regulariser.
        data_consistency: unrolled: gradient or cg.
        tied: unrolled: the way back to the image is the adjoint of the transform.
        transform_per_cascade: unrolled: each cascade learns its own transform.
        regulariser_per_cascade: unrolled: each cascade learns its own regulariser.
    """

    name: str = "sense"
    weighting: str = "none"
    candidates: list[float] = field(default_factory=lambda: [0.01])
    n_iterations: int = 10
    n_channels: int = 32
    n_pools: int = 4
    residual: bool = False
    n_cascades: int = 5
    n_layers: int = 5
    data_consistency: str = "gradient"
    tied: bool = True
    transform_per_cascade: bool = False
    regulariser_per_cascade: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for a word or a number that no model takes."""
        if self.name not in DIRECTIONS:
            raise ValueError(f"model must be one of {', '.join(DIRECTIONS)}, got {self.name!r}")
        for key, known in WORDS.items():
            if getattr(self, key) not in known:
                raise ValueError(
                    f"model.{key} must be one of {', '.join(known)}, got {getattr(self, key)!r}"
                )
        check_ranges(self, "model", RANGES)
        if not self.candidates:
            raise ValueError("model.candidates must hold at least one number, got []")

    @property
    def directions(self) -> str:
        """Which transforms the model holds, in the words of `TransformConfig.learn`."""
        untied = self.name == "unrolled" and not self.tied
        return "both" if untied else DIRECTIONS[self.name]


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
        model: which reconstruction.
        transform: which linear transform.
        fit: how it is trained.
        evaluation: how it is measured.
        loss: l1 or l2, of complex images; l1_magnitude, for targets without a phase.
        seed: of weights and data order.
        resume: folder of a run to continue; its own config is then used.
    """

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    loss: str = "l2"
    seed: int = 0
    resume: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for words that are none, and for what does not go together."""
        check_ranges(self, "", SEEDS)
        find_loss(self.loss)
        if self.transform.heads > 1:
            raise ValueError(
                f"images have no channels that heads could share out, got transform.heads="
                f"{self.transform.heads}; use transform.heads=1"
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


# Hydra checks every override of `configs/mri/train.yaml` against these names and types.
ConfigStore.instance().store(name="mri_schema", node=MriConfig)
offer_transforms(CONFIGS)
