"""The figure of changes: where its marks and bars are is what the statistics say."""

import numpy as np
import pytest

from monarch_core.report.compare.control import compare, control_of
from monarch_core.report.render.forest import forest_figure
from monarch_core.report.render.style import palette


def draw(groups, metric):
    return forest_figure(groups, metric, palette(groups))


def bars(figure):
    """Return (place, left end, right end) of every row; the ends are None without an interval."""
    (axes,) = figure.axes
    found = []
    for container in axes.containers:
        mark, _, lines = container.lines
        ends = lines[0].get_segments()[0][:, 0] if lines else (None, None)
        found.append((mark.get_xdata()[0], *ends))
    return found


def test_marks_are_ratios_with_the_interval_of_the_statistics(make_run, groups, drawn):
    for seed, shift in enumerate((0.0, 1e-3, 3e-3)):
        make_run("fft", seed=seed, error=0.04)
        make_run("monarch", seed=seed, error=0.02 + shift)
        make_run("dense", seed=seed, error=0.06 + shift)
    drawing = draw(groups(), "relative_l2")
    changes = [
        compare(group, control_of(group, groups()).group, "relative_l2")
        for group in groups()
        if group.transform != "fft"
    ]
    expected = [
        (1 + c.value, 1 + c.value - c.half_width, 1 + c.value + c.half_width) for c in changes
    ]
    np.testing.assert_allclose(bars(drawn[0]), expected, rtol=1e-12)
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert "0" in labels
    assert all(float(label) < 0 for label in labels[: labels.index("0")])
    assert "Left of the line is better" in drawing.caption


def test_one_seed_is_hollow_and_has_no_bar(make_run, groups, drawn):
    make_run("fft", metrics={"psnr": 30.0})
    for transform, psnr in (("monarch", 31.0), ("dense", 29.5)):
        make_run(transform, metrics={"psnr": psnr})
    drawing = draw(groups(), "psnr")
    assert bars(drawn[0]) == [(1.0, None, None), (-0.5, None, None)]
    (axes,) = drawn[0].axes
    assert {c.lines[0].get_markerfacecolor() for c in axes.containers} == {"white"}
    assert axes.get_xlabel() == "change of psnr against fft (dB)"
    assert "Right of the line is better" in drawing.caption
    assert "Hollow: one seed" in drawing.caption


def test_an_interval_that_reaches_below_zero_is_drawn_to_the_edge(make_run, groups, drawn):
    for seed, error in enumerate((0.001, 0.1, 0.03)):
        make_run("fft", seed=seed, error=0.04)
        make_run("monarch", seed=seed, error=error)
        make_run("dense", seed=seed, error=0.04)
    draw(groups(), "relative_l2")
    assert all(0 < low <= place <= high for place, low, high in bars(drawn[0]))


@pytest.mark.parametrize("error", [0.0, -0.01])
def test_what_has_no_place_on_the_axis_is_counted(make_run, groups, drawn, error):
    make_run("fft", error=0.04)
    make_run("monarch", error=error)
    for width in (1, 2):
        make_run("monarch", error=0.02, config={"model.width": width})
    assert "1 of 3 are not drawn" in draw(groups(), "relative_l2").caption
    assert len(bars(drawn[0])) == 2


def test_a_single_change_needs_no_figure(make_run, groups, drawn):
    make_run("fft")
    make_run("monarch")
    assert draw(groups(), "relative_l2") is None
