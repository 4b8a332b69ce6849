"""Names, types and defaults of a PDE run; `configs/pde.yaml` holds the values that differ."""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from monarch_core.experiment.config import FitConfig
from monarch_core.experiment.transform_config import TransformConfig
from pde.dataset_config import NavierStokesConfig


@dataclass
class ModelConfig:
    """A Fourier neural operator (Li et al. 2021, arXiv:2010.08895), as neuralop builds it.

    Attributes:
        name: word for tables.
        n_modes: kept frequencies k < n_modes per axis, that is 2 n_modes with both signs.
        hidden_channels: width.
        n_layers: Fourier layers.
        lifting_channels: hidden channels of the lifting MLP; 0 makes it one linear map.
        projection_channels: hidden channels of the projection MLP.
        use_channel_mlp: add neuralop's channel MLP to every layer.
    """

    name: str = "fno"
    n_modes: int = 12
    hidden_channels: int = 20
    n_layers: int = 4
    lifting_channels: int = 0
    projection_channels: int = 128
    use_channel_mlp: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a count below one."""
        for key in ("n_modes", "hidden_channels", "n_layers", "projection_channels"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.{key} must be at least 1, got {getattr(self, key)}")


@dataclass
class PdeConfig:
    """One PDE run.

    Attributes:
        dataset: which equation, data and frames.
        model: which operator.
        transform: which linear transform.
        fit: how it is trained.
        seed: of weights and data order.
        resume: folder of a run to continue; its own config is then used.
    """

    dataset: NavierStokesConfig = field(default_factory=NavierStokesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 0
    resume: str | None = None


# Hydra checks every override of `configs/pde.yaml` against these names and types.
ConfigStore.instance().store(name="pde_schema", node=PdeConfig)
