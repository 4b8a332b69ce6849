"""What the tests of sparse runs share: configs, and runs in this process."""

from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from pde_configs import composed

from monarch_core.runs.schema import save_config, to_dataclass
from monarch_core.training.fit import fit
from monarch_core.training.start import seed_everything
from sparse.config.run import SparseConfig
from sparse.dataset.load import load_splits
from sparse.metrics.losses import cross_entropy
from sparse.models import build_model
from sparse.models.switch import switch_of

GROUPS = ("dataset", "model", "weight", "experiment")
IMAGES = ("dataset=mnist", "model=mixer", "model.size=smoke")


@cache
def chosen(*choices: str) -> DictConfig:
    """Return what hydra makes of a choice of files, which takes a tenth of a second."""
    return composed("sparse", *choices)


def config_of(*overrides: str) -> SparseConfig:
    """Return the config of `python sparse/train.py OVERRIDES`: files first, then values."""
    is_choice = {word: word.partition("=")[0] in GROUPS for word in overrides}
    values = OmegaConf.from_dotlist([word for word in overrides if not is_choice[word]])
    raw = chosen(*(word for word in overrides if is_choice[word]))
    return to_dataclass(OmegaConf.merge(raw, values), SparseConfig)


def smoke(*overrides: str) -> SparseConfig:
    """Return the config of a run on text that takes a second."""
    return config_of("experiment=smoke", "fit.accelerator=cpu", *overrides)


def splits_of(config: SparseConfig):
    return load_splits(config.dataset, masked=config.model.IS_MASKED, seed=config.seed)


def model_of(config: SparseConfig, shape):
    seed_everything(config.seed)
    return build_model(config, shape)


def train(folder: Path, config: SparseConfig, loss=cross_entropy) -> None:
    """Train as the command does."""
    folder.mkdir(exist_ok=True)
    save_config(folder, config)
    splits = splits_of(config)
    fit(
        model_of(config, splits.shape),
        loss,
        splits.train,
        splits.valid,
        config.fit,
        folder,
        seed=config.seed,
        whole_config=config,
        fingerprints=splits.fingerprints,
        change=switch_of(config),
    )
