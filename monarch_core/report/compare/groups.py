"""Groups of runs that differ in their seed alone, and what sets one group apart from another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import PurePath

from monarch_core.report.compare.oddities import oddities, one_per_seed
from monarch_core.report.compare.settings import differing_keys, in_words, number_or_text
from monarch_core.report.read.collect import Run
from monarch_core.report.read.identity import DATASET, EVALUATION, PLACES, RECIPE, is_measured
from monarch_core.report.statistics import Spread, spread
from monarch_core.runs.declared import Declared

OWN = "own"  # what data of no named problem are called
PATH = "dataset.path"
# What metrics are compared on: task, dataset, settings of data and measurement.
Data = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Group:
    """Finished runs whose identity is equal but for the seed.

    Attributes:
        task: name of the task.
        dataset: name of the dataset, of data of no named problem with that of their file.
        model: name of the model.
        transform: name of the transform.
        declared: what the transform says of itself.
        settings: what the runs are, as in `Identity`, without the transform.
        transform_settings: the part of it below `transform`, likewise.
        runs: one run per seed, in the order of the seeds.
        data_details: what sets its data and their measurement apart from others of the same name,
            in words.
        details: what sets it apart from the groups of the same data and model, in words; empty if
            nothing does.
        short_details: what sets it apart from those of them that have the same transform as well.
        notes: what was odd about the runs.
    """

    task: str
    dataset: str
    model: str
    transform: str
    declared: Declared
    settings: Mapping[str, str]
    transform_settings: Mapping[str, str]
    runs: tuple[Run, ...]
    data_details: str = ""
    details: str = ""
    short_details: str = ""
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Transform and short details, such as `monarch (heads 4)`."""
        return f"{self.transform} ({self.short_details})" if self.short_details else self.transform

    @property
    def evaluation(self) -> str:
        """How the metrics were measured: the part `evaluation` of the config, in words."""
        measured = [
            key
            for key, value in self.settings.items()
            if key.startswith(EVALUATION) and value != "[]"
        ]
        return in_words(self.settings, measured)

    @property
    def seeds(self) -> list[int | None]:
        """Seeds of the runs, in order."""
        return [run.seed for run in self.runs]

    @property
    def devices(self) -> str:
        """The devices of the runs, each once."""
        return ", ".join(sorted({run.device or "unknown" for run in self.runs}))

    @cached_property
    def data(self) -> Data:
        """What the group was tested on and how: task, dataset, settings of data and measurement."""
        items = (item for item in self.settings.items() if is_measured(item[0]))
        return self.task, self.dataset, tuple(sorted(items))

    @property
    def places(self) -> dict[str, str]:
        """Where the data lay, as far as all runs agree."""
        shared = set.intersection(*(set(run.places.items()) for run in self.runs))
        return dict(sorted(shared))

    def metric(self, name: str) -> Spread:
        """Return a metric over the seeds."""
        return spread(self.values(name))

    def values(self, name: str) -> list[float | None]:
        """Return a metric of each run, in the order of the seeds; None where it has none."""
        return [run.metrics.get(name) for run in self.runs]

    def cost(self, name: str) -> float | None:
        """Return the mean of `n_parameters`, `seconds_per_epoch`, ... over the runs."""
        return spread([run.costs.get(name) for run in self.runs]).mean


@dataclass(frozen=True)
class Block:
    """Groups tested on the same data in the same way.

    Attributes:
        task: name of the task.
        dataset: name of the dataset.
        details: what sets this data apart from other data of the same name, in words.
        groups: the groups, in the order of the tables.
    """

    task: str
    dataset: str
    details: str
    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        """Dataset and details, such as `navier_stokes (viscosity 0.001)`."""
        return f"{self.dataset} ({self.details})" if self.details else self.dataset


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """Group finished runs by everything but the seed, in the order of the tables.

    A seed that occurs twice in a group counts once, and the notes of the group say so.
    """
    members: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        if run.status == "finished":
            members.setdefault(run.identity, []).append(run)
    groups = _named([_group(same) for same in members.values()])
    ranks = transform_ranks(groups)
    return describe(sorted(groups, key=lambda group: _order(group, ranks)))


def transform_ranks(groups: Iterable[Group]) -> dict[str, tuple[int, float]]:
    """Return where each transform stands: (0 to 3, parameters of the smallest model with it).

    The control comes first (0), then what does not learn (1), then what learns (2), from few
    parameters to many; then (3) transforms of former runs that declare nothing.
    """
    ranks: dict[str, tuple[int, float]] = {}
    for group in groups:
        told = group.declared
        stage = 0 if told.control else {"": 3, "none": 1}.get(told.learns, 2)
        size = (group.cost("n_parameters") or 0.0) if stage == 2 else 0.0
        ranks[group.transform] = min(ranks.get(group.transform, (stage, size)), (stage, size))
    return ranks


def control_name(groups: Iterable[Group]) -> str:
    """Return the word for the control: the name of its transform, "control" where there is none."""
    names = sorted({group.transform for group in groups if group.declared.control})
    return " or ".join(names) or "control"


def swapped_name(groups: Iterable[Group]) -> str:
    """Return the word for what compared runs differ in: transform, or weight where all have one."""
    parts = {key.partition(".")[0] for group in groups for key in group.transform_settings}
    return parts.pop() if len(parts) == 1 else "transform"


def beside_the_table(runs: Sequence[Run]) -> list[str]:
    """Return what a reader of a table has to know and it does not show: what is left out or odd."""
    notes = [
        f"{run.name} is {run.status}: {run.reason}" for run in runs if run.status != "finished"
    ]
    for group in group_runs(runs):
        where = ", ".join(filter(None, (group.dataset, group.data_details, group.model)))
        notes += [f"{where}, {group.name}: {note}" for note in group.notes]
    return notes


def describe(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with words for what sets each apart from the others."""
    places: dict[Data, set[tuple[str, str]]] = {}
    for group in groups:
        own = set(group.places.items())
        places[group.data] = places.get(group.data, own) & own
    labels = {data: {**dict(data[2]), **dict(sorted(where))} for data, where in places.items()}
    return [_with_details(group, groups, labels) for group in groups]


def blocks_of(groups: Sequence[Group]) -> list[Block]:
    """Split groups by the data they were tested on, keeping their order."""
    blocks = []
    for _, members in groupby(groups, key=lambda group: group.data):
        same = tuple(members)
        blocks.append(Block(same[0].task, same[0].dataset, same[0].data_details, same))
    return blocks


def metric_names(groups: Iterable[Group]) -> list[str]:
    """Return every metric of the groups, in the order in which the runs list them."""
    return list(dict.fromkeys(name for g in groups for run in g.runs for name in run.metrics))


def _group(same: Sequence[Run]) -> Group:
    runs, doubled = one_per_seed(same)
    first = runs[0]
    return Group(
        task=first.task,
        dataset=first.dataset,
        model=first.model,
        transform=first.transform,
        declared=first.declared,
        settings=first.settings,
        transform_settings=first.transform_settings,
        runs=tuple(runs),
        notes=(*doubled, *oddities(runs)),
    )


def _named(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with the name of its file for data of no named problem.

    The name is one for all groups of the same data, whatever copy of the file they were trained on.
    """
    stems: dict[Data, set[str]] = {}
    for group in groups:
        paths = (run.places.get(PATH) or run.settings.get(PATH) for run in group.runs)
        found = {PurePath(path).stem for path in paths if path and path != "null"}
        stems.setdefault(group.data, set()).update(found)
    return [
        replace(group, dataset=f"{OWN}: {' or '.join(sorted(stems[group.data]))}")
        if group.dataset == OWN and stems[group.data]
        else group
        for group in groups
    ]


def _order(group: Group, ranks: Mapping[str, tuple[int, float]]) -> tuple[object, ...]:
    task, dataset, data = group.data
    return (
        task,
        dataset,
        [(key, number_or_text(value)) for key, value in data],
        group.model,
        ranks[group.transform],
        group.transform,
        [(k, number_or_text(v)) for k, v in sorted(group.settings.items())],
        [(k, number_or_text(v)) for k, v in sorted(group.transform_settings.items())],
    )


def _with_details(
    group: Group, groups: Sequence[Group], labels: Mapping[Data, Mapping[str, str]]
) -> Group:
    namesakes = [label for data, label in labels.items() if data[:2] == group.data[:2]]
    peers = [g for g in groups if (g.data, g.model) == (group.data, group.model)]
    twins = [g for g in peers if g.transform == group.transform]
    among_peers = differing_keys([peer.settings for peer in peers])
    among_twins = differing_keys([twin.settings for twin in twins])
    own = differing_keys([twin.transform_settings for twin in twins])
    values = {**group.settings, **group.transform_settings}
    return replace(
        group,
        data_details=in_words(labels[group.data], _telling_keys(namesakes)),
        details=in_words(values, among_peers + own),
        short_details=in_words(values, among_twins + own),
    )


def _telling_keys(data: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys that tell data apart: those of the dataset's own config if they suffice.

    A path says where data lie, not what they are, so it is named where nothing else tells, and all
    of them have one; a recipe, too, where all have one.
    """
    keys = differing_keys(data)
    known = [
        key
        for key in keys
        if not (key in PLACES or key.startswith(RECIPE)) or all(key in one for one in data)
    ]
    own = [key for key in known if key.startswith(DATASET)]
    for named in ([key for key in own if key not in PLACES], own, known):
        if len({tuple(one.get(key) for key in named) for one in data}) == len(data):
            return named
    return keys
