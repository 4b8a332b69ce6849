"""What determines the weights of a run: the same for it to go on, and when it is measured."""

import dataclasses
import logging
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from monarch_core.runs.folder import RunFolder
from monarch_core.training.checkpoint import load_checkpoint, load_weights
from monarch_core.training.config import FitConfig

log = logging.getLogger(__name__)

# Keys that say where a run happens, or how often it is saved; all others say what is computed.
_FREE_TO_CHANGE = (
    "fit.accelerator",
    "fit.devices",
    "fit.num_workers",
    "fit.n_threads",
    "fit.checkpoint_every",
    "resume",
)
# They may grow together, as `check_recipe` says.
LENGTH = ("fit.epochs", "fit.restarts")
_MARK = "data fingerprint of "


def make_recipe(
    config: FitConfig,
    *,
    seed: int,
    n_train: int,
    whole_config: Any = None,
    fingerprints: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the values that belong to a run, by the names of its `config.yaml`.

    Args:
        config: of the fit loop.
        seed: of the order of the data.
        n_train: training samples.
        whole_config: of the run, a dataclass, where there is one. A part of it may list in
            `DATA_PLACES` the fields, or parts, that only say where the data are or how they are
            made.
        fingerprints: of the data, by split; they take the place of those fields.
    """
    nested = dataclasses.asdict(whole_config) if whole_config is not None else {}
    values = _flatten({**nested, "fit": dataclasses.asdict(config), "seed": seed})
    free = [*_FREE_TO_CHANGE, *(_data_places(whole_config) if fingerprints else ())]
    return {
        **{k: v for k, v in values.items() if not any(f"{k}.".startswith(f"{f}.") for f in free)},
        "n_train": n_train,
        **_marks(fingerprints),
    }


def load_trained(
    run_dir: Path, model: nn.Module, config: Any, fingerprints: Mapping[str, str] | None = None
) -> None:
    """Load the best weights of a run; warn where it is not measured with what it was trained with.

    Args:
        run_dir: the run folder.
        model: of the structure that the config describes.
        config: of the run as it is now, a dataclass; how it is measured does not count.
        fingerprints: of the data, by split.

    Raises:
        ValueError: the weights are missing or damaged, or belong to another model.
    """
    folder = RunFolder(run_dir)
    load_weights(folder.weights, model)
    if not folder.checkpoint.is_file():  # weights are measured without one too
        return
    try:
        saved = load_checkpoint(folder.checkpoint).get("recipe")
    except ValueError:
        return
    now = {**_flatten(dataclasses.asdict(config)), **_marks(fingerprints)}
    changed = [
        f"{key}={reprlib.repr(value)} (trained with {reprlib.repr(saved[key])})"
        for key, value in now.items()
        if isinstance(saved, dict)  # anybody may have written it
        and key in saved
        and not key.startswith("evaluation.")
        and not _same(value, saved[key])
    ]
    if changed:
        log.warning(
            "these are not the numbers of the run that %s holds: it was measured with %s; bring "
            "back data and config.yaml, then evaluate again",
            run_dir,
            ", ".join(changed),
        )


def other_splits(checkpoint: Path, fingerprints: Mapping[str, str]) -> list[str]:
    """Return the names of the splits whose data a run was trained with others of.

    Args:
        checkpoint: of the run; without one nothing is known, and none is returned.
        fingerprints: of the data as they are now, by split.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    saved = load_checkpoint(checkpoint).get("recipe") if checkpoint.is_file() else None
    if not isinstance(saved, dict):  # anybody may have written it
        return []
    return [
        split
        for split, mark in fingerprints.items()
        if not _same(mark, saved.get(f"{_MARK}{split}", mark))
    ]


def _marks(fingerprints: Mapping[str, str] | None) -> dict[str, str]:
    return {f"{_MARK}{split}": mark for split, mark in (fingerprints or {}).items()}


def check_recipe(recipe: Mapping[str, Any], saved: Any, source: Path) -> None:
    """Compare a recipe with that of a saved run, which may have options that no network read.

    A later option that is null, false or an empty list leaves things as they were. A run may be
    trained on: its epochs are then one of `fit.restarts`, behind those that it had.

    Raises:
        ValueError: naming every value that differs, with what the run was started with.
    """
    if not isinstance(saved, dict) or not all(isinstance(key, str) for key in saved):
        raise ValueError(
            f"{source} is damaged or was edited: recipe is no table of values; restore it from a "
            "copy, or delete it and start the run again."
        )
    free = LENGTH if _is_longer(recipe, saved) else ()
    changed = [
        f"{key}={reprlib.repr(recipe.get(key))} (the run was started with {reprlib.repr(value)})"
        for key, value in saved.items()
        if (key in recipe or key.startswith(_MARK))
        and key not in free
        and not _same(recipe.get(key), value)
    ]
    unknown = sorted(recipe.keys() - saved.keys())
    changed += [
        f"{key}, which it does not know"
        for key in unknown
        if recipe[key] is not None
        and recipe[key] is not False
        and recipe[key] != []
        and key not in free
    ]
    if changed:
        raise ValueError(
            f"{source} cannot be continued with {', '.join(changed)}; resume with the data and the "
            "values that the run was started with, or start a new run."
        )


def _is_longer(recipe: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Tell whether a run that was saved has been asked to go on behind its end."""
    restarts = [values.get("fit.restarts", []) for values in (saved, recipe)]
    if not all(isinstance(epochs, list) for epochs in restarts):
        return False
    before, now = (
        [*epochs, values.get("fit.epochs")]
        for epochs, values in zip(restarts, (saved, recipe), strict=True)
    )
    return len(now) > len(before) and _same(now[: len(before)], before)


def _same(value: Any, saved: Any) -> bool:
    """Tell whether two plain values are equal, kinds included; a stranger's is compared last."""
    if isinstance(value, list):
        return (
            isinstance(saved, list) and len(saved) == len(value) and all(map(_same, value, saved))
        )
    return type(value) is type(saved) and bool(value == saved)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _plain(value)
    return flat


def _plain(value: Any) -> Any:
    """Return what a checkpoint can hold: a number, a word, or lists of them."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _data_places(config: Any) -> list[str]:
    return [
        f"{part.name}.{key}"
        for part in (dataclasses.fields(config) if config is not None else ())
        for key in getattr(getattr(config, part.name), "DATA_PLACES", ())
    ]
