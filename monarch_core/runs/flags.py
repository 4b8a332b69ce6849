"""Flags on the command line of a script whose options are key=value: what was probably meant."""

import contextlib
import io
import shlex
from collections.abc import Container, Sequence
from typing import NamedTuple

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from monarch_core.runs.printable import listed, printable
from monarch_core.runs.schema import leaves, near_keys

# Flags of hydra that take no value, where others mean an option by the name.
_WITHOUT_VALUE = ("--run", "-r")
# Names that other programs have for an option.
_ELSEWHERE = {"lr": "learning_rate", "bs": "batch_size", "data": "path", "gpu": "accelerator"}


class Flag(NamedTuple):
    """A flag that hydra does not know, and the value that goes with it, if any."""

    word: str
    value: str | None

    @property
    def key(self) -> str:
        """The key that it would be."""
        name = self.word.lstrip("-").replace("-", "_")
        return _ELSEWHERE.get(name, name)


def foreign_flags(arguments: Sequence[str]) -> list[Flag]:
    """Return the flags among arguments that are not of hydra; those that it refuses are left out.

    Args:
        arguments: command line without the name of the program.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            _, unknown = get_args_parser().parse_known_args(list(arguments))
        except SystemExit:  # `--version`, or a flag of hydra without its value: hydra says so
            return []
    words = zip(arguments, [*arguments, ""][1:], strict=True)
    bare = {word for word, after in words if word in _WITHOUT_VALUE and _is_value(after)}
    return paired(arguments, {*unknown, *bare})


def paired(arguments: Sequence[str], words: Container[str]) -> list[Flag]:
    """Return those of some words among arguments that are flags, with the values behind them."""
    found = []
    for word, after in zip(arguments, [*arguments, ""][1:], strict=True):
        name, equals, value = word.partition("=")
        if word.startswith("-") and word in words:
            found.append(Flag(name, value if equals else after if _is_value(after) else None))
    return found


def _is_value(word: str) -> bool:
    return bool(word) and not word.startswith("-") and "=" not in word


def instead_of(flags: Sequence[Flag], config: DictConfig) -> str:
    """Return in a sentence what to type instead of flags.

    Args:
        flags: at least one.
        config: whose keys are the options.
    """
    words = [f"{flag.word} {flag.value or ''}".strip() for flag in flags]
    near = {flag: _near(flag.key, config) for flag in flags}
    said = [
        " or ".join(shlex.quote(printable(f"{key}={flag.value or 'VALUE'}")) for key in keys)
        for flag, keys in near.items()
        if keys
    ]
    unknown = [flag.word for flag, keys in near.items() if not keys]
    remedy = [f"did you mean {', '.join(said)}?"] if said else []
    if unknown:
        remedy.append(f"nothing is like {listed(unknown)}; known here: {listed(leaves(config))}")
    are = "is no flag" if len(flags) == 1 else "are no flags"
    return f"{listed(words)} {are} of this script, whose options are key=value; {' '.join(remedy)}"


def _near(key: str, config: DictConfig) -> list[str]:
    """Return at most two keys that may be meant, those of training first."""
    return sorted(near_keys(key, config), key=lambda name: not name.startswith("fit."))[:2]
