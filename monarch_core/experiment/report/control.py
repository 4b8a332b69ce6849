"""The FFT group that another group is compared with, and how the two differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monarch_core.experiment.report.aggregate import CONTROL, UNSET, Group, differing_keys, words
from monarch_core.experiment.report.spread import Change, change, spread


@dataclass(frozen=True)
class Control:
    """The FFT group that another group is compared with.

    Attributes:
        group: the FFT group.
        differs: (key in words, value in the FFT group, value in the other group) of every config
            value, besides the transform, that is not the same in both.
    """

    group: Group
    differs: tuple[tuple[str, str, str], ...]

    @property
    def words(self) -> str:
        """The differences in words, empty if the transform is the only one."""
        return ", ".join(f"{key} {there} / {here}" for key, there, here in self.differs)


def control_of(group: Group, groups: Sequence[Group]) -> Control | None:
    """Return the FFT group to compare a group with: same task, model and data, most alike config.

    Of several that are equally alike, the one with the lowest validation error is taken.

    Returns:
        None for an FFT group, and where there is no FFT group to compare with.
    """

    def unlikeness(rival: Group) -> tuple[int, float, str]:
        n_differing = len(differing_keys([rival.settings, group.settings]))
        return n_differing, validation_error(rival), rival.details

    rivals = _rivals(group, groups)
    return _control(group, min(rivals, key=unlikeness)) if rivals else None


def strongest_control_of(group: Group, groups: Sequence[Group]) -> Control | None:
    """Return the FFT group of the same task, model and data with the lowest validation error.

    Returns:
        None for an FFT group, and where no FFT group has logged a validation error.
    """
    rivals = [r for r in _rivals(group, groups) if math.isfinite(validation_error(r))]
    return _control(group, min(rivals, key=validation_error)) if rivals else None


def validation_error(group: Group) -> float:
    """Return the lowest validation error of each run, averaged over the seeds; inf without any."""
    best = []
    for run in group.runs:
        errors = [line.get("valid_error") for line in run.log]
        numbers = [e for e in errors if isinstance(e, int | float) and math.isfinite(e)]
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


def _rivals(group: Group, groups: Sequence[Group]) -> list[Group]:
    if group.transform == CONTROL:
        return []
    fourier = [other for other in groups if other.transform == CONTROL]
    return [other for other in fourier if (other.data, other.model) == (group.data, group.model)]


def _control(group: Group, best: Group) -> Control:
    keys = differing_keys([best.settings, group.settings])
    differs = [
        (words(key, keys), best.settings.get(key, UNSET), group.settings.get(key, UNSET))
        for key in keys
    ]
    return Control(best, tuple(differs))
