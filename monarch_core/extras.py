"""Parts of the package that need more than torch, and the extra that brings what they need."""

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
