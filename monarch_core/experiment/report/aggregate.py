"""Groups of runs that differ in their seed alone, and what sets one group apart from another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from monarch_core.experiment.report.collect import Run
from monarch_core.experiment.report.spread import Spread, spread

CONTROL = "fft"
TRANSFORM_ORDER = (CONTROL, "monarch_frozen", "monarch", "dense")

# Config keys that decide which numbers a model is tested on: never compared across.
_DATASET = "dataset."
_SPLIT_SIZES = "split_sizes."
_EVALUATION = "evaluation."
UNSET = "unset"  # what a config says of a key that it does not have


@dataclass(frozen=True)
class Group:
    """Finished runs whose config is equal but for the seed.

    Attributes:
        task: name of the task.
        dataset: name of the dataset.
        model: name of the model.
        transform: name of the transform.
        settings: config as {dotted key: value}, without the transform.
        transform_settings: config below `transform`, likewise.
        runs: one run per seed, in the order of the seeds.
        data_details: what sets its data apart from other data of the same name, in words.
        details: what sets it apart from the groups of the same data and model, in words; empty if
            nothing does.
        short_details: what sets it apart from those of them that have the same transform as well.
        notes: what was odd about the runs.
    """

    task: str
    dataset: str
    model: str
    transform: str
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
            if key.startswith(_EVALUATION) and value != "[]"
        ]
        return _in_words(self.settings, measured)

    @property
    def seeds(self) -> list[int | None]:
        """Seeds of the runs, in order."""
        return [run.seed for run in self.runs]

    @property
    def devices(self) -> str:
        """The devices of the runs, each once."""
        return ", ".join(sorted({run.device or "unknown" for run in self.runs}))

    @property
    def data(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What the group was tested on: task, dataset and its settings."""
        kept = (_DATASET, _SPLIT_SIZES)
        items = (item for item in self.settings.items() if item[0].startswith(kept))
        return self.task, self.dataset, tuple(sorted(items))

    def metric(self, name: str) -> Spread:
        """Return a metric over the seeds."""
        return spread(self.values(name))

    def values(self, name: str) -> list[float | None]:
        """Return a metric of each run, in the order of the seeds."""
        return [run.metrics.get(name) for run in self.runs]

    def cost(self, name: str) -> float | None:
        """Return the mean of `n_parameters`, `seconds_per_epoch`, ... over the runs."""
        return spread([run.costs.get(name) for run in self.runs]).mean


@dataclass(frozen=True)
class Block:
    """Groups tested on the same data.

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

    A seed that occurs twice in a group counts once: the run whose path sorts last is kept.
    """
    members: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        if run.status == "finished":
            key = (run.task, run.dataset, run.model, run.transform)
            settings = (tuple(sorted(run.settings.items())),)
            transform = (tuple(sorted(run.transform_settings.items())),)
            members.setdefault(key + settings + transform, []).append(run)
    groups = sorted((_group(same) for same in members.values()), key=_order)
    return describe(groups)


def describe(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with words for what sets each apart from the others."""
    return [_with_details(group, groups) for group in groups]


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


def differing_keys(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys whose values are not the same in all configs; a missing key counts.

    Of keys that end alike and have the same values everywhere, as when one part of a config refers
    to another, only the first is returned.
    """
    found: dict[tuple[str, tuple[str | None, ...]], str] = {}
    for key in dict.fromkeys(key for config in configs for key in config):
        values = tuple(config.get(key) for config in configs)
        if len(set(values)) > 1:
            found.setdefault((_last(key), values), key)
    return list(found.values())


def same_choice(key: str, configs: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the keys that end as a key does and have its values in all configs, with the key."""
    values = [config.get(key) for config in configs]
    keys = {other for config in configs for other in config if _last(other) == _last(key)}
    return {other for other in keys if [config.get(other) for config in configs] == values}


def words(key: str, keys: Iterable[str]) -> str:
    """Return the end of a dotted key that tells it from the other keys, in words.

    `fit.learning_rate` is "learning rate", unless another key ends with `.learning_rate` as well.
    """
    parts = key.split(".")
    others = [other.split(".") for other in keys if other != key]
    length = 1
    while length < len(parts) and any(o[-length:] == parts[-length:] for o in others):
        length += 1
    return " ".join(parts[-length:]).replace("_", " ").strip()


def number_or_text(text: str) -> tuple[int, float, str]:
    """Return a sort key under which 2 comes before 10, and numbers before words."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _group(same: Sequence[Run]) -> Group:
    by_seed: dict[object, Run] = {}
    notes = []
    for run in sorted(same, key=lambda run: str(run.folder)):
        seed: object = run.folder if run.seed is None else run.seed
        if seed in by_seed:
            notes.append(
                f"seed {run.seed} occurs twice: {run.folder} is used, {by_seed[seed].folder} is not"
            )
        by_seed[seed] = run
    runs = sorted(by_seed.values(), key=lambda run: (run.seed is None, run.seed or 0))
    first = runs[0]
    commits = {run.git_commit for run in runs if run.git_commit}
    if len(commits) > 1:
        notes.append(f"the seeds ran at {len(commits)} different commits")
    notes.extend(f"{run.folder.name}: {note}" for run in runs for note in run.notes)
    return Group(
        task=first.task,
        dataset=first.dataset,
        model=first.model,
        transform=first.transform,
        settings=first.settings,
        transform_settings=first.transform_settings,
        runs=tuple(runs),
        notes=tuple(notes),
    )


def _order(group: Group) -> tuple[object, ...]:
    rank = {name: place for place, name in enumerate(TRANSFORM_ORDER)}
    task, dataset, data = group.data
    return (
        task,
        dataset,
        [(key, number_or_text(value)) for key, value in data],
        group.model,
        rank.get(group.transform, len(rank)),
        group.transform,
        [(k, number_or_text(v)) for k, v in sorted(group.settings.items())],
        [(k, number_or_text(v)) for k, v in sorted(group.transform_settings.items())],
    )


def _with_details(group: Group, groups: Sequence[Group]) -> Group:
    task, dataset, data = group.data
    namesakes = [dict(g.data[2]) for g in groups if (g.task, g.dataset) == (task, dataset)]
    keys = differing_keys(namesakes)
    named = [key for key in keys if key.startswith(_DATASET)]
    if len({tuple(s.get(k) for k in named) for s in namesakes}) == len(
        {tuple(sorted(s.items())) for s in namesakes}
    ):
        keys = named  # the sizes of the splits say nothing that the dataset's own keys do not
    peers = [g for g in groups if (g.data, g.model) == (group.data, group.model)]
    twins = [g for g in peers if g.transform == group.transform]
    among_peers = differing_keys([peer.settings for peer in peers])
    among_twins = differing_keys([twin.settings for twin in twins])
    own = differing_keys([twin.transform_settings for twin in twins])
    values = {**group.settings, **group.transform_settings}
    return replace(
        group,
        data_details=_in_words(dict(data), keys),
        details=_in_words(values, among_peers + own),
        short_details=_in_words(values, among_twins + own),
    )


def _in_words(values: Mapping[str, str], keys: Sequence[str]) -> str:
    return ", ".join(f"{words(key, keys)} {values.get(key, UNSET)}" for key in keys)


def _last(key: str) -> str:
    return key.rpartition(".")[2]
