"""Options of the reconstructions of an MRI run: one dataclass for each."""

from dataclasses import dataclass, field
from typing import ClassVar

from monarch_core.runs.ranges import MOST, check_ranges

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
    """Options of any reconstruction; `name` decides which others there are.

    Attributes:
        name: which reconstruction, one of `MODELS`.
    """

    DIRECTION: ClassVar[str] = "forward"

    name: str = "sense"

    def __post_init__(self) -> None:
        """Raise ValueError for options of another model, a word or a number that no model takes."""
        own = type(self).name
        if self.name != own:
            raise ValueError(
                f"the options are those of {own}, got model.name={self.name}; choose another model "
                "by its file, as in model=unrolled"
            )
        for key, known in WORDS.items():
            value = getattr(self, key, known[0])
            if value not in known:
                raise ValueError(f"model.{key} must be one of {', '.join(known)}, got {value!r}")
        check_ranges(self, "model", {k: v for k, v in RANGES.items() if hasattr(self, k)})

    @property
    def directions(self) -> str:
        """Which transforms the model holds, in the words of `TransformConfig.learn`."""
        return self.DIRECTION


@dataclass
class SenseConfig(ModelConfig):
    """Zero-filled SENSE.

    Attributes:
        weighting: what is learned besides the transform: none, scale or diagonal.
    """

    DIRECTION = "inverse"

    weighting: str = "none"


@dataclass
class RegularisedConfig(ModelConfig):
    """Options of iterative reconstructions with one weight.

    Attributes:
        candidates: regularisation weights; with several, the best on the validation split is kept.
        n_iterations: iterations.
    """

    candidates: list[float] = field(default_factory=lambda: [0.01])
    n_iterations: int = 10

    def __post_init__(self) -> None:
        """As every model; there is a weight."""
        super().__post_init__()
        if not self.candidates:
            raise ValueError("model.candidates must hold at least one number, got []")


@dataclass
class CgSenseConfig(RegularisedConfig):
    """Iterative SENSE."""

    name: str = "cg_sense"


@dataclass
class L1WaveletConfig(RegularisedConfig):
    """Compressed sensing."""

    name: str = "l1_wavelet"


@dataclass
class UNetConfig(ModelConfig):
    """A U-Net on the zero-filled image.

    Attributes:
        n_channels: channels of the first level.
        n_pools: poolings.
        residual: add the zero-filled image to the output.
    """

    DIRECTION = "inverse"

    name: str = "unet"
    n_channels: int = 32
    n_pools: int = 4
    residual: bool = False


@dataclass
class UnrolledConfig(ModelConfig):
    """Cascades of data consistency and a regulariser.

    Attributes:
        n_cascades: cascades.
        n_channels: channels of the regulariser.
        n_layers: layers of the regulariser.
        data_consistency: gradient or cg.
        n_iterations: with cg: iterations per cascade.
        tied: the way back to the image is the adjoint of the transform.
        transform_per_cascade: each cascade learns its own transform.
        regulariser_per_cascade: each cascade learns its own regulariser.
    """

    name: str = "unrolled"
    n_cascades: int = 5
    n_channels: int = 32
    n_layers: int = 5
    data_consistency: str = "gradient"
    n_iterations: int = 10
    tied: bool = True
    transform_per_cascade: bool = False
    regulariser_per_cascade: bool = True

    @property
    def directions(self) -> str:
        """Untied, the way back has a transform of its own."""
        return "forward" if self.tied else "both"


# Which options a model has, by its name.
MODELS: dict[str, type[ModelConfig]] = {
    config.name: config
    for config in (SenseConfig, CgSenseConfig, L1WaveletConfig, UNetConfig, UnrolledConfig)
}
