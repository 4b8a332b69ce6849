"""Checks of the arguments of transforms and layers, where the user gives them."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float64)  # of the parameters of a transform


def check_count(name: str, value: Any, remedy: str, least: int = 1) -> int:
    """Return a whole number of at least `least`, of any integer type, as an int.

    Raises:
        ValueError: for anything else; it ends in the remedy.
    """
    if (number := _whole(value)) is None or number < least:
        raise ValueError(
            f"{name} must be a whole number of at least {least}, got {value!r}; {remedy}"
        )
    return number


def check_counts(name: str, values: Any, length: int | None, remedy: str) -> tuple[int, ...]:
    """Return whole numbers of at least 1, as many as `length`, or None: any but none.

    Raises:
        ValueError: for anything else; it ends in the remedy.
    """
    numbers = _all_whole(values)
    fits = len(numbers) == length if length else bool(numbers)
    if not fits or any(number is None or number < 1 for number in numbers):
        shown = tuple(values) if numbers else values
        raise ValueError(
            f"{name} must be {length or 'some'} whole numbers of at least 1, got {shown!r}; "
            f"{remedy}"
        )
    return tuple(number for number in numbers if number is not None)


def check_flag(name: str, value: Any) -> bool:
    """Return a truth value; raise ValueError for what only counts as one, such as a word."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}; a word counts as neither")
    return value


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise ValueError for a value that is none of those offered."""
    if not any(value is choice or value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def per_axis(name: str, value: Any, order: int) -> tuple[Any, ...]:
    """Return one entry per axis; what is no list or tuple serves all of them.

    Raises:
        ValueError: for a sequence of another length.
    """
    if not isinstance(value, list | tuple):
        return (value,) * order
    if len(value) != order:
        raise ValueError(
            f"{name} must be one for all axes or have one entry for each of the {order}, got "
            f"{value!r}; give {order}"
        )
    return tuple(value)


def check_not_replaced(make: Callable[..., Any], given: dict[str, Any]) -> None:
    """Raise ValueError where `functools.partial` binds another value than a call is to give.

    The one of the call would take its place without a word. A class may bind options itself, in
    `bound_options`.
    """
    if isinstance(make, functools.partial):
        func, bound = make.func, make.keywords
    else:
        func, bound = make, getattr(make, "bound_options", {})
    for name in bound.keys() & given.keys():
        if type(bound[name]) is not type(given[name]) or bound[name] != given[name]:
            raise ValueError(
                f"{getattr(func, '__name__', func)} is bound with {name}="
                f"{bound[name]!r}, and is called with {name}={given[name]!r}; leave {name} out "
                "of the options that are bound"
            )


def check_matrix(A: Tensor) -> None:
    """Raise ValueError unless A is a matrix of finite numbers."""
    if not isinstance(A, Tensor):
        raise ValueError(
            f"A must be a torch.Tensor, got {type(A).__name__}; use torch.as_tensor(A)"
        )
    if A.ndim != 2 or A.numel() == 0:
        raise ValueError(
            f"A must be a matrix with entries, got shape {tuple(A.shape)}; give one of two axes"
        )
    if not A.isfinite().all():
        raise ValueError("A contains NaN or infinite entries, which no factors give; clean A")


def kept_indices(
    n: int, modes: Sequence[int] | None, *, signed: bool, centered: bool = False
) -> list[int] | None:
    """Return where the kept modes stand in a spectrum of length n (None: all are kept).

    Args:
        n: length of the spectrum.
        modes: frequencies f with |f| <= n / 2 if signed, in place f mod n or f + n // 2 if
            centered; else places from 0 to n - 1. In any order.
        signed: whether they are frequencies.
        centered: whether the frequency zero stands at n // 2.

    Raises:
        ValueError: for modes that are not on this grid or that repeat.
    """
    if modes is None:
        return None
    numbers = _all_whole(modes)
    first, last = (-(n // 2), n // 2) if signed else (0, n - 1)
    offset = n // 2 if centered else 0
    indices = [(f + offset) % n for f in numbers if f is not None and first <= f <= last]
    if not numbers or len(set(indices)) != len(numbers):
        shown = list(modes) if numbers else modes
        kind = "frequencies" if signed else "indices"
        aliased = f", of which {last} is {first} again" if signed and n % 2 == 0 else ""
        raise ValueError(
            f"modes must be distinct {kind} on a grid of n={n}, got {shown}; keep some of "
            f"{first} to {last}{aliased}, or take a finer grid"
        )
    return indices


def check_block_sizes(n: int, block_sizes: Sequence[int] | None) -> tuple[int, int]:
    """Return (p, q) with p q = n: the given ones if they fit, else the most balanced, p <= q.

    Raises:
        ValueError: for n < 1, or numbers that do not multiply to n.
    """
    n = check_count("n", n, "give the number of points of the grid")
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    if block_sizes is None:
        p = max(d for d in divisors if d * d <= n)
        return p, n // p
    numbers = _all_whole(block_sizes)
    p, q = (size or 0 for size in numbers) if len(numbers) == 2 else (0, 0)
    if p * q != n or p < 1:
        pairs = ", ".join(f"({d}, {n // d})" for d in divisors)
        shown = tuple(block_sizes) if numbers else block_sizes
        raise ValueError(
            f"block_sizes must multiply to n, got n={n} and block_sizes={shown}; use one of {pairs}"
        )
    return p, q


def check_vector(name: str, x: Tensor) -> None:
    """Raise ValueError unless x is a vector of finite numbers."""
    if x.ndim != 1 or x.numel() == 0:
        raise ValueError(
            f"{name} must be a vector with entries, got shape {tuple(x.shape)}; give one axis"
        )
    if not x.isfinite().all():
        raise ValueError(f"{name} contains NaN or infinite entries; clean {name}")


def _all_whole(values: Any) -> list[int | None]:
    """Return these values as `_whole` does, none of what is no series of values."""
    try:
        return [_whole(value) for value in values]
    except TypeError:
        return []


def _whole(value: Any) -> int | None:
    """Return an integer of any type but bool as an int, None for anything else."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None
