"""Everything the report shows about groups that were tested on the same data."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from monarch_core.experiment.artifacts import (
    Artifact,
    Comparison,
    Curve,
    Picture,
    Table,
    load_artifacts,
)
from monarch_core.experiment.report.aggregate import Block, Group
from monarch_core.experiment.report.fields import comparison_figure, picture_figure
from monarch_core.experiment.report.lines import (
    cost_figure,
    curve_figure,
    learning_curves,
    metric_figure,
)
from monarch_core.experiment.report.style import Drawing, looks
from monarch_core.experiment.report.tables import TextTable, joined_table
from monarch_core.experiment.report.wording import plural

_MOST_LINES = 8  # groups on one pair of axes, before there is one figure per model
_MOST_FIELDS = 12

Kind = TypeVar("Kind", Curve, Comparison, Picture, Table)


@dataclass(frozen=True)
class BlockView:
    """What the page shows of one block.

    Attributes:
        name: heading.
        key: start of the names of its files.
        drawings: figures in the order of the page.
        tables: tables that the runs left behind.
        notes: what is missing or odd.
    """

    name: str
    key: str
    drawings: list[Drawing]
    tables: list[TextTable]
    notes: list[str]


@dataclass(frozen=True)
class _Left:
    """A group with the artifacts of each of its seeds."""

    group: Group
    artifacts: list[list[Artifact]]

    def of(self, kind: type[Kind], figure: str) -> list[list[Kind]]:
        """Return the artifacts of one kind and key, per seed that has any."""
        found = [
            [a for a in seed if isinstance(a, kind) and a.figure == figure]
            for seed in self.artifacts
        ]
        return [seed for seed in found if seed]


def block_view(block: Block, metric: str, colours: Mapping[str, str]) -> BlockView:
    """Draw the figures and join the tables of one block.

    Args:
        block: groups that were tested on the same data.
        metric: the main metric of the task.
        colours: colour of every transform.
    """
    notes = [f"{group.name}: {note}" for group in block.groups for note in group.notes]
    left = []
    for group in block.groups:
        found, missing = _load(group)
        left.append(_Left(group, found))
        notes.extend(missing)
    drawings = []
    if len(block.groups) > 1:
        drawings.append(metric_figure(block.groups, metric, colours))
    cost = cost_figure(block.groups, metric, colours)
    drawings.extend([cost] if cost else [])
    for part in _overlays(left):
        drawings.extend(learning_curves([item.group for item in part], colours))
    if not any(run.log for group in block.groups for run in group.runs):
        notes.append("no run has a readable log.jsonl: no learning curves")
    for draw in (_curves, _comparisons, _pictures):
        drawn, odd = draw(left, colours)
        drawings.extend(drawn)
        notes.extend(odd)
    key = slug(block.task, block.name)
    tables, odd = _tables(left, key, colours)
    named = _unique([replace(d, key=slug(key, d.key)) for d in drawings])
    return BlockView(block.name, key, named, tables, [*notes, *odd])


def slug(*parts: str) -> str:
    """Return a file name made of the words of the parts."""
    words = re.findall(r"[a-z0-9.+]+", " ".join(parts).lower())
    return "-".join(word.strip(".") for word in words if word.strip(".")) or "figure"


def _load(group: Group) -> tuple[list[list[Artifact]], list[str]]:
    found, notes, absent = [], [], 0
    for run in group.runs:
        try:
            found.append(load_artifacts(run.folder))
        except FileNotFoundError:
            absent += 1
        except ValueError as error:
            notes.append(str(error))
    if absent:
        notes.append(
            f"{group.model}, {group.name}: {plural(absent, 'run')} without artifacts.npz, so no "
            "fields or curves of it"
        )
    return found, notes


def _overlays(left: Sequence[_Left]) -> list[list[_Left]]:
    models = list(dict.fromkeys(item.group.model for item in left))
    if len(left) <= _MOST_LINES or len(models) == 1:
        return [list(left)]
    return [[item for item in left if item.group.model == model] for model in models]


def _figures(left: Sequence[_Left], kind: type[Kind]) -> list[str]:
    everything = (a for item in left for seed in item.artifacts for a in seed)
    return list(dict.fromkeys(a.figure for a in everything if isinstance(a, kind)))


def _curves(left: Sequence[_Left], colours: Mapping[str, str]) -> tuple[list[Drawing], list[str]]:
    drawings, notes = [], []
    for figure in _figures(left, Curve):
        for part in _overlays(left):
            shown = [item for item in part if item.of(Curve, figure)]
            if shown:
                curves = [item.of(Curve, figure) for item in shown]
                drawing, odd = curve_figure([item.group for item in shown], curves, colours)
                drawings.append(drawing)
                notes.extend(odd)
    return drawings, notes


def _pictures(left: Sequence[_Left], colours: Mapping[str, str]) -> tuple[list[Drawing], list[str]]:
    drawings = []
    for figure in _figures(left, Picture):
        shown, pictures = _first_seeds(left, Picture, figure)
        drawings.append(picture_figure(shown, pictures, colours))
    return drawings, []


def _comparisons(
    left: Sequence[_Left], colours: Mapping[str, str]
) -> tuple[list[Drawing], list[str]]:
    drawings, notes = [], []
    for figure in _figures(left, Comparison):
        shown, fields = _first_seeds(left, Comparison, figure)
        if len(shown) > _MOST_FIELDS:
            first = {(g.model, g.transform): i for i, g in reversed(list(enumerate(shown)))}
            kept = sorted(first.values())[:_MOST_FIELDS]
            notes.append(f"{fields[0].title}: {len(kept)} of {len(shown)} groups are drawn")
            shown, fields = [shown[i] for i in kept], [fields[i] for i in kept]
        drawing, odd = comparison_figure(shown, fields, colours)
        drawings.append(drawing)
        notes.extend(odd)
    return drawings, notes


def _first_seeds(
    left: Sequence[_Left], kind: type[Kind], figure: str
) -> tuple[list[Group], list[Kind]]:
    found = [
        (item.group, seeds[0][0]) for item in left for seeds in [item.of(kind, figure)] if seeds
    ]
    return [group for group, _ in found], [artifact for _, artifact in found]


def _tables(
    left: Sequence[_Left], key: str, colours: Mapping[str, str]
) -> tuple[list[TextTable], list[str]]:
    tables, notes = [], []
    labels = [look.label for look in looks([item.group for item in left], colours)]
    for figure in _figures(left, Table):
        found = [
            (label, [seed[0] for seed in item.of(Table, figure)])
            for label, item in zip(labels, left, strict=True)
        ]
        joined, odd = joined_table(slug(key, figure), [pair for pair in found if pair[1]])
        tables.append(joined)
        notes.extend(odd)
    return tables, notes


def _unique(drawings: Sequence[Drawing]) -> list[Drawing]:
    seen: dict[str, int] = {}
    result = []
    for drawing in drawings:
        seen[drawing.key] = seen.get(drawing.key, 0) + 1
        times = seen[drawing.key]
        result.append(replace(drawing, key=f"{drawing.key}-{times}") if times > 1 else drawing)
    return result
