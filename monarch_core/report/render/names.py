"""Names of files and anchors: made of words, short, and each given once."""

import hashlib
import re
from dataclasses import dataclass, field

_MOST_LETTERS = 120


def slug(*parts: str) -> str:
    """Return a file name made of the words of the parts; a long one ends with a digest."""
    text = " ".join(parts)
    words = re.findall(r"[a-z0-9.+]+", text.lower())
    name = "-".join(word.strip(".") for word in words if word.strip(".")) or "figure"
    if len(name) <= _MOST_LETTERS:
        return name
    return f"{name[:_MOST_LETTERS]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


@dataclass
class Names:
    """The names that are taken on one page.

    Attributes:
        taken: they.
    """

    taken: set[str] = field(default_factory=set)

    def free(self, name: str) -> str:
        """Take a name, with a number behind it if it is taken already."""
        found, times = name, 1
        while found in self.taken:
            times += 1
            found = f"{name}-{times}"
        self.taken.add(found)
        return found
