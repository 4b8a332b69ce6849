"""A block shows everything that its runs left, and names what it cannot show."""

import re

import numpy as np

from monarch_core.report.compare.groups import blocks_of
from monarch_core.report.render import fields, lines, style
from monarch_core.report.render.block import block_view, slug
from monarch_core.runs.artifacts import Comparison, Curve, Picture, save_artifacts


def test_a_block_shows_everything_the_runs_left(make_run, groups):
    for seed in (0, 1):
        for transform in ("fft", "monarch", "dense"):
            make_run(transform, seed=seed, n_epochs=3, artifacts=True)
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    keys = [drawing.key.removeprefix("pde-navier-stokes-") for drawing in view.drawings]
    assert keys == [
        "metric", "cost", "train-loss", "valid-error", "over-time", "spectrum",
        "learned-basis", "field", "matrix",
    ]  # fmt: skip
    assert all(drawing.png.startswith(b"\x89PNG") for drawing in view.drawings)
    assert [table.title for table in view.tables] == ["Distance"]
    assert view.notes == []


def test_missing_and_damaged_artifacts_are_noted_and_skipped(make_run, groups, drawn):
    make_run("fft", artifacts=True, n_epochs=2)
    make_run("monarch")
    broken = make_run("dense", artifacts=True)
    (broken / "artifacts.npz").write_bytes(b"PK nonsense")
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    assert any("monarch: 1 run without artifacts.npz" in note for note in view.notes)
    assert any(re.search(r"dense-0.artifacts\.npz cannot be read", note) for note in view.notes)
    assert "pde-navier-stokes-field" in [drawing.key for drawing in view.drawings]


def test_no_log_at_all_is_noted(make_run, groups):
    make_run("fft")
    view = block_view(blocks_of(groups())[0], "relative_l2", style.palette(groups()))
    assert "no run has a readable log.jsonl: no learning curves" in view.notes


def test_slugs_are_file_names():
    assert slug("PDE", "navier_stokes (viscosity 0.001)") == "pde-navier-stokes-viscosity-0.001"
    assert slug("../../etc", "a/b\\c") == "etc-a-b-c"
    assert slug("…") == "figure"


def test_one_group_that_cannot_be_drawn_is_named_and_the_others_are_drawn(
    make_run, groups, monkeypatch
):
    folders = {t: make_run(t) for t in ("fft", "monarch", "dense")}
    x = np.arange(3.0)
    for transform, folder in folders.items():
        title = "bad" if transform == "monarch" else "good"
        save_artifacts(folder, [Curve("c", title, "x", "y", x, x), Picture("p", "P", np.eye(3))])

    def fail_on_bad(figure):
        shown = [axes.get_title() for axes in figure.axes]
        shown += [text.get_text() for legend in figure.legends for text in legend.texts]
        if any("bad" in text for text in shown):
            raise OverflowError("too large to draw")
        return b""

    monkeypatch.setattr(lines, "png_of", fail_on_bad)
    monkeypatch.setattr(fields, "png_of", lambda figure: b"")
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    assert f"c of {folders['monarch']} cannot be drawn: too large to draw" in view.notes
    assert [drawing.title for drawing in view.drawings][-2:] == ["good", "P"]


def test_artifacts_that_hold_nothing_to_draw_are_named(make_run, groups, drawn):
    folder = make_run()
    x, nothing = np.arange(3.0), np.full((3, 3), np.nan)
    kinds = [
        Curve("empty", "C", "x", "y", x, x * np.nan),
        Picture("blank", "P", nothing),
        Comparison("void", "V", "", nothing, nothing),
        Picture("twice", "P", np.eye(3)),
        Picture("twice", "Q", np.eye(3)),
    ]
    save_artifacts(folder, kinds)
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    for name in ("empty", "blank", "void"):
        assert f"{folder}: {name} has no finite value and is left out" in view.notes
    assert f"{folder}: 2 of Picture twice, of which the first is shown" in view.notes
    assert [drawing.title for drawing in view.drawings] == ["P"]
