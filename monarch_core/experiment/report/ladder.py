"""A ladder: what each step from the control to the final model gains, on every data set."""

import math
from collections.abc import Sequence

from monarch_core.experiment.report.aggregate import CONTROL, Group, differing_keys, words
from monarch_core.experiment.report.control import compare, validation_error
from monarch_core.experiment.report.tables import Cell, TextTable
from monarch_core.experiment.report.wording import count, difference, mean_and_error, seconds

# Keys that say what is measured or how large a model is, not how it is trained.
_TOLD_ELSEWHERE = ("dataset.", "split_sizes.", "evaluation.", "model.")


def ladder_table(groups: Sequence[Group], metric: str) -> TextTable:
    """Return one row per model, transform and training, and one column per data set.

    Every cell is compared with the FFT group of the same data, of whatever model, that has the
    lowest validation error. Rows go from the largest to the smallest metric on the first data set.

    Raises:
        ValueError: there is no FFT group on some data.
    """
    data = list(dict.fromkeys(group.data for group in groups))
    controls = {one: _control(groups, one, metric) for one in data}
    titles = {group.data: group.data_details or group.dataset for group in groups}
    training = [_training(group) for group in groups]
    keys = differing_keys(training)
    rungs: dict[tuple[str, str, str], dict[object, Group]] = {}
    for group, settings in zip(groups, training, strict=True):
        told = ", ".join(f"{words(key, keys)} {settings[key]}" for key in keys if key in settings)
        rungs.setdefault((group.model, group.transform, told), {})[group.data] = group

    def first_metric(rung: dict[object, Group]) -> float:
        found = next((rung[one] for one in data if one in rung), None)
        mean = found.metric(metric).mean if found else None
        return -mean if mean is not None else 0.0

    devices = ", ".join(sorted({group.devices for group in groups}))
    columns = ["model", "transform", "training", *titles.values()]
    numbers = ["seeds", "parameters", "time per epoch"]
    rows = []
    for name, rung in sorted(rungs.items(), key=lambda item: first_metric(item[1])):
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
    return TextTable(
        key="ladder",
        title="Ladder",
        columns=[*columns, *numbers],
        rows=rows,
        caption=f"Mean ± standard error of {metric.replace('_', ' ')} over seeds; changes are "
        f"against the best {CONTROL} run of the same data. Device: {devices}.",
        numeric=frozenset((*titles.values(), *numbers)),
    )


def _training(group: Group) -> dict[str, str]:
    return {k: v for k, v in group.settings.items() if not k.startswith(_TOLD_ELSEWHERE)}


def _control(groups: Sequence[Group], data: object, metric: str) -> Group:
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
