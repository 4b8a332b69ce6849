"""The dense run that a sparse one starts from."""

from pathlib import Path

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
    for name in ("model", "dataset"):
        here, there = getattr(config, name), getattr(source, name)
        if here != there:
            raise ValueError(
                f"from={folder.path} was trained with another {name}, {there}, got {here}; give "
                "the same options"
            )
    if not source.is_dense_at_its_end:
        raise ValueError(
            f"from={folder.path} holds a network with weight={source.weight.name}, but only a "
            "dense one can be projected; give a run with weight=dense, or one with switch_at"
        )
