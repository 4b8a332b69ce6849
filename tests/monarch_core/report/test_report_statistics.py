"""Means, standard errors and changes against closed forms."""

import math

import numpy as np
import pytest

from monarch_core.report.statistics import (
    Spread,
    band,
    change,
    higher_is_better,
    mean,
    means_within,
    paired_difference,
    spread,
)
from monarch_core.report.wording import (
    common_title,
    difference,
    mean_and_error,
    number,
    seconds,
    size,
)

generator = np.random.default_rng(3)


@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_mean_and_standard_error_of_an_arithmetic_sequence(n):
    """1, ..., n has mean (n + 1) / 2 and sample variance n (n + 1) / 12."""
    over = spread([float(i) for i in range(1, n + 1)])
    assert over.mean == pytest.approx((n + 1) / 2)
    assert over.standard_error == pytest.approx(math.sqrt((n + 1) / 12))
    assert over.n == n


def test_one_value_has_no_spread_and_none_has_no_mean():
    assert spread([2.5]) == Spread(2.5, None, 1)
    assert spread([]) == Spread(None, None, 0)
    assert spread([None, math.nan, math.inf]) == Spread(None, None, 0, 1, 2)


def test_what_was_not_measured_is_counted_and_left_out():
    assert spread([1.0, None, 3.0]) == Spread(2.0, 1.0, 2, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200, 10**400])
def test_a_seed_that_diverged_takes_the_mean_with_it(value):
    assert spread([1.0, None, 3.0, value]) == Spread(None, None, 2, 1, 1)
    assert mean_and_error(spread([1.0, value, 2.0])) == "not finite in 1 of 3 seeds"
    assert mean_and_error(spread([value])) == "not finite"
    assert change([1.0, value], [1.0, 1.0], metric="error", same_seeds=True) is None
    assert change([1.0, 1.0], [1.0, value], metric="psnr", same_seeds=True) is None


def test_change_of_an_error_is_relative():
    found = change([2.0], [4.0], metric="relative_l2", same_seeds=True)
    assert (found.kind, found.value, found.standard_error) == ("relative", -0.5, None)


def test_change_of_a_psnr_is_a_difference():
    found = change([31.0, 33.0], [30.0, 30.0], metric="psnr", same_seeds=True)
    assert (found.kind, found.value) == ("difference", pytest.approx(2.0))
    assert found.standard_error == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.31])
def test_pairing_removes_what_the_seeds_share(factor):
    control = [0.5, 0.7, 0.9]
    values = [factor * value for value in control]
    paired = change(values, control, metric="error", same_seeds=True)
    apart = change(values, control, metric="error", same_seeds=False)
    assert paired.value == apart.value == pytest.approx(factor - 1)
    assert paired.standard_error == pytest.approx(0, abs=1e-12)
    relative = spread(control).standard_error / spread(control).mean
    assert apart.standard_error == pytest.approx(math.sqrt(2) * factor * relative)


@pytest.mark.parametrize("paired", [True, False])
def test_error_of_the_ratio_is_the_spread_of_many_repetitions(paired):
    n, repetitions = 50, 4000
    shared = generator.normal(size=(repetitions, n)) * (0.05 if paired else 0)
    x = 0.8 + shared + 0.03 * generator.normal(size=(repetitions, n))
    c = 1.0 + shared + 0.03 * generator.normal(size=(repetitions, n))
    ratios = x.mean(axis=1) / c.mean(axis=1)
    found = [
        change(a.tolist(), b.tolist(), metric="error", same_seeds=paired).standard_error
        for a, b in zip(x[:200], c[:200], strict=True)
    ]
    assert np.mean(found) == pytest.approx(ratios.std(), rel=0.05)


@pytest.mark.parametrize(
    ("values", "metric", "verdict"),
    [
        ([0.8, 0.8, 0.8], "relative_l2", "ahead"),
        ([1.2, 1.2, 1.2], "relative_l2", "behind"),
        ([1.2, 1.2, 1.2], "ssim", "ahead"),
        ([0.8, 0.8, 0.8], "psnr_volume", "behind"),
        ([1.0, 1.0, 1.0], "relative_l2", "level"),
        ([0.7, 1.0, 0.9], "relative_l2", "level"),
        ([0.8, 0.8, 0.8], "wiggliness", "unknown"),
    ],
)
def test_verdicts(values, metric, verdict):
    assert change(values, [1.0, 1.0, 1.0], metric=metric, same_seeds=True).verdict == verdict


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.706), (3, 4.303), (5, 2.776), (30, 2.045)])
def test_the_verdict_needs_the_interval_of_student(n, quantile):
    """Differences of mean m and standard error 1: the verdict turns at the tabulated quantile."""
    pattern = np.linspace(-1, 1, n)
    pattern *= math.sqrt(n) / pattern.std(ddof=1)
    for factor, verdict in ((0.999, "level"), (1.001, "ahead")):
        values = (100 + factor * quantile + pattern).tolist()
        assert change(values, [100.0] * n, metric="psnr", same_seeds=True).verdict == verdict


def test_no_numbers_no_change():
    assert change([None], [1.0], metric="error", same_seeds=True) is None
    assert change([1.0], [math.nan], metric="error", same_seeds=True) is None
    assert change([1.0], [0.0], metric="error", same_seeds=True) is None
    assert change([1.0], [0.0], metric="psnr", same_seeds=True).value == 1.0


def test_a_missing_seed_breaks_the_pairs():
    found = change([1.0, None, 2.0], [1.0, 2.0, 2.0], metric="error", same_seeds=True)
    assert not found.paired


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        ("relative_l2", False), ("h1_error", False), ("nmse", False), ("nrmse_volume", False),
        ("psnr", True), ("ssim_slice", True), ("meddlr/psnr", True), ("energy", None),
        ("f1", True), ("n_errors", False), ("perplexity", False), ("bits_per_byte", False),
        ("seconds_per_trajectory", False),
    ],
)  # fmt: skip
def test_direction_of_metrics(metric, higher):
    assert higher_is_better(metric) is higher


@pytest.mark.parametrize(
    ("over", "text"),
    [
        (Spread(0.03118, 0.00083, 3), "0.0312 ± 0.0008"),
        (Spread(0.03118, 0.00013, 3), "0.03118 ± 0.00013"),
        (Spread(31.613, 0.021, 3), "31.61 ± 0.02"),
        (Spread(31.613, 4.2, 3), "31.6 ± 4.2"),
        (Spread(0.5, 0.0, 3), "0.5000 ± 0"),
        (Spread(0.5, 1e-12, 3), "0.500000 ± 1e-12"),
        (Spread(-3.2e-7, 1e-8, 3), "-3.20e-07 ± 1e-08"),
        (Spread(0.03118, None, 1), "0.03118"),
        (Spread(0.03118, 0.00083, 2, 1), "0.0312 ± 0.0008 (2 of 3 seeds)"),
        (Spread(0.0, 0.5, 3), "0.000 ± 0.500"),
        (Spread(None, None, 0, 3), "n/a"),
    ],
)
def test_how_a_spread_is_written(over, text):
    assert mean_and_error(over) == text


def test_how_numbers_are_written():
    assert [number(v) for v in (0, 1, 0.03118, 12345.6, 1e-7)] == [
        "0", "1.000", "0.03118", "12346", "1.000e-07",
    ]  # fmt: skip
    assert [number(v) for v in (None, math.nan, math.inf)] == ["n/a"] * 3
    assert [seconds(v) for v in (None, 3.21, 125, 7322)] == [
        "n/a",
        "3.21 s",
        "2 min 5 s",
        "2 h 2 min",
    ]
    assert [size(v) for v in (None, 6.1e8, 1.43e9)] == ["n/a", "610 MB", "1.43 GB"]


def test_how_changes_are_written():
    l2 = change([0.8], [1.0], metric="l2", same_seeds=True)
    assert difference(l2, "l2") == "-20.0 %"
    psnr = change([31.0, 33.0], [30.0, 30.0], metric="psnr", same_seeds=True)
    assert difference(psnr, "psnr") == "+2.00 dB ± 1.00"
    ssim = change([0.8], [0.75], metric="ssim", same_seeds=True)
    assert difference(ssim, "ssim") == "+0.0500"
    assert difference(change([1.0], [1.0], metric="l2", same_seeds=True), "l2") == "0 %"
    assert difference(None, "l2") == ""


@pytest.mark.parametrize(
    ("titles", "common", "beyond"),
    [
        (["A row (x)", "A row (x)"], "A row (x)", ["", ""]),
        (["A row (of x)", "A row (of y)"], "A row", ["(of x)", "(of y)"]),
        (["A row of x", "A row"], "A row", ["of x", ""]),
        (["Rows", "Columns"], "", ["Rows", "Columns"]),
        (["(a b", "(a c"], "", ["(a b", "(a c"]),
    ],
)
def test_what_titles_share(titles, common, beyond):
    assert common_title(titles) == (common, beyond)


def test_interval_is_students():
    found = paired_difference([3.0, 5.0, 4.0], [1.0, 2.0, 3.0])
    d = np.array([2.0, 3.0, 1.0])
    assert found.mean == pytest.approx(2.0)
    assert found.half_width == pytest.approx(4.302653 * d.std(ddof=1) / np.sqrt(3), rel=1e-5)


def test_a_constant_difference_has_no_width_however_scans_differ():
    found = paired_difference([11.0, 31.0, 21.0], [10.0, 30.0, 20.0])
    assert found.mean == pytest.approx(1.0)
    assert found.half_width == pytest.approx(0.0)


def test_one_scan_has_no_interval():
    assert paired_difference([2.0], [1.0]).half_width is None


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="paired"):
        paired_difference([1.0, 2.0], [1.0])


def test_what_belongs_together_is_averaged_first():
    """The mean of the three values would be 4: the one of a weighs as much as the two of b."""
    means = means_within([("b", 1.0), ("a", 9.0), ("b", 2.0)])
    assert means == [1.5, 9.0]
    assert mean(means) == 5.25


def test_a_band_has_a_gap_where_a_seed_has_one():
    middle, low, high = band(np.array([[1.0, 2.0], [3.0, np.nan]]))
    assert (middle[0], low[0], high[0]) == (2.0, 1.0, 3.0)
    assert np.isnan([middle[1], low[1], high[1]]).all()
