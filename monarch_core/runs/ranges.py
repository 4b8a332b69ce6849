"""Between which bounds the numbers of a config lie, and which options are read at all."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

MOST = 10**6  # of what is counted: epochs, samples of a batch, channels; far beyond any use
SEEDS = {"seed": (0, 2**32 - 1)}  # what every generator of random numbers takes


def check_ranges(config: Any, section: str, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for a number, or one in a list, out of its range; null has none.

    Args:
        config: has the numbers as attributes.
        section: the part of the config, for the message; empty at the top level.
        ranges: smallest and largest value of each, both allowed. NaN is in no range.
    """
    for key, (low, high) in ranges.items():
        value = getattr(config, key)
        values = value if isinstance(value, list) else [value]
        if not all(number is None or low <= number <= high for number in values):
            name = f"{section}.{key}".lstrip(".")
            raise ValueError(f"{name} must be from {low} to {high}, got {value!r}")


def check_unread(config: Any, part: str, read: Collection[str]) -> None:
    """Check that no option is given that this kind of a part of a run does not read.

    Args:
        config: a dataclass, the first two fields of which are `name` and `kind`.
        part: its key, for the message.
        read: the options that this kind has.

    Raises:
        ValueError: naming the option that is not at its default.
    """
    for option in dataclasses.fields(config)[2:]:
        value, made = getattr(config, option.name), option.default_factory
        unset = option.default if made is dataclasses.MISSING else made()
        if option.name not in read and value != unset:
            raise ValueError(
                f"{part}.kind={config.kind} has no option {option.name}, got {part}."
                f"{option.name}={value}; leave it out, or choose another {part}"
            )
