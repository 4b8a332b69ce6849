"""A ladder: what each step from the control to the final model gains, on every data set."""

import math
from collections.abc import Sequence

from monarch_core.experiment.report.aggregate import CONTROL, Group, differing_keys, words
from monarch_core.experiment.report.control import compare, validation_error
from monarch_core.experiment.report.tables import Cell, TextTable
from monarch_core.experiment.report.wording import count, difference, mean_and_error, seconds

# Keys that say what is measured or how large a model is, not how it is trained.
_TOLD_ELSEWHERE = ("dataset.", "split_sizes.", "evaluation.", "model.")
_RATE = "fit.transform_learning_rate"

Data = tuple[str, str, tuple[tuple[str, str], ...]]


def ladder_table(groups: Sequence[Group], metric: str) -> TextTable:
    """Return one row per model, transform and training, and one column per data set.

    Every cell is compared with the FFT group of the same data, of whatever model, that has the
    lowest validation error. Rows go from the largest to the smallest metric on the first data set;
    rows without a value there come last.

    Raises:
        ValueError: there is no FFT group on some data, or two groups differ in nothing that a
            ladder shows.
    """
    data = list(dict.fromkeys(group.data for group in groups))
    controls = {one: _control(groups, one, metric) for one in data}
    titles = _titles(groups)
    training = [_training(group) for group in groups]
    rates = {settings[_RATE] for settings in training if _RATE in settings}
    keys = [key for key in differing_keys(training) if key != _RATE or len(rates) > 1]
    rungs: dict[tuple[str, str, str], dict[Data, Group]] = {}
    for group, settings in zip(groups, training, strict=True):
        told = ", ".join(f"{words(key, keys)} {settings[key]}" for key in keys if key in settings)
        rung = rungs.setdefault((group.model, group.transform, told), {})
        if group.data in rung:
            raise ValueError(
                f"{group.runs[0].folder} and {rung[group.data].runs[0].folder} differ only in what "
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
        shown = next(iter(rung.values()))
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
    return TextTable(
        key="ladder",
        title="Ladder",
        columns=[*columns, *numbers],
        rows=rows,
        caption=f"Mean ± standard error of {metric.replace('_', ' ')} over seeds; changes are "
        f"against the best {CONTROL} run of the same data. Time and parameters are those of the "
        f"first column. Device: {devices}.",
        numeric=frozenset((*titles.values(), *numbers)),
    )


def _titles(groups: Sequence[Group]) -> dict[Data, str]:
    """Return a name for each data set: the one setting that tells all apart, if there is one."""
    settings = {
        g.data: {k: v for k, v in g.settings.items() if k.startswith("dataset.")} for g in groups
    }
    keys = differing_keys(list(settings.values()))
    telling = [key for key in keys if len({s.get(key) for s in settings.values()}) == len(settings)]
    if not telling:
        return {group.data: group.data_details or group.dataset for group in groups}
    key = telling[0]
    return {data: f"{words(key, keys)} {own.get(key)}" for data, own in settings.items()}


def _training(group: Group) -> dict[str, str]:
    told = {k: v for k, v in group.settings.items() if not k.startswith(_TOLD_ELSEWHERE)}
    if group.transform == CONTROL:  # nothing of it learns at that rate
        told.pop(_RATE, None)
    return told


def _control(groups: Sequence[Group], data: Data, metric: str) -> Group:
    rivals = [group for group in groups if group.data == data and group.transform == CONTROL]
    if not rivals:
        raise ValueError(f"a ladder needs runs with transform={CONTROL} on every data set")

    def error(group: Group) -> tuple[float, float]:  # without a log, what the results say of it
        valid = group.metric(f"{metric}_valid").mean
        return validation_error(group), math.inf if valid is None else valid

    return min(rivals, key=error)


def _cell(group: Group | None, control: Group, metric: str) -> Cell:
    if group is None:
        return Cell("")
    found = None if group is control else compare(group, control, metric)
    text = mean_and_error(group.metric(metric))
    return Cell(text, difference(found, metric), found.verdict if found else "")
