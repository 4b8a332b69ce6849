"""Names, types and defaults of a sparse run; `configs/sparse` holds the values that differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from monarch_core.runs.former_layout import without_unread
from monarch_core.runs.home import expand_home
from monarch_core.runs.ranges import SEEDS, check_ranges
from monarch_core.training.config import FitConfig
from sparse.config.dataset import DATASETS, DatasetConfig, TextConfig
from sparse.config.model import MODELS, Gpt2Config, ModelConfig
from sparse.config.weight import OPTIONS, WeightConfig

MOMENTS = ("carried", "fresh")


@dataclass
class SwitchConfig:
    """How a run goes on dense.

    Attributes:
        moments: of the optimiser: carried (mapped through the product of the factors) or fresh.
        warm_up: fraction of the remaining steps in which the rate rises from 0.
    """

    moments: str = "carried"
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for a word that is none, or a fraction out of range."""
        if self.moments not in MOMENTS:
            raise ValueError(
                f"switch.moments must be one of {', '.join(MOMENTS)}, got {self.moments!r}"
            )
        check_ranges(self, "switch", {"warm_up": (0, 1)})


@dataclass
class EvaluationConfig:
    """How the test split is measured; there is nothing to choose."""


@dataclass
class SparseConfig:
    """One sparse run.

    Attributes:
        dataset: which text or images; its kind decides which options it has.
        model: which network; its name decides which options it has.
        weight: what the weights of its linear layers are.
        fit: how it is trained.
        evaluation: how it is measured.
        switch_at: fraction of the training after which the structured layers are multiplied out
            and the run goes on dense; null: never.
        switch: how it does.
        start_from: folder of a finished dense run whose weights this one starts from, in the layers
            of `weight` as `weight.start` says; `from=` on the command line.
        seed: of weights and data order.
        resume: folder of a run to continue; its own config is then used.
    """

    dataset: DatasetConfig = field(
        default_factory=TextConfig, metadata={"by_name": DATASETS, "name": "kind"}
    )
    model: ModelConfig = field(default_factory=Gpt2Config, metadata={"by_name": MODELS})
    weight: WeightConfig = field(default_factory=lambda: WeightConfig("monarch"))
    fit: FitConfig = field(default_factory=FitConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    switch_at: float | None = None
    switch: SwitchConfig = field(default_factory=SwitchConfig)
    start_from: str | None = None
    seed: int = 0
    resume: str | None = None

    @classmethod
    def as_typed(cls, overrides: Sequence[str]) -> list[str]:
        """Return overrides with `from` for the `start_from` that `read_words` makes of it."""
        return [word.removeprefix("start_" * word.startswith("start_from=")) for word in overrides]

    @classmethod
    def from_former(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Return the stored config of a run without options that its kind of weight never read."""
        return without_unread(stored, "weight", OPTIONS, "kind")

    def __post_init__(self) -> None:
        """Raise ValueError for what does not go together; a start that nobody named is named."""
        check_ranges(self, "", SEEDS)
        if self.weight.start is None and not self.weight.is_control:
            start = "scaled" if self.start_from is None else "projection"
            self.weight = replace(self.weight, start=start)
        if self.dataset.CONTENT not in self.model.READS:
            models = [name for name, kind in MODELS.items() if self.dataset.CONTENT in kind.READS]
            data = [name for name, kind in DATASETS.items() if kind.CONTENT in self.model.READS]
            raise ValueError(
                f"model={self.model.name} reads {' or '.join(self.model.READS)}, but dataset.kind="
                f"{self.dataset.kind} holds {self.dataset.CONTENT}; use dataset="
                f"{' or dataset='.join(data)}, or model={' or model='.join(models)}"
            )
        if self.switch_at is not None:
            if not 0 < self.switch_at < 1:
                raise ValueError(
                    f"switch_at must be a fraction between 0 and 1, got {self.switch_at}; 0.9 "
                    "trains the last tenth dense"
                )
            if not 0 < self.switch_epoch < self.fit.epochs:
                raise ValueError(
                    f"switch_at={self.switch_at} of fit.epochs={self.fit.epochs} is after epoch "
                    f"{self.switch_epoch}, but a run needs an epoch before and one after it; use "
                    "more, shorter epochs (dataset.n_train), or another fraction"
                )
            if self.switch.moments == "carried":
                self._check_carried()
            if self.weight.is_control:
                raise ValueError(
                    f"switch_at={self.switch_at} makes structured layers dense, but those of "
                    f"weight={self.weight.name} are dense already; use weight=monarch, or leave "
                    "switch_at out"
                )
        elif self.switch != SwitchConfig():
            raise ValueError(
                f"switch.moments={self.switch.moments} and switch.warm_up={self.switch.warm_up} "
                "are for a run that goes on dense; give switch_at as well, as in switch_at=0.9"
            )

    def _check_carried(self) -> None:
        """Raise ValueError where moments cannot be mapped through the factors."""
        for key, value, known in (
            ("fit.optimizer", self.fit.optimizer, ("adam", "adamw")),
            ("weight.kind", self.weight.kind, ("monarch", "low_rank", "dense")),
        ):
            if value not in known:
                raise ValueError(
                    f"switch.moments=carried needs {key}={' or '.join(known[:2])}, got {value}; "
                    "use switch.moments=fresh"
                )

    @property
    def switch_epoch(self) -> int:
        """Epochs before the switch, of the first cycle; all of it without one."""
        return round((1.0 if self.switch_at is None else self.switch_at) * self.fit.cycle_ends[0])

    @property
    def transform(self) -> WeightConfig:
        """The weight, under the name by which results know what compared runs differ in."""
        return self.weight

    @property
    def is_dense_at_its_end(self) -> bool:
        """Whether the trained model holds the layers of the host library."""
        return self.weight.is_control or self.switch_at is not None


def read_words(arguments: Sequence[str]) -> list[str]:
    """Return overrides with `start_from` for `from`, which Python does not take as a name.

    A `~` is the home folder.
    """
    words = expand_home(arguments)
    return [f"start_{word}" if word.startswith("from=") else word for word in words]


# Hydra checks every override of `configs/sparse/train.yaml` against these names and types; those of
# a data set and of a model are chosen by their files.
_schema = OmegaConf.structured(SparseConfig)
_schema.dataset = _schema.model = MISSING
_store = ConfigStore.instance().store
_store(name="sparse_schema", node=_schema)
for _name, _dataset in DATASETS.items():
    _store(group="dataset", name=f"sparse_{_name}_options", node=_dataset)
for _name, _model in MODELS.items():
    _store(group="model", name=f"sparse_{_name}_options", node=_model)
