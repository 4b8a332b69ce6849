"""What a run is: data, measurement, model, transform and training, as one flat set of settings.

Two runs are seeds of one group when all settings are equal; two groups are compared with each other
when the settings of data and measurement are equal; what else differs between them is said. The
data are known by the fingerprints of their content where a run recorded them, wherever they lie;
by their config with its path where it did not.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monarch_core.runs.printable import printable

UNSET = "unset"  # what a config says of a key that it does not have

# Keys at the top of a config that say how a run was started, not what was computed.
BOOKKEEPING = frozenset({"seed", "resume", "run", "run_dir"})
# Keys anywhere that say where and with how many hands; what that costs is told by the device.
WORKPLACE = frozenset(
    {
        "accelerator",
        "cache_dir",
        "data_dir",
        "mask_cache",
        "n_threads",
        "n_workers",
        "num_workers",
    }
)
# Where data lie: what they are only as long as nobody has looked into them.
PLACES = ("dataset.root", "dataset.path")
SPLITS = ("train", "valid", "test")

DATASET = "dataset."
SPLIT_SIZES = "split_sizes."
FINGERPRINT = "fingerprints."
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
        transform_settings: the part of the config below `transform`, likewise.
        places: where the data lay, where that is not part of the settings.
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
    rest = {k: v for k, v in config.items() if k not in BOOKKEEPING and k != "transform"}
    settings = flatten(rest)
    transform = config.get("transform")
    transform_settings = flatten(transform if isinstance(transform, dict) else {}, "transform.")
    settings |= {key: os.path.normpath(settings[key]) for key in PLACES if settings.get(key)}
    sizes = results.get("split_sizes")
    if isinstance(sizes, dict):
        settings |= flatten(sizes, SPLIT_SIZES)
    else:
        notes.append("results.json has no split_sizes")
    places: dict[str, str] = {}
    prints = results.get("data_fingerprints")
    if isinstance(prints, dict) and all(_is_print(prints.get(split)) for split in SPLITS):
        settings |= {f"{FINGERPRINT}{split}_data": printable(prints[split]) for split in SPLITS}
        places = {key: settings.pop(key) for key in PLACES if key in settings}
    elif prints:
        notes.append(f"data_fingerprints are not those of {', '.join(SPLITS)}: the path counts")
    settings |= _epochs_done(results, config)
    n_settings = len(settings) + len(transform_settings)
    if n_settings > _MOST_SETTINGS:
        raise ValueError(f"a config of {n_settings} keys, more than {_MOST_SETTINGS}")
    return Identity(settings, transform_settings, places, tuple(notes))


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
    is_of_data = key.startswith((DATASET, SPLIT_SIZES, FINGERPRINT)) or key == UNKNOWN
    return is_of_data or (key.startswith(EVALUATION) and key not in FURTHER_METRICS)


def differing_keys(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys whose values are not the same in all configs; a missing key counts.

    Of keys that end alike and have the same values everywhere, as when one part of a config refers
    to another, only the first is returned.
    """
    found: dict[tuple[str, tuple[str | None, ...]], str] = {}
    for key in dict.fromkeys(key for config in configs for key in config):
        values = tuple(config.get(key) for config in configs)
        if len(set(values)) > 1:
            found.setdefault((_last(key), values), key)
    return list(found.values())


def same_choice(key: str, configs: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the keys that end as a key does and have its values in all configs, with the key."""
    values = [config.get(key) for config in configs]
    keys = {other for config in configs for other in config if _last(other) == _last(key)}
    return {other for other in keys if [config.get(other) for config in configs] == values}


def words(key: str, keys: Iterable[str]) -> str:
    """Return the end of a dotted key that tells it from the other keys, in words.

    `fit.learning_rate` is "learning rate", unless another key ends with `.learning_rate` as well.
    """
    parts = key.split(".")
    others = [other.split(".") for other in keys if other != key]
    length = 1
    while length < len(parts) and any(o[-length:] == parts[-length:] for o in others):
        length += 1
    return " ".join(parts[-length:]).replace("_", " ").strip()


def in_words(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return some settings in words, such as `learning rate 0.001, width 20`."""
    return ", ".join(f"{words(key, keys)} {values.get(key, UNSET)}" for key in keys)


def differences(
    one: Mapping[str, str], other: Mapping[str, str]
) -> tuple[tuple[str, str, str], ...]:
    """Return (key in words, value in the one, value in the other) of every setting that differs."""
    keys = differing_keys([one, other])
    return tuple((words(key, keys), one.get(key, UNSET), other.get(key, UNSET)) for key in keys)


def as_pairs(found: Iterable[tuple[str, str, str]]) -> str:
    """Return differences in words, such as `learning rate 0.001 / 0.002`."""
    return ", ".join(f"{key} {here} / {there}" for key, here, there in found)


def _check_names(results: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse results whose labels are not those of their config: one of them was edited."""
    named = {key: config.get(key) for key in ("dataset", "model", "transform")}
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


def _is_print(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _last(key: str) -> str:
    return key.rpartition(".")[2]
