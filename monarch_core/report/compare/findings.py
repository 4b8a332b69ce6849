"""What the groups say, in sentences that are computed, never written by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monarch_core.report.compare.claims import Claim, claim, summary
from monarch_core.report.compare.control import (
    Control,
    compare,
    control_of,
    strongest_control_of,
    why_no_control,
)
from monarch_core.report.compare.groups import Group, control_name, swapped_name
from monarch_core.report.statistics import Spread
from monarch_core.report.wording import BRIEF, commit, mean_and_error, metric_label, plural


@dataclass(frozen=True)
class Finding:
    """How one group does.

    Attributes:
        where: dataset and model.
        name: of the group.
        values: what was measured, on how many seeds.
        claim: how it compares with its control; None without one.
        caution: what differs besides the transform, empty if nothing does.
        remarks: costs, other devices and code, and the choice of the control.
    """

    where: str
    name: str
    values: str
    claim: Claim | None = None
    caution: str = ""
    remarks: str = ""

    @property
    def sentence(self) -> str:
        """The finding as one line of text."""
        outcome = f": {self.claim.text} ({self.claim.reason})" if self.claim else ""
        more = "; ".join(filter(None, (self.caution, self.remarks)))
        return f"{self.where}, {self.name}: {self.values}{outcome}{f'; {more}' if more else ''}"


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


def headline(found: Sequence[Finding], groups: Sequence[Group]) -> str:
    """Say in a line what a comparison found: the one there is, or how many came out how."""
    compared = [(finding, finding.claim) for finding in found if finding.claim is not None]
    if not compared:
        return f"Nothing to compare: no {control_name(groups)} run beside another of the same data."
    if len(compared) == 1:
        ((finding, only),) = compared
        return f"{finding.where}, {finding.name}: {only.text} ({only.reason})."
    counts = summary([claimed for _, claimed in compared])
    best = next((pair for pair in compared if pair[1].label == "better"), None)
    first = f" The best: {best[0].where}, {best[0].name}: {best[1].text}." if best else ""
    return f"{plural(len(compared), 'comparison')} with {control_name(groups)}: {counts}.{first}"


def _finding(group: Group, groups: Sequence[Group], metric: str) -> Finding:
    data = f" ({group.data_details})" if group.data_details else ""
    where = f"{group.dataset}{data}, {group.model}"
    mine = group.metric(metric)
    control = control_of(group, groups)
    if control is None:
        alone = f"{_brief(mine)} in {metric_label(metric)} ({_seeds(mine)})"
        missing = "" if group.declared.control else why_no_control(group, groups)
        return Finding(where, group.name, alone, remarks=missing)
    theirs = control.group.metric(metric)
    values = (
        f"{_brief(mine)} against {control.group.name} {_brief(theirs)} "
        f"in {metric_label(metric)} ({_seeds(mine, theirs)})"
    )
    strongest = strongest_control_of(group, groups)
    remarks = _remarks(group, control)
    if strongest is not None and strongest.group is not control.group:
        remarks.append(_against_strongest(group, strongest, metric))
    caution = f"not the {swapped_name([group])} alone: {control.words}" if control.differs else ""
    claimed = _claim(group, control.group, metric)
    return Finding(where, group.name, values, claimed, caution, "; ".join(remarks))


def _brief(found: Spread) -> str:
    return mean_and_error(found, BRIEF)


def _claim(group: Group, control: Group, metric: str) -> Claim:
    found = compare(group, control, metric)
    return claim(found, metric, control.name, control.metric(metric).mean)


def _remarks(group: Group, control: Control) -> list[str]:
    ratios = [
        f"{ratio:.1f}x the {noun}"
        for ratio, noun in (
            (_ratio(group, control.group, "seconds_per_epoch"), "time per epoch"),
            (_ratio(group, control.group, "n_parameters"), "parameters"),
        )
        if ratio is not None
    ]
    texts = [", ".join(ratios)] if ratios else []
    if group.devices != control.group.devices:
        texts.append(f"on different devices: {group.devices} against {control.group.devices}")
    ours, theirs = _code(group), _code(control.group)
    if ours != theirs:
        texts.append(f"at other commits: {' and '.join(ours)} against {' and '.join(theirs)}")
    return [*texts, f"against {control.choice}"] if control.choice else texts


def _against_strongest(group: Group, strongest: Control, metric: str) -> str:
    rival = strongest.group
    among = f" {strongest.choice}" if strongest.choice else ""
    found = _claim(group, rival, metric)
    return (
        f"against the {rival.transform}{among} with the lowest validation error, "
        f"{rival.name} {_brief(rival.metric(metric))}: {found.text} ({found.reason})"
    )


def _code(group: Group) -> list[str]:
    return sorted({commit(run.git_commit) for run in group.runs})


def _seeds(*spreads: Spread) -> str:
    counts = list(dict.fromkeys(spread.n + spread.n_not_finite for spread in spreads))
    if counts == [0]:
        return "not measured"
    if counts == [1]:
        return "one seed: no spread"
    return f"mean ± standard error over {' against '.join(map(str, counts))} seeds"


def _ratio(group: Group, control: Group, cost: str) -> float | None:
    mine, theirs = group.cost(cost), control.cost(cost)
    return mine / theirs if mine is not None and theirs else None
