"""The FFT group that another group is compared with, and how the two differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monarch_core.report.compare.groups import CONTROL, Group
from monarch_core.report.read.identity import (
    UNSET,
    as_pairs,
    differences,
    differing_keys,
)
from monarch_core.report.read.untrusted import finite
from monarch_core.report.statistics import Change, change, spread

LOSS = "loss"  # the setting in whose unit validation errors are


@dataclass(frozen=True)
class Control:
    """The FFT group that another group is compared with.

    Attributes:
        group: the FFT group.
        differs: (key in words, value in the FFT group, value in the other group) of every setting,
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
    """Return the FFT group to compare a group with: same task, model and data, most alike config.

    Of several that are equally alike, the one with the lowest validation error is taken; without
    any, the first by its name, which `Control.choice` then says.

    Returns:
        None for an FFT group, and where there is no FFT group to compare with.
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
        choice = f"the {how} of {len(alike)} {CONTROL} groups that are as alike"
    return Control(best, differences(best.settings, group.settings), choice)


def strongest_control_of(group: Group, groups: Sequence[Group]) -> Control | None:
    """Return the FFT group of the same task, model and data with the lowest validation error.

    Validation errors are in the unit of the loss, so only those of the same loss are ranked.

    Returns:
        None for an FFT group, and where no FFT group has logged a validation error.
    """
    rivals = [r for r in _rivals(group, groups) if math.isfinite(validation_error(r))]
    ranked = [r for r in rivals if r.settings.get(LOSS) == group.settings.get(LOSS)]
    if not ranked:
        return None
    best = min(ranked, key=validation_error)
    choice = "" if len(ranked) == len(rivals) else f"of loss {group.settings.get(LOSS, UNSET)}"
    return Control(best, differences(best.settings, group.settings), choice)


def validation_error(group: Group) -> float:
    """Return the lowest validation error of each run, averaged over the seeds; inf without any."""
    best: list[float | None] = []
    for run in group.runs:
        errors = [line["valid_error"] for line in run.log if "valid_error" in line]
        numbers = [error for error in errors if finite(error) is not None]
        best.append(min(numbers) if numbers else None)
    mean = spread(best).mean
    return math.inf if mean is None else mean


def compare(group: Group, control: Group, metric: str) -> Change | None:
    """Return the change of a metric of a group against another group."""
    return change(
        group.values(metric),
        control.values(metric),
        metric=metric,
        same_seeds=None not in group.seeds and group.seeds == control.seeds,
    )


def change_of(group: Group, groups: Sequence[Group], metric: str) -> Change | None:
    """Return the change of a metric of a group against the FFT group it is compared with."""
    control = control_of(group, groups)
    return compare(group, control.group, metric) if control else None


def why_no_control(group: Group, groups: Sequence[Group]) -> str:
    """Say what keeps the FFT groups of the same task and model from being compared with a group."""
    others = [
        other
        for other in groups
        if (other.transform, other.task, other.model) == (CONTROL, group.task, group.model)
    ]
    if not others:
        return f"no {CONTROL} run to compare with"
    found = min((_measured_apart(other, group) for other in others), key=len)
    return f"no {CONTROL} run to compare with: the nearest has other data ({as_pairs(found)})"


def _measured_apart(one: Group, other: Group) -> tuple[tuple[str, str, str], ...]:
    here, there = ({"dataset": group.data[1], **dict(group.data[2])} for group in (one, other))
    return differences(here, there)


def _rivals(group: Group, groups: Sequence[Group]) -> list[Group]:
    if group.transform == CONTROL:
        return []
    fourier = [other for other in groups if other.transform == CONTROL]
    return [other for other in fourier if (other.data, other.model) == (group.data, group.model)]
