"""The control that a group is compared with, and how the two differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monarch_core.report.compare.groups import Data, Group, control_name
from monarch_core.report.compare.settings import UNSET, as_pairs, differences, differing_keys
from monarch_core.report.read.untrusted import finite
from monarch_core.report.statistics import Change, change, higher_is_better, spread

LOSS = "loss"  # the setting in whose unit validation errors are


@dataclass(frozen=True)
class Control:
    """The control group that another group is compared with.

    Attributes:
        group: the control.
        differs: (key in words, value in the control, value in the other group) of every setting,
            besides the transform, that is not the same in both.
        choice: how it was chosen where others would have served as well, in words.
    """

    group: Group
    differs: tuple[tuple[str, str, str], ...]
    choice: str = ""

    @property
    def words(self) -> str:
        """The differences in words, empty if the transform is the only one."""
        return as_pairs(self.differs)


def control_of(group: Group, groups: Sequence[Group]) -> Control | None:
    """Return the control of a group: of the same task, model and data, with the most alike config.

    Of several that are equally alike, the one with the lowest validation error is taken; without
    any, the first by its name, which `Control.choice` then says.

    Returns:
        None for a control, and where there is none to compare with.
    """
    rivals = _rivals(group, groups)
    if not rivals:
        return None
    unlikeness = [len(differing_keys([rival.settings, group.settings])) for rival in rivals]
    alike = [r for r, n in zip(rivals, unlikeness, strict=True) if n == min(unlikeness)]
    best = min(alike, key=lambda rival: (validation_error(rival), rival.details))
    choice = ""
    if len(alike) > 1:
        how = "first by name" if math.isinf(validation_error(best)) else "lowest validation error"
        choice = f"the {how} of {len(alike)} {control_name(alike)} groups that are as alike"
    return Control(best, differences(best.settings, group.settings), choice)


def strongest_control_of(group: Group, groups: Sequence[Group]) -> Control | None:
    """Return the control of the same task, model and data with the lowest validation error.

    Validation errors are in the unit of the loss, so only those of the same loss are ranked.

    Returns:
        None for a control, and where none has logged a validation error.
    """
    rivals = [r for r in _rivals(group, groups) if math.isfinite(validation_error(r))]
    ranked = [r for r in rivals if r.settings.get(LOSS) == group.settings.get(LOSS)]
    if not ranked:
        return None
    best = min(ranked, key=validation_error)
    choice = "" if len(ranked) == len(rivals) else f"of loss {group.settings.get(LOSS, UNSET)}"
    return Control(best, differences(best.settings, group.settings), choice)


def best_control_on(data: Data, groups: Sequence[Group], metric: str) -> Group:
    """Return the control with the best validation error, of any model, on some data.

    Errors are those of the logs, or, where a log is missing or losses differ, the metric on the
    validation split.

    Raises:
        ValueError: there is none, or no telling which of several is the best.
    """
    rivals = [group for group in groups if group.data == data and group.declared.control]
    if not rivals:
        raise ValueError("a ladder needs runs of a control, such as the FFT, on every data set")
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
            f"which of {len(rivals)} {control_name(rivals)} groups is the best on the validation "
            f"split cannot be told: {lacking} has no log.jsonl with the loss of the others, nor a "
            f"finite metric {metric}_valid; leave all but one of them out"
        )
    return rivals[errors.index(min(errors))]


def validation_error(group: Group) -> float:
    """Return the lowest validation error of each run, averaged over the seeds; inf without any."""
    best: list[float | None] = []
    for run in group.runs:
        errors = [line["valid_error"] for line in run.log if "valid_error" in line]
        numbers = [error for error in errors if finite(error) is not None]
        best.append(min(numbers) if numbers else None)
    mean = spread(best).mean
    return math.inf if mean is None else mean


def compare(group: Group, control: Group | None, metric: str) -> Change | None:
    """Return the change of a metric of a group against another group, None without one."""
    if control is None:
        return None
    return change(
        group.values(metric),
        control.values(metric),
        metric=metric,
        same_seeds=None not in group.seeds and group.seeds == control.seeds,
    )


def why_no_control(group: Group, groups: Sequence[Group]) -> str:
    """Say what keeps the controls of the same task and model from being compared with a group."""
    others = [
        other
        for other in groups
        if other.declared.control and (other.task, other.model) == (group.task, group.model)
    ]
    if not others:
        return f"no {control_name(groups)} run to compare with"
    found = min((_measured_apart(other, group) for other in others), key=len)
    nearest = f"the nearest has other data ({as_pairs(found)})"
    return f"no {control_name(others)} run to compare with: {nearest}"


def _measured_apart(one: Group, other: Group) -> tuple[tuple[str, str, str], ...]:
    here, there = ({"dataset": group.data[1], **dict(group.data[2])} for group in (one, other))
    return differences(here, there)


def _rivals(group: Group, groups: Sequence[Group]) -> list[Group]:
    if group.declared.control:
        return []
    same = [other for other in groups if (other.data, other.model) == (group.data, group.model)]
    return [other for other in same if other.declared.control]
