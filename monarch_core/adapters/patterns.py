"""Layers chosen by patterns of their names."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase


def chosen_by_name(
    include: str | Sequence[str], exclude: str | Sequence[str], names: Iterable[str]
) -> Callable[[str], bool]:
    """Return a function that tells whether a name is among those included and not excluded.

    A pattern of `fnmatch` (`*` also stands for dots) means what it matches and all inside of it:
    "encoder.layer.3" is all layers there, "*.k_proj" all of that name.

    Args:
        include: patterns; none includes all.
        exclude: patterns of what is left out.
        names: all there are.

    Raises:
        ValueError: for a pattern that matches none of the names; it tells the nearest ones.
    """
    included, excluded = as_patterns("include", include), as_patterns("exclude", exclude)
    known = list(names)
    check_matched("include", included, known)
    check_matched("exclude", excluded, known)

    def is_chosen(name: str) -> bool:
        return (not included or matches(name, included)) and not matches(name, excluded)

    return is_chosen


def as_patterns(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """Return patterns, of which a single one may be given by itself.

    Raises:
        ValueError: for what is no text.
    """
    patterns = (given,) if isinstance(given, str) else tuple(given)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ValueError(
                f"{option} must be patterns of names, got {pattern!r}; give names of layers, with "
                "* for any letters"
            )
    return patterns


def check_matched(option: str, patterns: Sequence[str], names: Sequence[str]) -> None:
    """Raise ValueError for a pattern that matches none of the names, with the nearest ones."""
    for pattern in patterns:
        if not any(matches(name, (pattern,)) for name in names):
            near = get_close_matches(pattern, names, cutoff=0.0)
            raise ValueError(
                f"{option}={pattern!r} matches no layer that can be exchanged; the nearest names "
                f"are {', '.join(near) or 'none, since there is no such layer'}"
            )


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether a pattern matches a dotted name or that of a module that holds it."""
    parts = name.split(".")
    holders = [".".join(parts[: i + 1]) for i in range(len(parts))]
    return any(fnmatchcase(holder, pattern) for pattern in patterns for holder in holders)
