"""What a transform declares is read back; former results are known by their names, here alone."""

import pytest

from monarch_core.runs.declared import UNKNOWN, Declared, declared

SINE = {"basis": "sine", "control": False, "learns": "forward"}


def test_a_declaration_is_taken_at_its_word_whatever_the_name():
    results = {"transform": "fft", "transform_declares": SINE}
    assert declared(results) == Declared("sine", False, "forward")


@pytest.mark.parametrize("told", [{}, {"transform_declares": None}, {"transform_declares": {}}])
def test_results_without_a_declaration_are_known_by_the_name(told):
    assert declared({"transform": "fft", **told}) == Declared("fourier", True, "none")
    assert declared({"transform": {"name": "monarch"}, **told}).learns == "both"
    assert not declared({"transform": "FFT", **told}).control


@pytest.mark.parametrize("name", [None, 3, [], ["fft"], {}, {"name": []}, "wavelet"])
def test_a_name_that_was_none_says_nothing(name):
    assert declared({"transform": name}) is UNKNOWN


@pytest.mark.parametrize(
    "told",
    [
        "fft",
        [SINE],
        {"control": True},
        {**SINE, "control": 1},
        {**SINE, "basis": None},
        {**SINE, "learns": "all"},
        {**SINE, "learns": ["both"]},
    ],
)
def test_what_no_run_writes_is_refused(told):
    with pytest.raises(ValueError, match=r"transform_declares is .*; evaluate the run again"):
        declared({"transform": "fft", "transform_declares": told})


def test_a_basis_is_printable():
    assert declared({"transform_declares": {**SINE, "basis": "a\x1b[31m"}}).basis == "a\\x1b[31m"
