"""The table of the README compares what may be compared."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.headline import SHOWN, swap
from benchmarks.prediction import PROBLEMS
from monarch_core.report.compare.settings import differing_keys
from monarch_core.report.render.short import RATES

RESULTS = Path(__file__).parents[2] / "docs/results"
NAMED = {problem.name: problem for problem in PROBLEMS}


@pytest.mark.parametrize("name", ["waves in layers", "Navier-Stokes, channel"])
def test_two_networks_differ_in_the_transform_and_its_rates_alone(name):
    fft, monarch, best = swap(NAMED[name], RESULTS)
    assert set(differing_keys([fft.settings, monarch.settings])) <= set(RATES)
    assert (fft.transform, monarch.transform, best.transform) == ("fft", "monarch", "fft")
    assert fft.seeds == monarch.seeds
    assert best.metric("relative_l2").mean <= fft.metric("relative_l2").mean


def test_a_problem_without_such_two_is_refused():
    alone = replace(NAMED["waves in layers"], results="wave_layered/fft_seed0")
    with pytest.raises(ValueError, match="has no monarch trained as an fft"):
        swap(alone, RESULTS)


def test_every_problem_of_the_table_is_known():
    assert NAMED.keys() > SHOWN.keys()
