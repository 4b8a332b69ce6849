"""What every refusal must look like; the tables of bad inputs lie in tests/bad_inputs/."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

LONGEST = 1500  # letters of a paragraph


@dataclass(frozen=True)
class BadInput:
    """One kind of bad input.

    Attributes:
        name: what is wrong with it, as the id of the test.
        act: does what a user would do with it; takes the fixtures that the table says.
        says: words that the message must hold: the value, the place and the remedy.
    """

    name: str
    act: Callable[..., Any]
    says: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.name


def table(*cases: BadInput) -> pytest.MarkDecorator:
    """Parametrize a test over bad inputs, each named once."""
    assert len({case.name for case in cases}) == len(cases)
    return pytest.mark.parametrize("case", cases, ids=str)


def assert_refused(case: BadInput, *arguments: Any) -> None:
    """Check that an input is refused by one paragraph that says what the case asks for."""
    with pytest.raises((ValueError, OSError)) as caught:
        case.act(*arguments)
    message = str(caught.value)
    assert message.strip(), "an empty message"
    assert "\n" not in message.strip(), f"more than one paragraph: {message}"
    assert message.strip().isprintable(), f"it may act on a terminal: {message!r}"
    assert len(message) < LONGEST, f"{len(message)} letters: {message[:LONGEST]}"
    missing = [words for words in case.says if words not in message]
    assert not missing, f"{missing} not in: {message}"
