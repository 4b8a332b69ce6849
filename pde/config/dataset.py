"""Options that determine a data set; `data_scripts` makes it, `pde.dataset.splits` loads it."""

from data_scripts.pde.conventions import STRETCHED
from pde.config.base import DatasetConfig
from pde.config.burgers import BurgersConfig
from pde.config.channel import ChannelConfig
from pde.config.darcy import DarcyConfig
from pde.config.layered import LayeredConfig
from pde.config.navier_stokes import NavierStokesConfig
from pde.config.own import OwnConfig
from pde.config.waveguide import WaveguideConfig

__all__ = [
    "DATASETS",
    "BurgersConfig",
    "ChannelConfig",
    "DarcyConfig",
    "DatasetConfig",
    "LayeredConfig",
    "NavierStokesConfig",
    "OwnConfig",
    "WaveguideConfig",
]

# Which options a data set has, by its name.
DATASETS: dict[str, type[DatasetConfig]] = {
    "navier_stokes": NavierStokesConfig,
    "burgers": BurgersConfig,
    "burgers_dirichlet": BurgersConfig,
    STRETCHED: BurgersConfig,
    "darcy": DarcyConfig,
    "wave_layered": LayeredConfig,
    "heat_layered": LayeredConfig,
    "waveguide": WaveguideConfig,
    "navier_stokes_channel": ChannelConfig,
    "own": OwnConfig,
}
