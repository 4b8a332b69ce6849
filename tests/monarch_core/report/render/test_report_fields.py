"""Fields and pictures share one scale, errors another, and what does not fit is noted."""

import numpy as np
import pytest

from monarch_core.report.render import fields, style
from monarch_core.runs.artifacts import Comparison, Picture


def smooth_field(seed, shape=(11, 14)):
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    return np.sin(5 * x + seed) * np.cos(3 * y - seed) + 0.3 * np.sin(11 * x * y + seed)


def titled(figure):
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def comparison(prediction, truth, **changes):
    return Comparison("f", "F", "1/s", truth, prediction, **changes)


@pytest.mark.parametrize("how", ["diverging", "gray"])
@pytest.mark.parametrize("shape", [(8, 8), (9, 25), (30, 4)])
def test_fields_share_one_scale_and_errors_another(make_run, groups, drawn, how, shape):
    for transform in ("fft", "monarch", "dense"):
        make_run(transform)
    truth = smooth_field(0, shape)
    errors = [s * smooth_field(1, shape) for s in (0.1, 0.2, 0.05)]
    items = [comparison(truth + e, truth, style=how, extras={"input": 2 * truth}) for e in errors]
    fields.comparison_figure(groups(), items, style.palette(groups()))
    axes = titled(drawn[0])
    assert list(axes) == ["truth", "fft", "monarch", "dense", "input"]
    assert len({a.get_images()[0].get_clim() for a in axes.values()}) == 1
    low, high = axes["truth"].get_images()[0].get_clim()
    if how == "diverging":
        assert high == -low == pytest.approx(np.abs(truth).max())
    below = [a for a in drawn[0].axes if a.get_xlabel().startswith("relative L2")]
    assert len({a.get_images()[0].get_clim() for a in below}) == 1
    low, high = below[0].get_images()[0].get_clim()
    assert high == -low <= np.abs(truth).max() * 1.001
    for panel, item, error in zip(below, items, errors, strict=True):
        np.testing.assert_allclose(panel.get_images()[0].get_array(), error, atol=1e-12)
        expected = np.linalg.norm(error) / np.linalg.norm(truth)
        assert float(panel.get_xlabel().split()[-1]) == pytest.approx(expected, rel=5e-3)
        assert fields.relative_l2(item) == pytest.approx(expected)


def test_a_run_that_blew_up_does_not_hide_the_errors_of_the_others(make_run, groups, drawn):
    for transform in ("fft", "monarch", "dense"):
        make_run(transform)
    truth = smooth_field(0)
    predictions = [truth + 0.1, truth * 1e6, np.full_like(truth, np.nan)]
    items = [comparison(prediction, truth) for prediction in predictions]
    drawing, _ = fields.comparison_figure(groups(), items, style.palette(groups()))
    below = [a for a in drawn[0].axes if a.get_xlabel().startswith("relative L2")]
    assert below[0].get_images()[0].get_clim()[1] <= np.abs(truth).max()
    assert below[2].get_xlabel() == "relative L2 n/a"
    drawn[0].draw_without_rendering()
    assert "the scale of the errors ends at that of the fields" in drawing.caption


def test_truths_that_differ_are_noted(make_run, groups, drawn):
    for transform in ("fft", "monarch", "dense"):
        make_run(transform)
    truth = smooth_field(0)
    items = [
        comparison(truth, truth),
        comparison(truth, truth + 0.1),
        comparison(truth.T.copy(), truth.T.copy()),
    ]
    _, notes = fields.comparison_figure(groups(), items, style.palette(groups()))
    assert "truth of monarch is another one" in notes[0]
    assert "truth of dense has another shape; it is left out" in notes[1]
    assert "dense" not in titled(drawn[0])


@pytest.mark.parametrize("zoom", [(0, 4, 0, 5), (5, 11, 7, 14), (3, 4, 3, 4)])
def test_the_inset_magnifies_the_window_and_does_not_cover_it(make_run, groups, drawn, zoom):
    make_run()
    truth = smooth_field(0)
    fields.comparison_figure(groups(), [comparison(truth, truth, zoom=zoom)], {"monarch": "red"})
    drawn[0].draw_without_rendering()
    panel = titled(drawn[0])["truth"]
    (inset,) = panel.child_axes
    top, bottom, left, right = zoom
    np.testing.assert_array_equal(inset.get_images()[0].get_array(), truth[top:bottom, left:right])
    assert inset.get_images()[0].get_clim() == panel.get_images()[0].get_clim()
    window = panel.patches[0].get_window_extent()
    assert not window.overlaps(inset.get_window_extent())


@pytest.mark.parametrize("offset", [0.0, -3.0])
def test_pictures_share_one_scale(make_run, groups, drawn, offset):
    for transform in ("fft", "monarch"):
        make_run(transform)
    images = [scale * np.abs(smooth_field(1)) + offset for scale in (1, 3)]
    pictures = [Picture("p", "P", image, "in", "out", "dB") for image in images]
    fields.picture_figure(groups(), pictures, style.palette(groups()))
    panels = [axes for axes in drawn[0].axes if axes.get_title()]
    limits = {axes.get_images()[0].get_clim() for axes in panels}
    largest = max(np.abs(image).max() for image in images)
    assert len(limits) == 1
    assert limits.pop() == pytest.approx((-largest if offset else 0.0, largest))
