"""Options of the models of a PDE run: one dataclass for each architecture."""

import math
from dataclasses import dataclass, field

from monarch_core.runs.ranges import MOST, check_ranges

FACTORIZATIONS = ("tucker", "cp", "tt")
RANGES = {
    "hidden_channels": (1, MOST),
    "n_modes": (1, MOST),
    "n_layers": (1, 1024),
    "projection_channels": (1, MOST),
    "lifting_channels": (0, MOST),
    "gate_channels": (1, MOST),
    "n_filter_frames": (1, MOST),
    "domain_padding": (0, 1),
    "time_padding": (0, MOST),
}


@dataclass
class ModelConfig:
    """Options of any surrogate model; `architecture` decides which others there are.

    Attributes:
        name: word for tables.
        architecture: which network, one of `MODELS`.
        hidden_channels: width; of a convolutional network, channels of its first level.
    """

    name: str = "fno"
    architecture: str = "fno"
    hidden_channels: int = 20

    def __post_init__(self) -> None:
        """Raise ValueError for options of another network, or a number that no network can have."""
        own = type(self).architecture
        if self.architecture != own:
            raise ValueError(
                f"the options are those of {own}, got model.architecture={self.architecture}; "
                "choose another network by its file, as in model=fno_fast"
            )
        check_ranges(self, "model", {key: RANGES[key] for key in RANGES if hasattr(self, key)})

    @property
    def shared_channels(self) -> dict[str, int]:
        """Channels that the heads of a transform share out; none where there is no transform."""
        return {}


@dataclass
class FourierConfig(ModelConfig):
    """Options of the networks with Fourier layers.

    Attributes:
        n_modes: kept frequencies |k| < n_modes per axis (and k = -n_modes; fno_neuralop also keeps
            k = n_modes on the last axis).
        n_layers: Fourier layers.
        projection_channels: hidden channels of the projection.
        transform_grid: points per axis that the transforms are learned on, such as those of the run
            that the weights are from; on the points of the data they are interpolated then. null:
            the points of the data.
        checkpoint_steps: keep only the input of every step of the roll-out and compute the step
            again for the gradient: less memory, more time.
        resample: work on as many even points, to and from which splines lead; for data on uneven
            ones.
    """

    n_modes: int = 12
    n_layers: int = 4
    projection_channels: int = 128
    transform_grid: list[int] | None = None
    checkpoint_steps: bool = False
    resample: bool = False

    @property
    def shared_channels(self) -> dict[str, int]:
        """The width."""
        return {"model.hidden_channels": self.hidden_channels}

    @property
    def bound_to_its_grid(self) -> str | None:
        """The option with which a network means something on the grid of its training alone."""
        return "model.resample=true" if self.resample else None


@dataclass
class PaddedConfig(FourierConfig):
    """Options of those that neuralop is the host of.

    Attributes:
        domain_padding: zeros added before and after every axis of space, as a fraction of its
            length.
        continuation: add what makes the field periodic instead of zeros, a Fourier continuation.
    """

    domain_padding: float = 0.0
    continuation: bool = False


@dataclass
class FnoConfig(PaddedConfig):
    """The published network (Li et al. 2021, arXiv:2010.08895)."""


@dataclass
class FnoFastConfig(FourierConfig):
    """The same function as plain matrix products, without padding."""

    architecture: str = "fno_fast"


@dataclass
class FnoNeuralopConfig(PaddedConfig):
    """neuralop's own variant.

    Attributes:
        lifting_channels: hidden channels of the lifting; 0 makes it one linear map.
        use_channel_mlp: add neuralop's channel MLP to every layer.
        factorization: of the spectral weights: tucker, cp or tt (Kossaifi et al. 2024,
            arXiv:2310.00120); null for full ones.
        rank: numbers of a factorised weight, as a fraction of those of the full one.
    """

    architecture: str = "fno_neuralop"
    lifting_channels: int = 0
    use_channel_mlp: bool = False
    factorization: str | None = None
    rank: float = 1.0

    def __post_init__(self) -> None:
        """As every model; a factorisation is one that there is."""
        super().__post_init__()
        if self.factorization not in (None, *FACTORIZATIONS):
            raise ValueError(
                f"model.factorization must be null or one of {', '.join(FACTORIZATIONS)}, got "
                f"{self.factorization!r}"
            )
        if not 0 < self.rank < math.inf:
            raise ValueError(f"model.rank must be above 0, such as 0.1, got {self.rank}")


@dataclass
class UnoConfig(PaddedConfig):
    """neuralop's U-shaped operator (Rahman et al. 2023, arXiv:2204.11127).

    Where the grid is coarser by a factor, layers have as many times more channels, and fewer modes.

    Attributes:
        scalings: factor of the points per axis in every layer; their product is 1.
        lifting_channels: hidden channels of the lifting.
    """

    architecture: str = "uno"
    n_layers: int = 5
    lifting_channels: int = 64
    scalings: list[float] = field(default_factory=lambda: [1.0, 0.5, 1.0, 2.0, 1.0])

    def __post_init__(self) -> None:
        """As every model; there is a factor for every layer, and the grid comes back."""
        super().__post_init__()
        positive = all(0 < s < math.inf for s in self.scalings)
        if len(self.scalings) != self.n_layers or not positive:
            raise ValueError(
                f"model.scalings must have a positive number for each of the {self.n_layers} "
                f"layers, got {self.scalings}; change it together with model.n_layers"
            )
        if not math.isclose(math.prod(self.scalings), 1.0, rel_tol=1e-6):
            raise ValueError(
                "model.scalings must lead back to the grid of the data, got a product of "
                f"{math.prod(self.scalings):g}; for every 0.5 there is a 2.0 later"
            )
        if self.lifting_channels < 1:
            raise ValueError("model.lifting_channels of uno must be at least 1, such as 64, got 0")


@dataclass
class LocalNoConfig(PaddedConfig):
    """neuralop's FNO with local kernels (Liu-Schiaffini et al. 2024, arXiv:2402.16845).

    Attributes:
        lifting_channels: hidden channels of the lifting; 0 makes it one linear map.
        local_integrals: add local integral kernels to every layer, in two dimensions.
    """

    architecture: str = "local_no"
    lifting_channels: int = 0
    local_integrals: bool = True

    @property
    def bound_to_its_grid(self) -> str | None:
        """Local integrals have a kernel of as many points on any grid."""
        own = "model.local_integrals=true" if self.local_integrals else None
        return super().bound_to_its_grid or own


@dataclass
class Fno3dConfig(PaddedConfig):
    """The published network in space and time.

    Attributes:
        time_padding: zeros added to the time axis, half before and half after.
    """

    architecture: str = "fno_3d"
    time_padding: int = 6

    def __post_init__(self) -> None:
        """As every model; the padding has two equal halves."""
        super().__post_init__()
        if self.time_padding % 2:
            raise ValueError(f"model.time_padding must be even, got {self.time_padding}")


@dataclass
class MonarchNoConfig(FourierConfig):
    """Gated layers with residual connections.

    Attributes:
        gate_channels: channels of each factor of the products.
    """

    architecture: str = "monarch_no"
    gate_channels: int = 18

    @property
    def shared_channels(self) -> dict[str, int]:
        """The width, and what the spectral layers return."""
        return {**super().shared_channels, "twice model.gate_channels": 2 * self.gate_channels}


@dataclass
class UNetConfig(ModelConfig):
    """A U-Net, whose channels are a multiple of 4."""

    architecture: str = "unet"


@dataclass
class ResNetConfig(ModelConfig):
    """A residual network."""

    architecture: str = "resnet"


@dataclass
class TfNetConfig(ModelConfig):
    """Turbulent-Flow Net, whose channels are even.

    Attributes:
        n_filter_frames: frames that the temporal filter averages.
    """

    architecture: str = "tf_net"
    n_filter_frames: int = 4


# Which options a model has, by its architecture.
MODELS: dict[str, type[ModelConfig]] = {
    config.architecture: config
    for config in (
        FnoConfig,
        FnoFastConfig,
        FnoNeuralopConfig,
        UnoConfig,
        LocalNoConfig,
        Fno3dConfig,
        MonarchNoConfig,
        UNetConfig,
        TfNetConfig,
        ResNetConfig,
    )
}
