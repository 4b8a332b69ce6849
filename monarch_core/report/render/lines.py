"""Figures made of lines and points: learning curves, curves, metrics, costs, sweeps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from monarch_core.report.compare.groups import Group, describe
from monarch_core.report.compare.settings import (
    differing_keys,
    number_or_text,
    same_choice,
    words,
)
from monarch_core.report.read.identity import DATASET, FINGERPRINT, PLACES, RECIPE, SPLIT_SIZES
from monarch_core.report.read.untrusted import finite
from monarch_core.report.render.style import (
    AXES_HEIGHT,
    NARROW,
    TRUTH_COLOUR,
    Drawing,
    Look,
    clipped,
    legend_below,
    looks,
    new_figure,
    png_of,
    set_scale,
    styled,
    wrapped,
)
from monarch_core.report.statistics import band
from monarch_core.report.wording import common_title, mean_and_error, metric_heading, metric_label
from monarch_core.runs.artifacts import Curve

_BAND = "Line: mean over seeds; band: smallest to largest"
_MOST_TICKS = 7
# What follows from the config of a dataset and is no choice of its own.
_MADE_OF_DATASET = (SPLIT_SIZES, FINGERPRINT, RECIPE)


def learning_curves(
    groups: Sequence[Group], colours: Mapping[str, str]
) -> tuple[list[Drawing], list[str]]:
    """Draw training loss and validation error against the epoch, as far as they were logged.

    Returns:
        the figures, and notes on seeds and epochs that they do not show.
    """
    drawings, notes = [], []
    for key, title in (("train_loss", "Training loss"), ("valid_error", "Validation error")):
        with styled():
            figure = new_figure(NARROW, AXES_HEIGHT)
            axes = figure.subplots()
            n_seeds = set()
            for group, look in zip(groups, looks(groups, colours), strict=True):
                epochs, values, odd = _logged(group, key)
                notes += [f"{title}, {look.label}: {note}" for note in odd]
                if epochs.size:
                    n_seeds.add(len(values))
                    _line(axes, epochs, values, look, look.label, look.dash)
            if not axes.get_lines():
                continue
            set_scale(axes, y="log")
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
            axes.set(title=title, xlabel="epoch", ylabel=title.lower())
            legend_below(figure, axes)
            drawings.append(
                Drawing(key, f"{title} by epoch", _seed_caption(n_seeds), png_of(figure))
            )
    return drawings, notes if drawings else []


def curve_figure(
    groups: Sequence[Group], curves: Sequence[Sequence[Sequence[Curve]]], colours: Mapping[str, str]
) -> tuple[Drawing, list[str]]:
    """Overlay the curves of one figure key.

    Where titles differ between groups, what a title says beyond the others goes to the legend.

    Args:
        groups: the groups to draw.
        curves: for every group, for every seed, its curves with this key; at least one in all.
        colours: colour of every transform.

    Returns:
        the figure, and notes on curves that show something else and were left out.
    """
    first = next(curve for group in curves for run in group for curve in run)
    title, beyond = common_title([runs[0][0].title for runs in curves])
    heading = title or first.title
    notes: list[str] = []
    n_seeds = set()
    with styled():
        figure = new_figure(NARROW, AXES_HEIGHT)
        axes = figure.subplots()
        truths: dict[str, Curve] = {}
        for look, runs, more in zip(looks(groups, colours), curves, beyond, strict=True):
            everything = [curve for run in runs for curve in run]
            fitting = [curve for curve in everything if _axes_of(curve) == _axes_of(first)]
            if len(fitting) < len(everything):
                notes.append(f"{heading}: curves of {look.label} on other axes are left out")
            lines: dict[str, list[Curve]] = {}
            for curve in fitting:
                if not curve.shared:
                    lines.setdefault(curve.line, []).append(curve)
                elif not _same_values(truths.setdefault(curve.line, curve), curve):
                    notes.append(
                        f"{heading}: {curve.line or 'the truth'} of {look.label} is another one "
                        "than what is drawn"
                    )
            for place, (name, seeds) in enumerate(lines.items()):
                alike = [curve for curve in seeds if _comparable(curve, seeds[0])]
                if len(alike) < len(seeds):
                    notes.append(
                        f"{heading}: seeds of {look.label} that show something else "
                        "than its first are left out"
                    )
                label = ", ".join(part for part in (f"{look.label} {more}".strip(), name) if part)
                values = np.stack([curve.y for curve in alike])
                n_seeds.add(len(values))
                _line(axes, alike[0].x, values, look, label, look.dash_of(place))
        for name, curve in truths.items():
            axes.plot(curve.x, curve.y, "--", color=TRUTH_COLOUR, label=name or "truth", zorder=5)
        set_scale(axes, x=first.x_scale, y=first.y_scale)
        axes.set(title=wrapped(title), xlabel=clipped(first.x_label), ylabel=clipped(first.y_label))
        legend_below(figure, axes)
        return Drawing(first.figure, heading, _seed_caption(n_seeds), png_of(figure)), notes


def metric_figure(groups: Sequence[Group], metric: str, colours: Mapping[str, str]) -> Drawing:
    """Draw a metric of every group: each seed as a dot, mean and standard error on top."""
    with styled():
        figure = new_figure(NARROW, 1.2 + 0.42 * len(groups))
        axes = figure.subplots()
        names = []
        for place, (group, look) in enumerate(zip(groups, looks(groups, colours), strict=True)):
            over = group.metric(metric)
            label = look.label if over.mean is not None else f"{look.label}: {mean_and_error(over)}"
            names.append(wrapped(clipped(label), 34))
            seeds = [value for value in map(finite, group.values(metric)) if value is not None]
            axes.plot(seeds, [place] * len(seeds), "o", color=look.colour, alpha=0.35, mew=0)
            if over.mean is not None:
                _point(axes, over.mean, place, look, "D", horizontal=over.standard_error)
        axes.set_yticks(range(len(groups)), names)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set(title=wrapped(clipped(metric_label(metric))))
        axes.set_xlabel(clipped(metric_heading(metric)))
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=6)
        caption = "Diamond and bar: mean ± standard error over seeds; dots: the seeds."
        return Drawing("metric", f"{metric_label(metric)} by group", caption, png_of(figure))


def cost_figure(groups: Sequence[Group], metric: str, colours: Mapping[str, str]) -> Drawing | None:
    """Draw a metric against the time per epoch; None with fewer than three groups to show."""
    shown = [
        (group, group.cost("seconds_per_epoch"))
        for group in groups
        if group.metric(metric).mean is not None and group.cost("seconds_per_epoch")
    ]
    if len(shown) < 3:
        return None
    with styled():
        figure = new_figure(NARROW, AXES_HEIGHT)
        axes = figure.subplots()
        faces = looks([group for group, _ in shown], colours)
        for (group, cost), look in zip(shown, faces, strict=True):
            over = group.metric(metric)
            if over.mean is not None and cost is not None:
                _point(axes, cost, over.mean, look, look.marker, vertical=over.standard_error)
        axes.set(
            title=wrapped(f"{metric_label(metric)} against cost"),
            xlabel="time per epoch (s)",
            ylabel=clipped(metric_heading(metric)),
        )
        axes.set_xlim(left=0)
        legend_below(figure, axes)
        caption = "Mean ± standard error over seeds."
        if len(shown) < len(groups):
            caption += f" Without a time or a finite mean, not shown: {len(groups) - len(shown)}."
        title = f"{metric_label(metric)} against time per epoch"
        return Drawing("cost", title, caption, png_of(figure))


def sweep_figures(
    groups: Sequence[Group], metric: str, colours: Mapping[str, str]
) -> list[Drawing]:
    """Draw a metric against every number in the config that was varied with all else equal."""
    drawings = []
    configs = [{**group.settings, **group.transform_settings} for group in groups]
    keys = [key for key in differing_keys(configs) if not key.startswith(_MADE_OF_DATASET)]
    for key in keys:
        series = _series(groups, configs, key)
        if not any(len(points) > 1 for _, points in series):
            continue
        series = [(group, points) for group, points in series if len(points) > 1]
        with styled():
            figure = new_figure(NARROW, AXES_HEIGHT)
            axes = figure.subplots()
            n_left_out = 0
            datasets = len({(group.dataset, group.data_details) for group, _ in series}) > 1
            faces = looks([group for group, _ in series], colours)
            for (group, points), look in zip(series, faces, strict=True):
                label = f"{group.dataset} {group.data_details}, {look.label}"
                over = [(x, member.metric(metric)) for x, member in points]
                kept = [(x, s.mean, s.standard_error or 0) for x, s in over if s.mean is not None]
                n_left_out += len(over) - len(kept)
                x, y, error = np.array(kept, dtype=np.float64).reshape(-1, 3).T
                axes.errorbar(
                    x, y, error, color=look.colour, linestyle=look.dash, marker=look.marker,
                    capsize=3, label=label if datasets else look.label,
                )  # fmt: skip
            values = np.array([x for _, points in series for x, _ in points])
            spans = values.min() > 0 and values.max() >= 8 * values.min()
            set_scale(axes, x="log" if spans else "linear")
            ticks = np.unique(values)
            if ticks.size <= _MOST_TICKS:
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axes.minorticks_off()
            name = words(key, keys)
            axes.set(
                title=wrapped(f"{metric_label(metric)} against {name}"),
                xlabel=clipped(name),
                ylabel=clipped(metric_heading(metric)),
            )
            legend_below(figure, axes)
            title = f"{metric_label(metric)} against {name}"
            caption = "Mean ± standard error over seeds; nothing else in the config differs."
            if n_left_out:
                caption += f" Without a finite mean, not shown: {n_left_out}."
            drawings.append(Drawing(f"sweep-{name}", title, caption, png_of(figure)))
    return drawings


def _comparable(curve: Curve, first: Curve) -> bool:
    return curve.title == first.title and np.array_equal(curve.x, first.x)


def _axes_of(curve: Curve) -> tuple[str, ...]:
    return curve.x_label, curve.y_label, curve.x_scale, curve.y_scale


def _same_values(one: Curve, other: Curve) -> bool:
    if one.y.shape != other.y.shape:
        return False
    smallest = 1e-6 * float(np.nanmax(np.abs(one.y)))
    same_x = np.allclose(one.x, other.x, rtol=1e-4, atol=0, equal_nan=True)
    return same_x and np.allclose(one.y, other.y, rtol=1e-4, atol=smallest, equal_nan=True)


def _series(
    groups: Sequence[Group], configs: Sequence[Mapping[str, str]], key: str
) -> list[tuple[Group, list[tuple[float, Group]]]]:
    """Collect groups that are equal but for one number; each series is named by a stand-in."""
    found: dict[tuple[object, ...], tuple[Group, list[tuple[float, Group]]]] = {}
    swept = same_choice(key, configs)
    for group, config in zip(groups, configs, strict=True):
        is_word, value, _ = number_or_text(config.get(key, ""))
        if is_word:
            continue
        rest = {key: value for key, value in group.settings.items() if key not in swept}
        if key.startswith(DATASET):  # then sizes and content follow from it, but no other place
            rest = {k: v for k, v in rest.items() if not k.startswith(_MADE_OF_DATASET)}
            rest |= {k: v for k, v in group.places.items() if k in PLACES and k not in swept}
        own = {k: v for k, v in group.transform_settings.items() if k not in swept}
        identity = (group.task, group.dataset, group.model, group.transform)
        same = (*identity, tuple(sorted(rest.items())), tuple(sorted(own.items())))
        stand_in = replace(group, settings=rest, transform_settings=own)
        found.setdefault(same, (stand_in, []))[1].append((value, group))
    named = describe([stand_in for stand_in, _ in found.values()])
    points = [sorted(members, key=lambda point: point[0]) for _, members in found.values()]
    return list(zip(named, points, strict=True))


def _logged(
    group: Group, key: str
) -> tuple[Float[np.ndarray, "n_epochs"], Float[np.ndarray, "n_seeds n_epochs"], list[str]]:
    """Return the epochs that every seed logged, the values there, and notes on what is not shown.

    Of an epoch that was logged twice the last entry counts; what is not finite is a gap.
    """
    everything = [
        {line["epoch"]: line[key] for line in run.log if key in line} for run in group.runs
    ]
    logs = [log for log in everything if log]
    if not any(np.isfinite(value) for log in logs for value in log.values()):
        return np.empty(0), np.empty((0, 0)), ["nothing finite in a log"]
    epochs = sorted(set.intersection(*(set(log) for log in logs)))
    notes = []
    if len(logs) < len(everything):
        notes.append(f"logged by {len(logs)} of {len(everything)} seeds")
    n_epochs = len(set.union(*(set(log) for log in logs)))
    if len(epochs) < n_epochs:
        notes.append(f"{len(epochs)} of {n_epochs} epochs are shown, those that all seeds logged")
    values = [[log[epoch] for epoch in epochs] for log in logs]
    return np.array(epochs, dtype=np.float64), np.array(values, dtype=np.float64), notes


def _line(
    axes: Axes,
    x: Float[np.ndarray, "n_points"],
    values: Float[np.ndarray, "n_seeds n_points"],
    look: Look,
    label: str,
    dash: str,
) -> None:
    marker = look.marker if x.size < 8 else None
    mean, low, high = band(values)
    axes.plot(x, mean, color=look.colour, linestyle=dash, marker=marker, label=label)
    if len(values) > 1:
        axes.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)


def _point(
    axes: Axes,
    x: float,
    y: float,
    look: Look,
    marker: str,
    *,
    horizontal: float | None = None,
    vertical: float | None = None,
) -> None:
    axes.errorbar(
        [x], [y], xerr=horizontal, yerr=vertical, color=look.colour, marker=marker, capsize=3,
        linestyle="none", label=look.label, zorder=3,
    )  # fmt: skip


def _seed_caption(n_seeds: set[int]) -> str:
    """Say how many seeds the lines of a figure are means of."""
    if n_seeds <= {1}:
        return "One seed: no spread."
    return f"{_BAND}; {' or '.join(map(str, sorted(n_seeds)))} seeds."
