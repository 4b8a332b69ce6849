"""A ladder: what each step from the control to the final model gains, on every data set."""

import math
from collections.abc import Sequence

from monarch_core.report.compare.control import LOSS, compare, validation_error
from monarch_core.report.compare.groups import CONTROL, Data, Group
from monarch_core.report.read.identity import (
    DATASET,
    EVALUATION,
    UNSET,
    differing_keys,
    is_measured,
    words,
)
from monarch_core.report.render.text_table import Cell, TextTable
from monarch_core.report.statistics import higher_is_better
from monarch_core.report.wording import count, difference, mean_and_error, seconds

_MODEL = "model."
_RATE = "fit.transform_learning_rate"


def ladder_table(groups: Sequence[Group], metric: str) -> TextTable:
    """Return one row per model, transform and training, and one column per data set.

    Every cell is compared with the FFT group of the same data, of whatever model, that has the
    lowest validation error. Rows go from the largest to the smallest metric on the first data set;
    rows without a value there come last.

    Raises:
        ValueError: there is no FFT group on some data, or no telling which of several is the best;
            or two groups differ in nothing that a ladder shows.
    """
    data = list(dict.fromkeys(group.data for group in groups))
    controls = {one: _control(groups, one, metric) for one in data}
    titles = _titles(groups)
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

    columns = ["model", "transform", "training", *titles.values()]
    numbers = ["seeds", "parameters", "time per epoch"]
    rows = []
    for name, rung in sorted(rungs.items(), key=lambda item: height(item[1])):
        shown = next(rung[one] for one in data if one in rung)
        seeds = sorted({len(group.runs) for group in rung.values()})
        rows.append(
            [
                *map(Cell, name),
                *(_cell(rung.get(one), controls[one], metric) for one in data),
                Cell(" to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))),
                Cell(count(shown.cost("n_parameters"))),
                Cell(seconds(shown.cost("seconds_per_epoch"))),
            ]
        )
    devices = ", ".join(sorted({group.devices for group in groups}))
    column = "first column"
    if any(data[0] not in rung for rung in rungs.values()):
        column += " with a value"
    return TextTable(
        key="ladder",
        title="Ladder",
        columns=[*columns, *numbers],
        rows=rows,
        caption=f"Mean ± standard error of {metric.replace('_', ' ')} over seeds; changes are "
        f"against the best {CONTROL} run of the same data. Time and parameters are those of the "
        f"{column}. Device: {devices}.",
        numeric=frozenset((*titles.values(), *numbers)),
    )


def _titles(groups: Sequence[Group]) -> dict[Data, str]:
    """Return a name for each data set: the one setting that tells all apart, if there is one."""
    settings = {
        g.data: {k: v for k, v in g.settings.items() if k.startswith(DATASET)} for g in groups
    }
    keys = differing_keys(list(settings.values()))
    telling = [key for key in keys if len({s.get(key) for s in settings.values()}) == len(settings)]
    if telling:
        key = telling[0]
        return {data: f"{words(key, keys)} {own.get(key)}" for data, own in settings.items()}
    several = len({group.dataset for group in groups}) > 1
    names = {}
    for group in groups:
        dataset = [group.dataset] if several or not group.data_details else []
        names[group.data] = ", ".join([*dataset, *filter(None, [group.data_details])])
    return names


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
    if group.transform == CONTROL:  # nothing of it learns at that rate
        told.pop(_RATE, None)
    return told


def _control(groups: Sequence[Group], data: Data, metric: str) -> Group:
    """Return the FFT group with the best validation error, of any model, on some data.

    Errors are those of the logs, or, where a log is missing or losses differ, the metric on the
    validation split.
    """
    rivals = [group for group in groups if group.data == data and group.transform == CONTROL]
    if not rivals:
        raise ValueError(f"a ladder needs runs with transform={CONTROL} on every data set")
    if len(rivals) == 1:
        return rivals[0]
    errors = [validation_error(group) for group in rivals]
    if math.inf in errors or len({group.settings.get(LOSS) for group in rivals}) > 1:
        sign = -1 if higher_is_better(metric) else 1
        means = [group.metric(f"{metric}_valid").mean for group in rivals]
        errors = [math.inf if mean is None else sign * mean for mean in means]
    if math.inf in errors:
        lacking = rivals[errors.index(math.inf)].runs[0].name
        raise ValueError(
            f"which of {len(rivals)} {CONTROL} groups is the best on the validation split cannot "
            f"be told: {lacking} has no log.jsonl with the loss of the others, nor a finite metric "
            f"{metric}_valid; leave all but one of them out"
        )
    return rivals[errors.index(min(errors))]


def _cell(group: Group | None, control: Group, metric: str) -> Cell:
    if group is None:
        return Cell("")
    found = None if group is control else compare(group, control, metric)
    text = mean_and_error(group.metric(metric))
    return Cell(text, difference(found, metric), found.verdict if found else "")
