"""How flat settings of runs differ, and how that is said."""

from collections.abc import Iterable, Mapping, Sequence

from monarch_core.report.read.untrusted import finite

UNSET = "unset"  # what a config says of a key that it does not have


def number_or_text(text: str) -> tuple[int, float, str]:
    """Return a sort key under which 2 comes before 10, and finite numbers before words."""
    try:
        value = finite(float(text))
    except ValueError:
        value = None
    return (1, 0.0, text) if value is None else (0, value, "")


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


def _last(key: str) -> str:
    return key.rpartition(".")[2]
