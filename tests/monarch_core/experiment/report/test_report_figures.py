"""What the figures draw is what the runs hold, with one colour per transform and honest scales."""

import json
import re

import numpy as np
import pytest

from monarch_core.experiment.artifacts import Comparison, Curve, Picture, save_artifacts
from monarch_core.experiment.report import fields, lines, style
from monarch_core.experiment.report.aggregate import blocks_of, group_runs
from monarch_core.experiment.report.block import block_view, slug
from monarch_core.experiment.report.collect import collect_runs


def smooth_field(seed, shape=(11, 14)):
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    return np.sin(5 * x + seed) * np.cos(3 * y - seed) + 0.3 * np.sin(11 * x * y + seed)


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures themselves instead of turning them into images."""
    figures = []

    def keep(figure):
        figures.append(figure)
        return b""

    monkeypatch.setattr(lines, "png_of", keep)
    monkeypatch.setattr(fields, "png_of", keep)
    return figures


@pytest.fixture
def groups(runs):
    return lambda: group_runs(collect_runs([runs]))


def look_of(groups):
    return groups, style.palette(groups)


def labelled(axes):
    return {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}


def titled(figure):
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def test_colours_differ_and_stay_with_their_transform(make_run, groups):
    make_run("fft")
    make_run("wavelet")
    few = style.palette(groups())
    for name in ("monarch", "dense", "monarch_frozen", "cosine"):
        make_run(name)
    many = style.palette(groups())
    assert len(set(many.values())) == 6
    assert all(many[name] == few[name] for name in ("fft", "monarch", "dense", "monarch_frozen"))


def test_groups_of_one_transform_share_the_colour_and_differ_in_the_line(make_run, groups):
    for heads in (1, 2, 4):
        make_run("monarch", config={"transform.axis.heads": heads})
    looks = style.looks(*look_of(groups()))
    assert len({look.colour for look in looks}) == 1
    assert len({look.dash for look in looks}) == len({look.marker for look in looks}) == 3


def test_learning_curves_show_mean_and_range_of_the_seeds(make_run, groups, drawn):
    for seed, error in enumerate((0.02, 0.05, 0.03)):
        make_run(seed=seed, error=error, n_epochs=9)
    assert len(lines.learning_curves(*look_of(groups()))[0]) == 2
    axes = drawn[1].axes[0]
    line = labelled(axes)["monarch"]
    epochs = np.arange(1, 10)
    np.testing.assert_array_equal(line.get_xdata(), epochs)
    np.testing.assert_allclose(line.get_ydata(), 0.1 / 3 * (1 + 1 / epochs))
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.02 * (1 + 1 / 9))
    assert band.max() == pytest.approx(0.05 * 2)
    assert axes.get_yscale() == "log"


def test_only_epochs_that_all_seeds_reached_are_averaged(make_run, groups, drawn):
    make_run(seed=0, n_epochs=9)
    make_run(seed=1, n_epochs=4)
    lines.learning_curves(*look_of(groups()))
    assert labelled(drawn[0].axes[0])["monarch"].get_xdata().max() == 4


def test_a_log_without_numbers_draws_nothing(make_run, groups, drawn):
    folder = make_run()
    (folder / "log.jsonl").write_text('{"epoch": 1, "train_loss": null, "valid_error": "x"}\n')
    assert lines.learning_curves(*look_of(groups())) == ([], [])


def curve(y, *, shared=False, line="", scale="linear", x=None, title="C"):
    x = np.arange(1.0, len(y) + 1) if x is None else x
    y = np.asarray(y, dtype=np.float64)
    return Curve("c", title, "x", "y", x, y, line=line, y_scale=scale, shared=shared)


def test_seeds_and_epochs_that_a_learning_curve_does_not_show_are_told(make_run, groups, drawn):
    for seed, n_epochs in enumerate((9, 4, 0)):
        make_run(seed=seed, n_epochs=n_epochs)
    drawings, notes = lines.learning_curves(*look_of(groups()))
    assert all(drawing.caption.endswith("; 2 seeds.") for drawing in drawings)
    assert "Validation error, monarch: logged by 2 of 3 seeds" in notes
    assert (
        "Validation error, monarch: 4 of 9 epochs are shown, those that all seeds logged" in notes
    )


def test_an_epoch_that_is_not_finite_is_a_gap(make_run, groups, drawn):
    folder = make_run()
    rows = [(1, 0.5), (2, None), (3, 0.25)]
    text = [json.dumps({"epoch": epoch, "valid_error": error}) for epoch, error in rows]
    (folder / "log.jsonl").write_text("\n".join(text))
    lines.learning_curves(*look_of(groups()))
    np.testing.assert_array_equal(
        labelled(drawn[-1].axes[0])["monarch"].get_ydata(), [0.5, np.nan, 0.25]
    )
    assert groups()[0].notes[0].endswith("1 values in log.jsonl are not finite")


def test_curves_are_means_and_the_truth_is_drawn_once(make_run, groups, drawn):
    for transform in ("fft", "monarch"):
        for seed in (0, 1):
            make_run(transform, seed=seed)
    truth = curve([5, 6, 7], shared=True)
    fft = [[curve([1, 2, 3]), truth], [curve([3, 2, 1]), truth]]
    monarch = [[curve([1, 1, 1]), truth], [curve([2, 2, 4]), truth]]
    found, colours = look_of(groups())
    lines.curve_figure(found, [fft, monarch], colours)
    shown = labelled(drawn[0].axes[0])
    assert list(shown) == ["fft", "monarch", "truth"]
    np.testing.assert_array_equal(shown["fft"].get_ydata(), [2, 2, 2])
    np.testing.assert_array_equal(shown["monarch"].get_ydata(), [1.5, 1.5, 2.5])
    np.testing.assert_array_equal(shown["truth"].get_ydata(), [5, 6, 7])
    assert (shown["truth"].get_linestyle(), shown["truth"].get_color()) == ("--", "#000000")
    assert shown["fft"].get_color() == colours["fft"] != shown["monarch"].get_color()


def test_another_truth_than_the_one_drawn_is_told(make_run, groups, drawn):
    for transform in ("fft", "monarch"):
        make_run(transform)
    found, colours = look_of(groups())
    own = [[[curve([1, 2]), curve([5, y], shared=True)]] for y in (6, 7)]
    _, notes = lines.curve_figure(found, own, colours)
    assert notes == ["C: the truth of monarch is another one than what is drawn"]
    assert lines.curve_figure(found, [own[0], own[0]], colours)[1] == []


def test_curves_on_other_axes_are_left_out_and_noted(make_run, groups, drawn):
    for transform in ("fft", "monarch"):
        make_run(transform)
    found, colours = look_of(groups())
    own = [[[curve([1, 2])]], [[curve([1, 2], scale="log")]]]
    drawing, notes = lines.curve_figure(found, own, colours)
    assert notes == ["C: curves of monarch on other axes are left out"]
    assert list(labelled(drawn[0].axes[0])) == ["fft"]
    assert drawing.caption == "One seed: no spread."


def test_seeds_with_other_abscissae_are_left_out_and_noted(make_run, groups, drawn):
    for seed in (0, 1):
        make_run(seed=seed)
    found, colours = look_of(groups())
    seeds = [[curve([1, 2])], [curve([9, 9, 9])]]
    _, notes = lines.curve_figure(found, [seeds], colours)
    np.testing.assert_array_equal(labelled(drawn[0].axes[0])["monarch"].get_ydata(), [1, 2])
    assert "seeds of monarch that show something else than its first are left out" in notes[0]


def test_curves_of_different_things_are_not_averaged_and_say_what_they_are(make_run, groups, drawn):
    for seed in (0, 1):
        make_run("fft", seed=seed)
        make_run("monarch", seed=seed)
    found, colours = look_of(groups())
    layers = [curve([i, 1], title=f"The row that moved most (layer {i})") for i in range(3)]
    _, notes = lines.curve_figure(found, [[layers[:1], layers[1:2]], [layers[2:]] * 2], colours)
    assert drawn[0].axes[0].get_title() == "The row that moved most"
    shown = labelled(drawn[0].axes[0])
    assert list(shown) == ["fft (layer 0)", "monarch (layer 2)"]
    np.testing.assert_array_equal(shown["fft (layer 0)"].get_ydata(), [0, 1])
    assert "seeds of fft that show something else" in notes[0]


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1, 10, 100], "log"), ([2, 3, 4], "log"), ([0, 0, 0], "linear"), ([0, 1, 2], "log")],
)
def test_log_axes_need_something_positive(make_run, groups, drawn, values, scale):
    make_run()
    found, colours = look_of(groups())
    lines.curve_figure(found, [[[curve(values, scale="log")]]], colours)
    drawn[0].draw_without_rendering()
    assert drawn[0].axes[0].get_yscale() == scale


def test_the_metric_figure_shows_every_seed_and_the_error(make_run, groups, drawn):
    for seed, error in enumerate((0.02, 0.05, 0.03, 0.06)):
        make_run(seed=seed, error=error)
    lines.metric_figure(groups(), "relative_l2", style.palette(groups()))
    axes = drawn[0].axes[0]
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), [0.02, 0.05, 0.03, 0.06])
    bar = axes.containers[0].lines[2][0].get_segments()[0][:, 0]
    over = groups()[0].metric("relative_l2")
    np.testing.assert_allclose(
        bar, [over.mean - over.standard_error, over.mean + over.standard_error]
    )


def test_a_group_without_a_mean_is_named_in_the_figures(make_run, groups, drawn):
    for seed, error in enumerate((0.02, float("inf"))):
        make_run(seed=seed, error=error)
    for transform in ("fft", "dense", "monarch_frozen"):
        make_run(transform)
    colours = style.palette(groups())
    lines.metric_figure(groups(), "relative_l2", colours)
    ticks = [" ".join(tick.get_text().split()) for tick in drawn[0].axes[0].get_yticklabels()]
    assert ticks[2] == "monarch: not finite in 1 of 2 seeds"
    caption = lines.cost_figure(groups(), "relative_l2", colours).caption
    assert caption.endswith("Without a time or a finite mean, not shown: 1.")


def test_cost_needs_three_groups(make_run, groups, drawn):
    for transform in ("fft", "monarch"):
        make_run(transform)
    make_run("dense", seconds_per_epoch=None)
    colours = style.palette(groups())
    assert lines.cost_figure(groups(), "relative_l2", colours) is None
    make_run("monarch_frozen")
    assert lines.cost_figure(groups(), "relative_l2", colours).key == "cost"


def test_a_sweep_is_drawn_for_what_was_varied_alone(make_run, groups, drawn):
    for transform, factor in (("fft", 1.0), ("monarch", 0.5)):
        for n_train in (1, 2, 5):
            make_run(
                transform,
                error=factor / n_train,
                config={"dataset.n_train": n_train, "fit.loss": "l2"},
                split_sizes={"train": n_train, "valid": 1, "test": 1},
            )
    figures = lines.sweep_figures(groups(), "relative_l2", style.palette(groups()))
    assert [figure.key for figure in figures] == ["sweep-n train"]
    containers = {c.get_label(): c.lines[0] for c in drawn[0].axes[0].containers}
    assert list(containers) == ["fft", "monarch"]
    np.testing.assert_array_equal(containers["monarch"].get_xdata(), [1, 2, 5])
    np.testing.assert_allclose(containers["monarch"].get_ydata(), [0.5, 0.25, 0.1])


def test_a_sweep_of_training_is_on_the_same_samples(make_run, groups, drawn):
    for rate, n_train in ((1e-3, 80), (2e-3, 160)):
        make_run(
            config={"fit.learning_rate": rate},
            split_sizes={"train": n_train, "valid": 1, "test": 1},
        )
    assert lines.sweep_figures(groups(), "relative_l2", style.palette(groups())) == []


def test_a_sweep_of_data_stays_with_its_data(make_run, groups, drawn):
    """Their content differs, as it must, but they lie in the same place."""
    for root in ("brain", "knee"):
        for n_train in (1, 2):
            prints = {"train": f"{root}{n_train}", "valid": root, "test": root}
            make_run(
                config={"dataset.n_train": n_train, "dataset.root": root}, data_fingerprints=prints
            )
    lines.sweep_figures(groups(), "relative_l2", style.palette(groups()))
    assert [len(c.lines[0].get_xdata()) for c in drawn[0].axes[0].containers] == [2, 2]


def test_a_choice_that_stands_twice_in_the_config_is_one_sweep(make_run, groups, drawn):
    for heads in (1, 4):
        make_run(config={"transform.axis.heads": heads, "transform.conv.transform.heads": heads})
    figures = lines.sweep_figures(groups(), "relative_l2", style.palette(groups()))
    assert [figure.key for figure in figures] == ["sweep-heads"]


def test_what_varies_together_is_no_sweep(make_run, groups, drawn):
    for horizon, viscosity in ((50, 1e-3), (30, 1e-4)):
        make_run(config={"dataset.horizon": horizon, "dataset.viscosity": viscosity})
    assert lines.sweep_figures(groups(), "relative_l2", style.palette(groups())) == []


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


def test_a_block_shows_everything_the_runs_left(make_run, groups):
    for seed in (0, 1):
        for transform in ("fft", "monarch", "dense"):
            make_run(transform, seed=seed, n_epochs=3, artifacts=True)
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    keys = [drawing.key.removeprefix("pde-navier-stokes-") for drawing in view.drawings]
    assert keys == [
        "metric", "cost", "train-loss", "valid-error", "over-time", "spectrum", "field", "matrix",
    ]  # fmt: skip
    assert all(drawing.png.startswith(b"\x89PNG") for drawing in view.drawings)
    assert [table.title for table in view.tables] == ["Distance"]
    assert view.notes == []


def test_many_groups_of_several_models_get_a_figure_per_model(make_run, groups, drawn):
    for model in ("fno", "uno", "unet"):
        for transform in ("fft", "monarch", "dense"):
            folder = make_run(transform, config={"model.name": model}, n_epochs=2)
            save_artifacts(folder, [curve([1, 2, 3])])
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    keys = [drawing.key.removeprefix("pde-navier-stokes-") for drawing in view.drawings]
    assert keys[-3:] == ["c", "c-2", "c-3"]


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


def test_dollars_are_dollars(make_run, groups):
    """Names come from others; matplotlib would take what is between two of them for a formula."""
    make_run("$$x_{$")
    lines.metric_figure(groups(), "relative_l2", style.palette(groups()))
