"""The dense run that a sparse one starts from."""

import dataclasses
from pathlib import Path
from typing import Any

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.schema import load_config
from sparse.config.run import SparseConfig


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
