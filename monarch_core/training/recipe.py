"""What determines the weights of a run, and must be the same for the run to go on."""

import dataclasses
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monarch_core.training.config import FitConfig

# Keys that say where a run happens, or how often it is saved; all others say what is computed.
_FREE_TO_CHANGE = (
    "fit.accelerator",
    "fit.devices",
    "fit.num_workers",
    "fit.n_threads",
    "fit.checkpoint_every",
    "resume",
)


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
            `DATA_PLACES` the fields that only say where the data are or how they are made.
        fingerprints: of the data, by split; they take the place of those fields.
    """
    nested = dataclasses.asdict(whole_config) if whole_config is not None else {}
    values = _flatten({**nested, "fit": dataclasses.asdict(config), "seed": seed})
    free = [*_FREE_TO_CHANGE, *(_data_places(whole_config) if fingerprints else ())]
    return {
        **{key: value for key, value in values.items() if key not in free},
        "n_train": n_train,
        **_marks(fingerprints),
    }


def other_than_trained(
    config: Any, fingerprints: Mapping[str, str] | None, saved: Mapping[str, Any]
) -> list[str]:
    """Return in words what a run is measured with and was not trained with.

    Args:
        config: of the run as it is now, a dataclass; how it is measured does not count.
        fingerprints: of the data, by split.
        saved: the recipe in its checkpoint, which anybody may have written.
    """
    now = {**_flatten(dataclasses.asdict(config)), **_marks(fingerprints)}
    return [
        f"{key}={reprlib.repr(value)} (trained with {reprlib.repr(saved[key])})"
        for key, value in now.items()
        if key in saved and not key.startswith("evaluation.") and not _same(value, saved[key])
    ]


def _marks(fingerprints: Mapping[str, str] | None) -> dict[str, str]:
    return {f"data fingerprint of {split}": mark for split, mark in (fingerprints or {}).items()}


def check_recipe(recipe: Mapping[str, Any], saved: Any, source: Path) -> None:
    """Compare a recipe with that of a saved run, which may have options that no network read.

    Raises:
        ValueError: naming every value that differs, with what the run was started with.
    """
    if not isinstance(saved, dict) or not all(isinstance(key, str) for key in saved):
        raise ValueError(
            f"{source} is damaged or was edited: recipe is no table of values; restore it from a "
            "copy, or delete it and start the run again."
        )
    changed = [
        f"{key}={reprlib.repr(recipe[key])} (the run was started with {reprlib.repr(value)})"
        for key, value in saved.items()
        if key in recipe and not _same(recipe[key], value)
    ]
    changed += [f"{key}, which it does not know" for key in sorted(recipe.keys() - saved.keys())]
    if changed:
        raise ValueError(
            f"{source} cannot be continued with {', '.join(changed)}; resume with the data and the "
            "values that the run was started with, or start a new run."
        )


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
