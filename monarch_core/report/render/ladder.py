"""A ladder: what each step from the control to the final model gains, on every data set."""

import math
from collections.abc import Sequence
from functools import partial

from monarch_core.report.compare.control import best_control_on
from monarch_core.report.compare.groups import Data, Group, control_name, swapped_name
from monarch_core.report.compare.settings import UNSET, differing_keys, words
from monarch_core.report.read.identity import EVALUATION, is_measured
from monarch_core.report.render.short import data_titles
from monarch_core.report.render.tables import metric_cell
from monarch_core.report.render.text_table import Cell, TextTable
from monarch_core.report.wording import count, seconds

_MODEL = "model."
_RATE = "fit.transform_learning_rate"


def ladder_table(groups: Sequence[Group], metric: str, *, short: bool = False) -> TextTable:
    """Return one row per model, transform and training, and one column per data set.

    Every cell is compared with the control of the same data, of whatever model, that has the
    lowest validation error. Rows go from the largest to the smallest metric on the first data set;
    rows without a value there come last. A short one has three digits, and no costs but parameters.

    Raises:
        ValueError: as for `best_control_on`, or two groups differ in nothing that a ladder shows.
    """
    data = list(dict.fromkeys(group.data for group in groups))
    controls = {one: best_control_on(one, groups, metric) for one in data}
    titles = data_titles(groups)
    told = _told(groups)
    rungs: dict[tuple[str, str, str], dict[Data, Group]] = {}
    for group, training in zip(groups, told, strict=True):
        rung = rungs.setdefault((group.model, group.transform, training), {})
        if group.data in rung:
            raise ValueError(
                f"{group.runs[0].name} and {rung[group.data].runs[0].name} differ only in what "
                "a ladder does not show; leave one of them out"
            )
        rung[group.data] = group

    def height(rung: dict[Data, Group]) -> float:
        mean = rung[data[0]].metric(metric).mean if data[0] in rung else None
        return math.inf if mean is None else -mean

    swapped = swapped_name(groups)
    names = [f"model, {swapped}"] if short else ["model", swapped]
    columns = [*names, "training", *titles.values()]
    numbers = ["parameters"] if short else ["seeds", "parameters", "time per epoch"]
    cell = partial(metric_cell, brief=short)
    rows = []
    for (*name, training), rung in sorted(rungs.items(), key=lambda item: height(item[1])):
        shown = next(rung[one] for one in data if one in rung)
        seeds = sorted({len(group.runs) for group in rung.values()})
        values = {
            "seeds": " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1])))),
            "parameters": count(shown.cost("n_parameters")),
            "time per epoch": seconds(shown.cost("seconds_per_epoch")),
        }
        rows.append(
            [
                *map(Cell, [", ".join(name)] if short else name),
                Cell(training),
                *(
                    cell(rung[one], controls[one], metric) if one in rung else Cell("")
                    for one in data
                ),
                *(Cell(values[number]) for number in numbers),
            ]
        )
    control = control_name(groups)
    devices = ", ".join(sorted({group.devices for group in groups}))
    column = "first column"
    if any(data[0] not in rung for rung in rungs.values()):
        column += " with a value"
    costs = "" if short else f" Time and parameters are those of the {column}. Device: {devices}."
    return TextTable(
        key="ladder",
        title="Ladder",
        columns=[*columns, *numbers],
        rows=rows,
        caption=f"Mean ± standard error of {metric.replace('_', ' ')} over seeds; changes are "
        f"against the best {control} run of the same data.{costs}",
        numeric=frozenset((*titles.values(), *numbers)),
    )


def _told(groups: Sequence[Group]) -> list[str]:
    """Return how each group was trained as far as that differs between groups, in words.

    Options of model and transform are told where groups with the same names differ in them.
    """
    training = [_training(group) for group in groups]
    rates = {settings[_RATE] for settings in training if _RATE in settings}
    keys = [key for key in differing_keys(training) if key != _RATE or len(rates) > 1]
    namesakes: dict[tuple[str, str], list[dict[str, str]]] = {}
    for group in groups:
        namesakes.setdefault((group.model, group.transform), []).append(_options(group))
    result = []
    for group, trained in zip(groups, training, strict=True):
        own = differing_keys(namesakes[group.model, group.transform])
        values = {key: value for key, value in trained.items() if key in keys}
        values |= {key: _options(group).get(key, UNSET) for key in own}
        shown = [key for key in (*keys, *own) if key in values]
        result.append(", ".join(f"{words(key, (*keys, *own))} {values[key]}" for key in shown))
    return result


def _options(group: Group) -> dict[str, str]:
    model = {key: value for key, value in group.settings.items() if key.startswith(_MODEL)}
    return model | dict(group.transform_settings)


def _training(group: Group) -> dict[str, str]:
    told = {
        key: value
        for key, value in group.settings.items()
        if not is_measured(key) and not key.startswith((_MODEL, EVALUATION))
    }
    if group.declared.learns == "none":  # nothing of it learns at that rate
        told.pop(_RATE, None)
    return told
