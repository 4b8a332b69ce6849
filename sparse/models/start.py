"""The dense run that a sparse one starts from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.schema import load_config
from monarch_core.training.checkpoint import load_weights
from monarch_core.training.recipe import other_splits
from sparse.config.model import BertConfig
from sparse.config.run import SparseConfig
from sparse.config.shapes import SentenceShape, Shape, TextShape
from sparse.models.hosts import build_bert


def still_to_start(config: SparseConfig, run_dir: Path) -> SparseConfig:
    """Return the config without `start_from` where a run goes on from its own last epoch.

    All that it took is in its checkpoint, and the run that it took it from may be gone.
    """
    is_begun = RunFolder(run_dir).can_resume
    return dataclasses.replace(config, start_from=None) if is_begun else config


def check_start(config: SparseConfig) -> None:
    """Check before any work that the run of `start_from` can be gone on from.

    Raises:
        ValueError: there is no such run, it has no weights, is of another model or data set, or is
            not dense at its end.
    """
    if config.start_from is None:
        return
    folder = RunFolder(Path(config.start_from))
    source = load_config(folder.path, SparseConfig)
    if not folder.weights.is_file():
        raise ValueError(
            f"{folder.weights} does not exist, so {folder.path} has not finished an epoch; train "
            "that run first"
        )
    here, there = _network(config), _network(source)
    if _is_pretrained(config, source):
        free = [key for key in there if key.startswith("dataset.") and key != "dataset.context"]
        there = {key: value for key, value in there.items() if key not in free}
    changed = [
        f"{key}={here.get(key)} (there {there[key]})"
        for key in there
        if here.get(key) != there[key]
    ]
    if changed:
        raise ValueError(
            f"from={folder.path} was trained with other options: {', '.join(changed)}; give those "
            "it was trained with"
        )
    if not source.is_dense_at_its_end:
        raise ValueError(
            f"from={folder.path} holds a network with weight={source.weight.name}, but only a "
            "dense one can be projected; give a run with weight=dense, or one with switch_at"
        )


def check_data(config: SparseConfig, fingerprints: Mapping[str, str]) -> None:
    """Check that a run goes on with the data that the run of `start_from` has learned from.

    With others of the same name, what is measured on could be what that run was trained on.

    Args:
        config: of the run.
        fingerprints: of its data, by split.

    Raises:
        ValueError: the data are others, or the checkpoint of that run is damaged.
    """
    if config.start_from is None:
        return
    folder = RunFolder(Path(config.start_from))
    if _is_pretrained(config, load_config(folder.path, SparseConfig)):
        return
    others = other_splits(folder.checkpoint, fingerprints)
    if others:
        raise ValueError(
            f"from={folder.path} has learned from other data: {', '.join(others)} of dataset.name="
            f"{config.dataset.name} differ in content; give the dataset.path of those"
        )


def load_start(model: nn.Module, config: SparseConfig, shape: Shape) -> None:
    """Load the weights of the run of `start_from` into a dense network.

    Of one that predicts masked tokens a classifier of sentences takes the embeddings and the
    blocks; its head stays.

    Raises:
        ValueError: the weights are damaged or belong to another model.
    """
    assert config.start_from is not None
    folder = RunFolder(Path(config.start_from))
    if not _is_pretrained(config, load_config(folder.path, SparseConfig)):
        load_weights(folder.weights, model)
        return
    assert isinstance(shape, SentenceShape)
    assert isinstance(config.model, BertConfig)  # no other network reads sentences
    masked = build_bert(config.model, TextShape(shape.vocabulary, shape.context))
    load_weights(folder.weights, masked)
    for name in ("embeddings", "encoder"):
        part = masked.get_submodule(f"host.bert.{name}")
        model.get_submodule(f"host.bert.{name}").load_state_dict(part.state_dict())


def _is_pretrained(config: SparseConfig, source: SparseConfig) -> bool:
    """Whether a classifier of sentences starts from a network that predicts masked tokens."""
    return (config.dataset.CONTENT, source.dataset.CONTENT) == ("sentences", "text")


def _network(config: SparseConfig) -> dict[str, Any]:
    """Return what two runs must share for one to go on with the weights of the other.

    Where the data lie and how many windows an epoch has may differ.
    """
    data = dataclasses.asdict(config.dataset)
    free = ("n_train", *config.dataset.DATA_PLACES)
    return {
        **{f"model.{key}": value for key, value in dataclasses.asdict(config.model).items()},
        **{f"dataset.{key}": value for key, value in data.items() if key not in free},
    }
