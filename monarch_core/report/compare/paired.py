"""Methods compared item by item on the same items of a test set, such as its scans."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monarch_core.report.compare.groups import Group
from monarch_core.report.compare.settings import UNSET, as_pairs, differing_keys
from monarch_core.report.read.collect import Run
from monarch_core.report.read.identity import FINGERPRINT, PLACES, is_measured
from monarch_core.report.statistics import mean, means_within

Scores = Mapping[tuple[str, str], Mapping[str, float]]  # (item, part of it) -> metric -> value

_OF_METHODS = ("model.", "transform.", "weight.")  # settings that make one method another


@dataclass(frozen=True)
class Method:
    """One method on one kind of data.

    Attributes:
        data: name of the data.
        name: name of the method.
        group: its runs, one per seed.
        scores: of each of them.
    """

    data: str
    name: str
    group: Group
    scores: tuple[Scores, ...]

    def by_item(self, metric: str) -> list[float]:
        """Return a metric of each item, in the order of their names: mean over seeds, then parts.

        The mean of the parts comes second, so that each item counts once.
        """
        return means_within(
            (key[0], mean([scores[key][metric] for scores in self.scores]))
            for key in sorted(self.scores[0])
        )


def pairs(
    methods: Sequence[Method], control: str, only: str | None = None
) -> list[tuple[Method, Method]]:
    """Return every method but the control with the control on the same data.

    Args:
        methods: the methods, in the order of the pairs.
        control: name of the control.
        only: leave out all methods but this one.

    Raises:
        ValueError: there is nothing to compare, or no control on some data.
    """
    controls = _controls(methods, control)
    shown = [m for m in methods if m.name != control and only in (None, m.name)]
    if not shown:
        known = ", ".join(sorted({repr(method.name) for method in methods}))
        raise ValueError(
            f"there is no {only or 'other method'!r} to compare with {control!r}; the runs have "
            f"{known}"
        )
    for method in shown:
        if method.data not in controls:
            known = ", ".join(repr(m.name) for m in methods if m.data == method.data)
            raise ValueError(
                f"no run of {control!r} on {method.data!r} to compare with; it has {known}; add "
                "one, or choose another with --control"
            )
    return [(method, controls[method.data]) for method in shown]


def trained_apart(methods: Sequence[Method], control: str) -> list[str]:
    """Return how the training of each method differs from that of the control on the same data."""
    notes = {}
    controls = _controls(methods, control)
    for method in methods:
        rival = controls.get(method.data, method)
        ours, theirs = _training(method.group), _training(rival.group)
        keys = differing_keys([ours, theirs])
        if keys:
            said = f"{method.name} and {control} differ in {_told(ours, theirs, keys)}"
            notes[method.group.data, method.name] = f"{method.data}: {said}"
    return list(notes.values())


def check_items(runs: Sequence[Run], scores: Sequence[Scores], item: str) -> None:
    """Check that runs can be paired.

    Args:
        runs: the runs.
        scores: of each of them.
        item: what an item is called.

    Raises:
        ValueError: they were not tested on the same items and parts.
    """
    for run, own in zip(runs[1:], scores[1:], strict=True):
        for lacking, has, missing in (
            (run, runs[0], scores[0].keys() - own.keys()),
            (runs[0], run, own.keys() - scores[0].keys()),
        ):
            if missing:
                raise ValueError(
                    f"{lacking.name} has no score of {item} {', '.join(min(missing))}, which "
                    f"{has.name} has; evaluate both on the same {item}s"
                )


def refuse_doubles(runs: Iterable[Run]) -> None:
    """Refuse two finished runs of the same seed that differ in nothing.

    Raises:
        ValueError: naming both.
    """
    seen: dict[object, Run] = {}
    for run in runs:
        if run.status == "finished" and run.seed is not None:
            other = seen.setdefault((run.identity, run.seed), run)
            if other is not run:
                raise ValueError(
                    f"{other.name} and {run.name} are the same run twice; leave one out"
                )


def refuse_mixtures(named: Sequence[tuple[str, str, Group]]) -> None:
    """Refuse groups that would share a row, or be compared although their data are not the same.

    Args:
        named: (name of the data, name of the method, the group).

    Raises:
        ValueError: naming what differs in data and measurement, or else whatever differs.
    """
    rows: dict[tuple[str, str], Group] = {}
    of_data: dict[str, Group] = {}
    for data, name, group in named:
        other = of_data.setdefault(data, group)
        if other.data != group.data:
            raise ValueError(_mixture(other, group))
        other = rows.setdefault((data, name), group)
        if other is not group:
            raise ValueError(_mixture(other, group))


def _controls(methods: Iterable[Method], control: str) -> dict[str, Method]:
    return {method.data: method for method in methods if method.name == control}


def _mixture(*groups: Group) -> str:
    one, other = sorted(groups, key=lambda group: group.runs[0].name)
    here, there = ({**g.settings, **g.transform_settings} for g in (one, other))
    keys = differing_keys([here, there])
    keys = [key for key in keys if is_measured(key)] or keys
    remedy = "compare them apart"
    if any(key in PLACES or key.startswith(FINGERPRINT) for key in keys):
        remedy += ", or evaluate both again if the data are the same, which records what they hold"
    apart = _told(here, there, keys) or f"their dataset {one.dataset} / {other.dataset}"
    return f"{one.runs[0].name} and {other.runs[0].name} differ in {apart}; {remedy}"


def _training(group: Group) -> dict[str, str]:
    kept = {
        key: value
        for key, value in group.settings.items()
        if not is_measured(key) and not key.startswith(_OF_METHODS)
    }
    return kept | {"number of seeds": str(len(group.runs))}


def _told(here: Mapping[str, str], there: Mapping[str, str], keys: Sequence[str]) -> str:
    return as_pairs((key, here.get(key, UNSET), there.get(key, UNSET)) for key in keys)
