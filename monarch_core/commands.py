"""The console scripts of the package; where an extra is missing they say so in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from monarch_core.extras import MissingExtraError


def report() -> int:
    """Run `monarch-report` and return its exit status."""
    with _in_one_line("monarch-report"):
        from monarch_core.report.cli import main
    return main()


def sweep() -> int:
    """Run `monarch-sweep` and return its exit status."""
    with _in_one_line("monarch-sweep"):
        from monarch_core.runs.sweep import main
    return main()


@contextmanager
def _in_one_line(command: str) -> Iterator[None]:
    """Leave with status 2 and one line on standard error where an extra is missing."""
    try:
        yield
    except MissingExtraError as error:
        sys.stderr.write(f"{command}: {error}\n")
        sys.exit(2)
