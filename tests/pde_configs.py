"""Composed configs of PDE runs, for the tests."""

from pathlib import Path

from hydra import compose, initialize_config_dir

from monarch_core.runs.schema import to_dataclass
from pde.config.run import PdeConfig

CONFIGS = str(Path(__file__).parents[1] / "configs")


def config_of(*overrides: str) -> PdeConfig:
    """Return the config of `python pde/train.py OVERRIDES`."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return to_dataclass(compose("pde", overrides=list(overrides)), PdeConfig)
