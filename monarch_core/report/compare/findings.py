"""What the groups say, in sentences that are computed, never written by hand."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monarch_core.report.compare.control import (
    Control,
    compare,
    control_of,
    strongest_control_of,
    why_no_control,
)
from monarch_core.report.compare.groups import Group
from monarch_core.report.statistics import Change, Spread
from monarch_core.report.wording import (
    commit,
    difference,
    mean_and_error,
    metric_label,
)


@dataclass(frozen=True)
class Finding:
    """How one group does.

    Attributes:
        where: dataset and model.
        values: what was measured, on how many seeds.
        outcome: the change and who is ahead, empty without a control.
        verdict: as in `Change.verdict`, empty without a control; "level" where no digit of the
            change that is shown differs from zero.
        remarks: costs, other devices, and what else differs.
    """

    where: str
    values: str
    outcome: str = ""
    verdict: str = ""
    remarks: str = ""

    @property
    def sentence(self) -> str:
        """The finding as one line of text."""
        outcome = f": {self.outcome}" if self.outcome else ""
        return f"{self.where}: {self.values}{outcome}{self.remarks}"


def findings(groups: Sequence[Group], metric_of: Mapping[str, str]) -> list[Finding]:
    """Say of every group how it does against its control, whatever the outcome.

    Where no other transform was tested on the same data, the controls speak for themselves.

    Args:
        groups: the groups, in the order of the tables.
        metric_of: the metric to speak of, per task.
    """
    compared = {group.data for group in groups if not group.declared.control}
    return [
        _finding(group, groups, metric_of[group.task])
        for group in groups
        if not group.declared.control or group.data not in compared
    ]


def _finding(group: Group, groups: Sequence[Group], metric: str) -> Finding:
    data = f" ({group.data_details})" if group.data_details else ""
    where = f"{group.dataset}{data}, {group.model}"
    mine = group.metric(metric)
    control = control_of(group, groups)
    if control is None:
        alone = f"{group.name} {mean_and_error(mine)} in {metric_label(metric)} ({_seeds(mine)})"
        missing = "" if group.declared.control else f"; {why_no_control(group, groups)}"
        return Finding(where, alone, remarks=missing)
    theirs, found = control.group.metric(metric), compare(group, control.group, metric)
    values = (
        f"{group.name} {mean_and_error(mine)} against {control.group.name} "
        f"{mean_and_error(theirs)} in {metric_label(metric)} ({_seeds(mine, theirs)})"
    )
    outcome = _outcome(group, found, metric)
    remarks = _remarks(group, control)
    strongest = strongest_control_of(group, groups)
    if strongest is not None and strongest.group is not control.group:
        remarks += _against_strongest(group, strongest, metric)
    verdict = found.verdict if found else ""
    if found is not None and _is_hidden(found, metric):
        verdict = "level"
    return Finding(where, values, outcome, verdict, remarks)


def _remarks(group: Group, control: Control) -> str:
    ratios = [
        f"{ratio:.1f}x the {noun}"
        for ratio, noun in (
            (_ratio(group, control.group, "seconds_per_epoch"), "time per epoch"),
            (_ratio(group, control.group, "n_parameters"), "parameters"),
        )
        if ratio is not None
    ]
    text = f"; {', '.join(ratios)}" if ratios else ""
    if group.devices != control.group.devices:
        text += f" (on different devices: {group.devices} against {control.group.devices})"
    if control.differs:
        text += f"; also differs: {control.words}"
    ours, theirs = _code(group), _code(control.group)
    if ours != theirs:
        text += f"; at other commits: {' and '.join(ours)} against {' and '.join(theirs)}"
    return text + (f"; against {control.choice}" if control.choice else "")


def _against_strongest(group: Group, strongest: Control, metric: str) -> str:
    rival = strongest.group
    found = compare(group, rival, metric)
    among = f" {strongest.choice}" if strongest.choice else ""
    return (
        f"; against the {rival.transform}{among} with the lowest validation error, "
        f"{rival.name} {mean_and_error(rival.metric(metric))}: {_outcome(group, found, metric)}"
    )


def _code(group: Group) -> list[str]:
    return sorted({commit(run.git_commit) for run in group.runs})


def _outcome(group: Group, found: Change | None, metric: str) -> str:
    """Return the change and who is ahead; that there is none where a side has no mean."""
    if found is None:
        return "no change to be given"
    shown = difference(found, metric)
    if _is_hidden(found, metric):
        return f"{shown}, no difference in the digits shown"
    return f"{shown}{_verdict(group.transform, found)}"


def _is_hidden(found: Change, metric: str) -> bool:
    """Return whether a change by which one side is ahead is written as zero."""
    written = difference(found, metric).partition("±")[0]
    return found.verdict in ("ahead", "behind") and re.search("[1-9]", written) is None


def _seeds(*spreads: Spread) -> str:
    counts = list(dict.fromkeys(spread.n + spread.n_not_finite for spread in spreads))
    if counts == [0]:
        return "not measured"
    if counts == [1]:
        return "one seed: no spread"
    return f"mean ± standard error over {' against '.join(map(str, counts))} seeds"


def _verdict(transform: str, found: Change) -> str:
    if found.verdict == "unknown":
        return ""
    if found.verdict == "level":
        same = "equal" if found.value == 0 else "no difference at 95 % confidence"
        return f", {same}"
    verdict = f", {transform} {'is ahead' if found.verdict == 'ahead' else 'loses'}"
    return verdict if found.standard_error is not None else f"{verdict} on one seed"


def _ratio(group: Group, control: Group, cost: str) -> float | None:
    mine, theirs = group.cost(cost), control.cost(cost)
    return mine / theirs if mine is not None and theirs else None
