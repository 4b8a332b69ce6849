"""Home folders on the command line: a shell leaves the `~` of `key=~/folder` to the program."""

import re
from collections.abc import Sequence
from pathlib import Path

# At the beginning of a value or of an entry of a list, in quotes or not.
_HOME = re.compile(r"(?<=[=,\[])(['\"]?)~(?=[/,\]'\"]|$)")


def expand_home(arguments: Sequence[str]) -> list[str]:
    """Return overrides with the home folder in the place of `~`."""
    home = Path.home()
    return [_HOME.sub(lambda found: f"{found[1]}{home}", argument) for argument in arguments]
