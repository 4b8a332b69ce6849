"""Composed configs of runs, for the tests."""

import copy
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from monarch_core.runs.schema import to_dataclass
from pde.config.run import PdeConfig

CONFIGS = Path(__file__).parents[1] / "configs"


def composed(task: str, *overrides: str, script: str = "train") -> DictConfig:
    """Return what hydra makes of `python TASK/train.py OVERRIDES`, or of another script."""
    return copy.deepcopy(_composed(task, overrides, script))


@cache
def _composed(task: str, overrides: tuple[str, ...], script: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS / task), version_base="1.3"):
        return compose(script, overrides=list(overrides))


def config_of(*overrides: str) -> PdeConfig:
    """Return the config of `python pde/train.py OVERRIDES`."""
    return to_dataclass(composed("pde", *overrides), PdeConfig)
