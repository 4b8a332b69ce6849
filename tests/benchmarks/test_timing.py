"""Contenders are timed in turn, and compared round by round."""

import time

import pytest

from benchmarks.timing import compare


def test_contenders_take_turns_after_the_warm_up():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert list(compare(runs, rounds=3, warm_up=1)) == ["a", "b"]
    assert calls == ["a", "b", *["a", "a", "b", "b"] * 3]  # in a round, an untimed call first


def test_calls_between_two_readings_of_the_clock_share_it(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def run():
        clock[0] += 2.0

    timings = compare({"a": run}, rounds=2, warm_up=0, calls=5)
    assert timings["a"].milliseconds == pytest.approx(2000.0)
    assert clock[0] == 2 * (1 + 5) * 2.0


def test_ratios_are_taken_within_a_round(monkeypatch):
    """Rounds of very different speed: the ratio is the same in each, and so are its quartiles."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    timed = [1.0, 0.5, 10.0, 5.0, 4.0, 2.0, 8.0, 4.0]
    durations = iter([d for duration in timed for d in (99.0, duration)])

    def run():
        clock[0] += next(durations)

    timings = compare({"slow": run, "fast": run}, rounds=4, warm_up=0)
    assert timings["slow"].ratio == 1.0
    assert timings["fast"].ratio == 2.0
    assert timings["fast"].ratio_quartiles == (2.0, 2.0)
    assert timings["slow"].milliseconds == pytest.approx(1e3 * 6.0)
    assert timings["fast"].milliseconds == pytest.approx(1e3 * 3.0)
