"""Parts of the package that need more than torch, and the extra that brings what they need."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


class MissingExtraError(ImportError):
    """A part of the package was imported without the extra that it needs."""


def require(extra: str, *modules: str) -> None:
    """Raise MissingExtraError, which says what to install, unless every module is there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"this part needs {', '.join(missing)}; run pip install 'monarch-science[{extra}]'"
        )


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
