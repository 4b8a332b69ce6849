"""What a run is: data, measurement, model, transform and training, as one flat set of settings.

Two runs are seeds of one group when all settings are equal; two groups are compared with each other
when the settings of data and measurement are equal; what else differs between them is said. This is
the one place that says what "the same data" are. Beside their config they are known by the
fingerprints of their content where a run recorded them, wherever they lie; else by the recipe that
made them; else by their path.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from monarch_core.runs.former_layout import FORMER_OPTIONS, FORMER_TRANSFORM
from monarch_core.runs.printable import printable

# Keys at the top of a config that say how a run was started, not what was computed.
BOOKKEEPING = frozenset({"seed", "resume", "run", "run_dir"})
# Keys anywhere that say where and with how many hands; what that costs is told by the device.
WORKPLACE = frozenset(
    {
        "accelerator",
        "cache_dir",
        "checkpoint_every",
        "data_dir",
        "devices",
        "mask_cache",
        "n_threads",
        "n_workers",
        "num_workers",
    }
)
# The part of a config in which compared runs differ: a transform, or the weight of linear layers.
SWAPPED = ("transform", "weight")
# Folders of runs that this one starts from: another one for each seed, so only that there is one
# counts.
STARTS = ("start_from", "calibration", "weights")
# Where data lie: what they are only as long as nobody has looked into them.
PLACES = ("dataset.root", "dataset.path")
# How data were made (script and prepare in former runs), of which the same holds.
MAKING = ("dataset.recipe", "dataset.script", "dataset.prepare")
SPLITS = ("train", "valid", "test")

DATASET = "dataset."
SPLIT_SIZES = "split_sizes."
FINGERPRINT = "fingerprints."
RECIPE = "recipe."
EVALUATION = "evaluation."
# Keys of the evaluation that ask for further metrics and leave the others as they are.
FURTHER_METRICS = frozenset({"evaluation.grids", "evaluation.unseen_mask"})
EPOCHS_DONE = "fit.epochs_done"
UNKNOWN = "config"  # the only setting of a run without a config

_MOST_SETTINGS = 2000


@dataclass(frozen=True)
class Identity:
    """What one run is, apart from its seed.

    Attributes:
        settings: {dotted key: value as text} of data, measurement, model and training.
        transform_settings: the part of the config below one of `SWAPPED`, likewise.
        places: where the data lay and how they were made, where neither decides what they are.
        notes: what is missing in the record.
    """

    settings: Mapping[str, str]
    transform_settings: Mapping[str, str]
    places: Mapping[str, str]
    notes: tuple[str, ...] = ()


def identity_of(results: Mapping[str, Any], where: str) -> Identity:
    """Return what the content of a `results.json` says of its run.

    Args:
        results: the content.
        where: the run folder, which stands in for a config that is missing.

    Raises:
        ValueError: its config contradicts the names beside it, or is absurdly large.
    """
    notes = []
    config = results.get("config")
    if not isinstance(config, dict) or not config:
        notes.append("results.json has no config: the run is comparable with no other")
        config = {UNKNOWN: f"unknown, {where}"}
    _check_names(results, config)
    settings = flatten({k: v for k, v in config.items() if k not in (*BOOKKEEPING, *SWAPPED)})
    settings |= {k: v for k, v in _unread(results.get("task"), config).items() if k not in settings}
    transform_settings: dict[str, str] = {}
    for part in SWAPPED:
        swapped = config.get(part)
        if isinstance(swapped, dict):
            later = FORMER_TRANSFORM if part == "transform" else {}
            transform_settings |= flatten({**later, **swapped}, f"{part}.")
    settings |= {key: "another run" for key in STARTS if config.get(key) is not None}
    settings |= {key: os.path.normpath(settings[key]) for key in PLACES if settings.get(key)}
    sizes = results.get("split_sizes")
    if isinstance(sizes, dict):
        settings |= flatten(sizes, SPLIT_SIZES)
    else:
        notes.append("results.json has no split_sizes")
    places, odd = _identify_data(results, settings)
    settings |= _epochs_done(results, config)
    n_settings = len(settings) + len(transform_settings) + len(places)
    if n_settings > _MOST_SETTINGS:
        raise ValueError(f"a config of {n_settings} keys, more than {_MOST_SETTINGS}")
    return Identity(settings, transform_settings, places, (*notes, *odd))


def completed(
    settings: Mapping[str, str], defaults: Mapping[str, str], apart: Iterable[str] = ()
) -> dict[str, str]:
    """Return settings with the defaults of options that the version of a run did not know.

    Where data lie, how they were made and what only asks for further metrics is not completed: none
    of it decides what is compared.

    Args:
        settings: of a run.
        defaults: of options, flat as the settings.
        apart: keys that a run knows although they are none of its settings.
    """
    added = {
        key: value
        for key, value in defaults.items()
        if key not in (*PLACES, *FURTHER_METRICS, *apart) and not key.startswith(MAKING)
    }
    return {**added, **settings}


def defaults_in(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the defaults that a `results.json` records, flat; {} where it records none."""
    recorded = results.get("defaults")
    if not isinstance(recorded, dict):
        return {}
    flat = flatten({k: v for k, v in recorded.items() if k not in BOOKKEEPING})
    return flat if len(flat) <= _MOST_SETTINGS else {}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Turn a nested config into {dotted key: value as text}, without the keys of `WORKPLACE`.

    Lists stay in one piece.
    """
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if key in WORKPLACE:
            continue
        name = f"{prefix}{printable(key)}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = printable(value if isinstance(value, str) else json.dumps(value))
    return flat


def is_measured(key: str) -> bool:
    """Tell whether a setting is of the data or decides what a metric of them means.

    Only where all of these are equal are two metrics compared.
    """
    is_of_data = key.startswith((DATASET, SPLIT_SIZES, FINGERPRINT, RECIPE)) or key == UNKNOWN
    return is_of_data or (key.startswith(EVALUATION) and key not in FURTHER_METRICS)


def _unread(task: Any, config: Mapping[str, Any]) -> dict[str, str]:
    """Return what runs of before would hold of options that only other models than theirs read."""
    known = isinstance(task, str) and isinstance(config.get("model"), Mapping)
    return flatten(FORMER_OPTIONS.get(task, {}), "model.") if known else {}


def _identify_data(
    results: Mapping[str, Any], settings: dict[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Bring what decides which data they are into the settings, and take out what does not.

    Returns:
        what does not decide, and notes on a record that cannot be used.
    """
    notes = []
    recipe, prints = results.get("data_identity"), results.get("data_fingerprints")
    if recipe is not None and not isinstance(recipe, dict):
        notes.append("data_identity is no record of a recipe and does not count")
    made: dict[str, str] = flatten(recipe, RECIPE) if isinstance(recipe, dict) else {}
    stated = prints if isinstance(prints, dict) else {}
    content = {s: p for s in SPLITS if isinstance(p := stated.get(s), str) and p.strip()}
    seen = len(content) == len(SPLITS)
    if prints and not seen:
        counts = "recipe" if made else "path"
        notes.append(f"data_fingerprints are not those of {', '.join(SPLITS)}: the {counts} counts")
    told = [key for key in settings if key in PLACES or key.startswith(MAKING)]
    places = {key: settings.pop(key) for key in told if seen or made}
    if not seen:
        settings |= made
        return places, notes
    settings |= {f"{FINGERPRINT}{split}_data": printable(p) for split, p in content.items()}
    return {**places, **made}, notes


def _check_names(results: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse results whose labels are not those of their config: one of them was edited."""
    named = {key: config.get(key) for key in ("dataset", "model")}
    named["transform"] = next((config[part] for part in SWAPPED if part in config), None)
    pairs = {
        key: (results.get(key), value.get("name"))
        for key, value in named.items()
        if isinstance(value, dict)
    }
    pairs["seed"] = (results.get("seed"), config.get("seed"))
    for key, (label, value) in pairs.items():
        if None not in (label, value) and label != value:
            raise ValueError(
                f"{key} is {printable(str(label))!r} at its top and {printable(str(value))!r} in "
                "its config; evaluate the run again"
            )


def _epochs_done(results: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Return how many epochs a run was trained for, if that is not what its config asks for.

    A model without parameters needs no epoch.
    """
    fit = config.get("fit")
    wanted = fit.get("epochs") if isinstance(fit, dict) else None
    done = results.get("n_epochs")
    is_short = isinstance(wanted, int) and isinstance(done, int) and done != wanted
    return {EPOCHS_DONE: str(done)} if is_short and results.get("n_parameters") != 0 else {}
