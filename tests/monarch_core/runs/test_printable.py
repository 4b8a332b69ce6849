"""What strangers wrote is seen when it is printed, and does nothing else."""

import pytest

from monarch_core.runs.printable import listed, paragraph, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00fc\u9577 ± x", "plain \u00fc\u9577 ± x"),
        ("a\nb\tc\x1b[31m\x00", "a\\nb\\tc\\x1b[31m\\x00"),
        ("\ud800\u202e\u200b\u2028", "\\ud800\\u202e\\u200b\\u2028"),
    ],
)
def test_only_what_can_be_seen_is_printed(text, shown):
    assert printable(text) == shown
    printable(text).encode("utf-8")


def test_long_texts_are_short_and_stay_different():
    one, other = printable("x" * 10**6), printable("x" * (10**6 - 1) + "y")
    assert one != other
    assert len(one) < 500


def test_of_many_names_the_first_are_listed():
    assert listed(["a", "b\n"]) == "a, b\\n"
    assert listed(map(str, range(100))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 88 more"
    assert listed([]) == ""


def test_an_error_is_one_paragraph_that_acts_on_nothing():
    assert paragraph(ValueError("a\n  b\x1b[31m")) == "a b\\x1b[31m"
    assert paragraph(KeyError()) == "KeyError"
    assert len(paragraph(ValueError("x" * 10**6))) < 5000
