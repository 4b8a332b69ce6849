"""Names, types and defaults of a PDE run; `configs/pde` holds the values that differ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from monarch_core.runs.former_layout import names_of_options, without_unread
from monarch_core.runs.home import expand_home
from monarch_core.runs.overrides import key_of
from monarch_core.runs.ranges import MOST, SEEDS, check_ranges
from monarch_core.runs.typed import quoted
from monarch_core.training.config import FitConfig
from monarch_core.training.transform_config import TransformConfig, offer_transforms
from pde.config.dataset import DATASETS, DatasetConfig, NavierStokesConfig
from pde.config.model import MODELS, FnoConfig, ModelConfig

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass
class EvaluationConfig:
    """How the test split is measured.

    Attributes:
        grids: also report the error on these grids, each a number of points per axis that the
            stored test samples can be thinned out to.
    """

    grids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise ValueError for a grid below four points, or beyond any use."""
        check_ranges(self, "evaluation", {"grids": (4, MOST)})


@dataclass
class PdeConfig:
    """One PDE run.

    Attributes:
        dataset: which equation, data and frames; its name decides which options it has.
        model: which operator; its architecture decides which options it has.
        transform: which linear transform.
        fit: how it is trained.
        evaluation: how it is measured.
        augment: train on copies of the trajectories under random symmetries of the equation, others
            in every epoch. null: wherever the equation has symmetries and the data are generated,
            since a file of your own may have another forcing.
        teacher_forcing: first part of the epochs (of their first cycle, where fit.restarts has
            several), as a fraction, in which every step of a roll-out
            starts from the true frames; in the rest it starts from the step before.
        weights: folder of a run whose weights this one starts from (fine-tuning), or a file with
            the state dict of a network of neuralop.
        renormalize: with `weights`, take mean and deviation from the data of this run, not those
            that came with the weights.
        seed: of weights and data order.
        resume: folder of a run to continue; its own config is then used, but for fit.epochs, with
            which it is trained on, and for what says where it runs.
    """

    dataset: DatasetConfig = field(
        default_factory=NavierStokesConfig, metadata={"by_name": DATASETS}
    )
    model: ModelConfig = field(
        default_factory=FnoConfig, metadata={"by_name": MODELS, "name": "architecture"}
    )
    transform: TransformConfig = field(default_factory=TransformConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    augment: bool | None = False
    teacher_forcing: float = 0.0
    weights: str | None = None
    renormalize: bool = False
    seed: int = 0
    resume: str | None = None

    @classmethod
    def from_former(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Return the stored config of a run in the layout of today, whenever the run was made."""
        return without_unread(stored, "model", names_of_options(MODELS), "architecture")

    @classmethod
    def as_typed(cls, overrides: Sequence[str]) -> list[str]:
        """Return overrides without the `dataset=own` that `choose_own` adds to a path."""
        has_path = "dataset.path" in map(key_of, overrides)
        return [word for word in overrides if not (has_path and word == "dataset=own")]

    def __post_init__(self) -> None:
        """Raise ValueError for a seed or fraction that is none, axes or heads that do not fit."""
        check_ranges(self, "", {"teacher_forcing": (0, 1), **SEEDS})
        n_axes = self.dataset.n_axes
        # the axes of own data are known once the file has been read
        if n_axes and max(self.transform.axes or [0]) >= n_axes:
            raise ValueError(
                f"transform.axes must be below {n_axes}, the number of axes of dataset="
                f"{self.dataset.name}, got {self.transform.axes}; they count from 0"
            )
        if self.renormalize and self.weights is None:
            raise ValueError(
                "renormalize=true is for weights of another run, and there are none; set weights="
                "RUN_DIR, or leave it out"
            )
        for name, n in self.model.shared_channels.items():
            if n % self.transform.heads:
                raise ValueError(
                    f"transform.heads must divide {name}, got transform.heads="
                    f"{self.transform.heads} and {n} channels; change one of them"
                )


# Options of own data that are names of arrays.
_NAMES = {f"dataset.{name}key" for name in ("", "input_", "times_", "x_", "y_", "z_")}


def choose_own(arguments: Sequence[str]) -> list[str]:
    """Return arguments with `dataset=own` before a path that is given where no data set is chosen.

    An experiment says by itself which data set it is about. A single number for the grid of own
    data becomes a list, a `~` the home folder; names of arrays are quoted, but in a sweep, where a
    comma is between two runs.
    """
    chosen = [*expand_home(arguments)]
    keys = [key_of(argument) for argument in chosen]
    if "dataset.path" in keys and not {"dataset", "experiment"} & {*keys}:
        chosen.insert(keys.index("dataset.path"), "dataset=own")
    if "dataset=own" not in chosen:
        return chosen
    chosen = [re.sub(r"^(dataset\.grid)=(\d+)$", r"\1=[\2]", argument) for argument in chosen]
    return chosen if {"-m", "--multirun"} & {*chosen} else [*map(_with_quotes, chosen)]


def _with_quotes(argument: str) -> str:
    """Return an argument that names arrays with the quotes that hydra wants around commas."""
    key, _, value = argument.partition("=")
    is_bare = value not in ("", "null") and value[0] not in "\"'"
    return f"{key}={quoted(value)}" if is_bare and key in _NAMES else argument


# Hydra checks every override of `configs/pde/train.yaml` against these names and types; those of a
# data set and of a model are chosen by its file.
_schema = OmegaConf.structured(PdeConfig)
_schema.dataset = _schema.model = MISSING
_store = ConfigStore.instance().store
_store(name="pde_schema", node=_schema)
for _dataset in {*DATASETS.values()}:
    _store(group="dataset", name=f"{_dataset.name}_options", node=_dataset)
for _name, _model in MODELS.items():
    _store(group="model", name=f"pde_{_name}_options", node=_model)
offer_transforms(CONFIGS)
