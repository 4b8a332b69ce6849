"""Overrides as a user has to type them, quoted for hydra and for the shell where they ask it."""

import re
import shlex
from collections.abc import Sequence

from monarch_core.runs.printable import printable

_PLAIN = re.compile(r"([A-Za-z_/]|\.{1,2}/)[\w./-]*", re.ASCII)
# What hydra takes for something else than a text.
_WORDS = ("null", "true", "false", "nan", "inf")


def typed(key: str, value: str | Sequence[str]) -> str:
    """Return `key=value` as it is typed on a command line, a text or a list of texts.

    Whatever a text holds, hydra gets it back from the shell as it is: `'dataset.key="my name"'`.
    What could not be printed is made printable first.
    """
    if isinstance(value, str):
        return shlex.quote(f"{key}={quoted(printable(value))}")
    words = f"{key}=[{','.join(quoted(printable(text)) for text in value)}]"
    return words if all(map(_is_plain, value)) else shlex.quote(words)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _WORDS


def quoted(text: str) -> str:
    """Return a text in the grammar of hydra, which reads the very same text from it."""
    if _is_plain(text):
        return text

    def escape(found: re.Match[str]) -> str:
        return 2 * found[1] + ('\\"' if found[2] else "")

    escaped = re.sub(r'(\\*)("|\Z)', escape, text)
    return f'"{escaped}"'.replace("${", "\\${")
