"""The figure of learned transforms shows each beside its start, on one scale."""

from dataclasses import replace

import numpy as np
from report_runs import basis

from monarch_core.report.render.basis import basis_figure
from monarch_core.report.render.style import palette


def draw(groups, bases):
    return basis_figure(groups, bases, palette(groups))


def test_rows_lie_over_those_of_their_start_and_spectra_share_a_scale(make_run, groups, drawn):
    make_run("monarch")
    one = basis(0.1)
    (drawing,), notes = draw(groups(), [one])
    assert (drawing.wide, notes) == (True, [])
    rows, start, learned, _ = drawn[0].axes
    lines = [line.get_ydata() for line in rows.get_lines()]
    places = rows.get_yticks()
    assert len(lines) == 2 * len(one.shown)
    np.testing.assert_allclose(lines[: len(places)], places[:, None] + one.start_rows)
    np.testing.assert_allclose(lines[len(places) :], places[:, None] + one.rows)
    assert [label.get_text() for label in rows.get_yticklabels()] == ["1", "2", "3"]
    assert [text.get_text() for text in rows.get_legend().get_texts()] == ["start", "learned"]
    images = [axes.get_images()[0] for axes in (start, learned)]
    assert len({image.get_clim() for image in images}) == 1
    decibels = images[1].get_array()
    np.testing.assert_allclose(np.sort(decibels, axis=1)[:, -2:], [[-20, 0]] * 12, atol=1e-9)


def test_no_more_than_a_handful_is_drawn_and_the_rest_is_told(make_run, groups, drawn):
    for width in range(8):
        make_run("monarch", config={"model.width": width})
    _, notes = draw(groups(), [basis(0.1)] * 8)
    assert notes == ["the learned basis: 4 of 8 groups are not drawn"]
    assert len(drawn[0].axes) == 4 * 4


def test_a_start_of_zeros_and_gaps_are_drawn(make_run, groups, drawn):
    make_run("monarch")
    one = basis(0.1)
    rows = one.rows.copy()
    rows[0, 0] = np.nan
    draw(groups(), [replace(one, rows=rows, start_spectrum=0 * one.spectrum)])
    assert len(drawn) == 1
