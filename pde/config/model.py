"""Options of the models of a PDE run."""

from dataclasses import dataclass

from monarch_core.runs.ranges import MOST, check_ranges

FOURIER = ("fno", "fno_fast", "fno_neuralop", "fno_3d", "monarch_no")
CONVOLUTIONAL = ("unet", "tf_net", "resnet")  # with batch norm
ARCHITECTURES = (*FOURIER, *CONVOLUTIONAL)
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
    """A surrogate model; each architecture reads only the options named after it.

    Attributes:
        name: word for tables.
        architecture: fno (the published network, Li et al. 2021, arXiv:2010.08895), fno_fast (the
            same function as plain matrix products), fno_neuralop (neuralop's own variant), fno_3d
            (in space and time), monarch_no (gated layers), unet, tf_net or resnet.
        hidden_channels: fno*, monarch_no: width; the others: channels of the first level, a
            multiple of 4.
        n_modes: fno*, monarch_no: kept frequencies |k| < n_modes per axis (and k = -n_modes;
            fno_neuralop also keeps k = n_modes on the last axis).
        n_layers: fno*, monarch_no: Fourier layers.
        projection_channels: fno*, monarch_no: hidden channels of the projection.
        domain_padding: fno* but fno_fast: zeros added before and after every axis of space, as a
            fraction of its length.
        lifting_channels: fno_neuralop: hidden channels of the lifting; 0 makes it one linear map.
        use_channel_mlp: fno_neuralop: add neuralop's channel MLP to every layer.
        time_padding: fno_3d: zeros added to the time axis, half before and half after.
        gate_channels: monarch_no: channels of each factor of the products.
        n_filter_frames: tf_net: frames that the temporal filter averages.
        checkpoint_steps: fno*: keep only the input of every step of the roll-out and compute the
            step again for the gradient: less memory, more time.
    """

    name: str = "fno"
    architecture: str = "fno"
    hidden_channels: int = 20
    n_modes: int = 12
    n_layers: int = 4
    projection_channels: int = 128
    domain_padding: float = 0.0
    lifting_channels: int = 0
    use_channel_mlp: bool = False
    time_padding: int = 6
    gate_channels: int = 18
    n_filter_frames: int = 4
    checkpoint_steps: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown architecture or a number that no network can have."""
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"model.architecture must be one of {', '.join(ARCHITECTURES)}, got "
                f"{self.architecture!r}"
            )
        check_ranges(self, "model", RANGES)
        if self.domain_padding and self.architecture not in ("fno", "fno_neuralop", "fno_3d"):
            raise ValueError(
                f"{self.architecture} does not pad the domain, got model.domain_padding="
                f"{self.domain_padding}; set it to 0, or use model=fno"
            )
        if self.checkpoint_steps and self.architecture in CONVOLUTIONAL:
            raise ValueError(
                f"{self.architecture} has batch norm, which would count every batch twice with "
                "model.checkpoint_steps=true; set it to false"
            )
        if self.time_padding % 2:
            raise ValueError(f"model.time_padding must be even, got {self.time_padding}")
