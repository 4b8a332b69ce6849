"""What the curves, bars and sweeps draw is what the runs hold, with one colour per transform."""

import json

import numpy as np
import pytest

from monarch_core.report.compare.groups import blocks_of
from monarch_core.report.render import lines, style
from monarch_core.report.render.block import block_view
from monarch_core.runs.artifacts import Curve, save_artifacts


def look_of(groups):
    return groups, style.palette(groups)


def labelled(axes):
    return {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}


def test_colours_differ_and_say_what_learns(make_run, groups):
    make_run("fft")
    make_run("wavelet")
    few = style.palette(groups())
    for name in ("monarch", "dense", "monarch_frozen", "cosine"):
        make_run(name)
    many = style.palette(groups())
    assert len(set(many.values())) == 6
    blues = {"fft": "#0072B2", "monarch_frozen": "#56B4E9"}
    assert few["fft"] == blues["fft"]
    assert {name: many[name] for name in blues} == blues


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
    assert lines.cost_figure(groups(), "relative_l2", style.palette(groups())) is None
    make_run("monarch_frozen")
    assert lines.cost_figure(groups(), "relative_l2", style.palette(groups())).key == "cost"


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


def test_many_groups_of_several_models_get_a_figure_per_model(make_run, groups, drawn):
    for model in ("fno", "uno", "unet"):
        for transform in ("fft", "monarch", "dense"):
            folder = make_run(transform, config={"model.name": model}, n_epochs=2)
            save_artifacts(folder, [curve([1, 2, 3])])
    (block,) = blocks_of(groups())
    view = block_view(block, "relative_l2", style.palette(groups()))
    keys = [drawing.key.removeprefix("pde-navier-stokes-") for drawing in view.drawings]
    assert keys[-3:] == ["c", "c-2", "c-3"]


def test_dollars_are_dollars(make_run, groups):
    """Names come from others; matplotlib would take what is between two of them for a formula."""
    make_run("$$x_{$")
    lines.metric_figure(groups(), "relative_l2", style.palette(groups()))
