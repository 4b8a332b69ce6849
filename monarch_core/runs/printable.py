"""Words of strangers, made safe to print.

Names and attributes in files and run folders may hold line ends, the escapes of terminals, or more
letters than anybody reads.
"""

import hashlib
from collections.abc import Iterable

_MOST_LETTERS = 400
_MOST_ITEMS = 12
# Letters of an error message: more than any of ours has.
_PARAGRAPH = 4000


def printable(text: str) -> str:
    """Return a text in one line without anything that acts instead of being seen.

    Control characters (line ends, the escapes of terminals), marks of direction and halves of
    surrogate pairs become their escapes. What is too long for a table ends with its length and a
    digest, so that two different texts stay different.
    """
    return _cut(text, _visible(text), _MOST_LETTERS)


def listed(items: Iterable[str]) -> str:
    """Return the first of many names with commas between them, and how many more there are."""
    names = list(items)
    more = f" and {len(names) - _MOST_ITEMS} more" if len(names) > _MOST_ITEMS else ""
    return ", ".join(map(printable, names[:_MOST_ITEMS])) + more


def paragraph(message: BaseException | str) -> str:
    """Return a message, or that of an error, as one paragraph; the kind of error if it has none."""
    text = " ".join(str(message).split()) or type(message).__name__
    return _cut(text, _visible(text), _PARAGRAPH)


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str, shown: str, most: int) -> str:
    if len(shown) <= most:
        return shown
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{shown[:most]}… ({len(text)} letters, {digest})"
