"""What evaluating a run is in every application: its model as it was and is, and its results."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

from monarch_core.runs.artifacts import Artifact, save_artifacts
from monarch_core.runs.results import write_results
from monarch_core.training.devices import choose_accelerator
from monarch_core.training.optimization import n_parameters
from monarch_core.training.recipe import load_trained

Model = TypeVar("Model", bound=nn.Module)


@runtime_checkable
class Splits(Protocol):
    """What an evaluation notes of the data of a run.

    Attributes:
        sizes: samples in each split, by name.
        fingerprints: of the data, by split.
        identity: what the data are, as the recipe that made them says; None where none did.
    """

    @property
    def sizes(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def fingerprints(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def identity(self) -> Mapping[str, Any] | None: ...  # noqa: D102


def models_of_run(
    run_dir: Path, build: Callable[[], Model], config: Any, splits: Splits | None
) -> tuple[Model, Model]:
    """Return the model of a run as it was trained, ready to be measured, and as it started.

    Args:
        run_dir: the run folder.
        build: makes the model.
        config: of the run.
        splits: its data; None where it is measured with others.

    Raises:
        ValueError: the weights are missing or damaged, or belong to another model.
    """
    models = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            models.append(build())
    trained, start = models
    load_trained(run_dir, trained, config, splits.fingerprints if splits else None)
    return trained.to(choose_accelerator(config.fit.accelerator)).eval(), start


def keep_results(
    run_dir: Path,
    task: str,
    config: Any,
    splits: Splits,
    model: nn.Module,
    metrics: Mapping[str, float],
    artifacts: Sequence[Artifact],
) -> dict[str, Any]:
    """Leave results and artifacts in the run folder; return what is in `results.json`.

    Args:
        run_dir: the run folder.
        task: the application.
        config: of the run as it was measured, with `dataset`, `model`, `transform` and `seed`.
        splits: the data.
        model: that was measured.
        metrics: numbers by name.
        artifacts: what the report draws.

    Raises:
        OSError: a file cannot be written.
    """
    save_artifacts(run_dir, artifacts)
    return write_results(
        run_dir,
        task=task,
        dataset=config.dataset.name,
        model=config.model.name,
        transform=config.transform.name,
        seed=config.seed,
        split_sizes=splits.sizes,
        metrics=metrics,
        n_parameters=n_parameters(model),
        config=config,
        fingerprints=splits.fingerprints,
        transform_declares=config.transform.declares(),
        data_identity=splits.identity,
    )
