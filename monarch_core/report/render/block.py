"""Everything the report shows about groups that were tested on the same data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from monarch_core.report.compare.groups import Block, Group
from monarch_core.report.render.basis import basis_figure
from monarch_core.report.render.fields import comparison_figure, picture_figure
from monarch_core.report.render.left import Kind, Left, figure_keys, read_left
from monarch_core.report.render.lines import (
    cost_figure,
    curve_figure,
    learning_curves,
    metric_figure,
)
from monarch_core.report.render.names import Names, slug
from monarch_core.report.render.ranking import ranked
from monarch_core.report.render.style import Drawing, looks
from monarch_core.report.render.tables import joined_table
from monarch_core.report.render.text_table import TextTable
from monarch_core.report.wording import metric_label
from monarch_core.runs.artifacts import Basis, Comparison, Curve, Picture, Table
from monarch_core.runs.printable import printable

_MOST_LINES = 8  # groups on one pair of axes, before there is one figure per model
_MOST_FIELDS = 12

# What numbers that are sound one by one can still do to a figure; defects of ours pass through.
_UNDRAWABLE = (ValueError, ArithmeticError, RuntimeError, MemoryError)

Drawn = tuple[list[Drawing], list[str]]
Draw = Callable[[Sequence[Left]], Drawn]


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


def block_view(
    block: Block, metric: str, colours: Mapping[str, str], names: Names | None = None
) -> BlockView:
    """Draw the figures and join the tables of one block.

    Args:
        block: groups that were tested on the same data.
        metric: the main metric of the task.
        colours: colour of every transform.
        names: the names of files that are taken, by other blocks of the page.
    """
    names = names or Names()
    notes = [f"{group.name}: {note}" for group in block.groups for note in group.notes]
    left = []
    for group in block.groups:
        found, missing = read_left(group)
        left.append(found)
        notes.extend(missing)

    def metrics(items: Sequence[Left]) -> Drawn:
        best_first = ranked([item.group for item in items], metric)
        return [metric_figure(best_first, metric, colours)], []

    def costs(items: Sequence[Left]) -> Drawn:
        cost = cost_figure([item.group for item in items], metric, colours)
        return [cost] if cost else [], []

    def learning(items: Sequence[Left]) -> Drawn:
        return learning_curves([item.group for item in items], colours)

    parts = _overlays(left)
    wanted: list[tuple[str, Draw, Sequence[Left]]] = []
    if len(left) > 1:
        wanted.append((metric_label(metric), metrics, left))
    wanted.append(("the cost", costs, left))
    wanted += [("the learning curves", learning, part) for part in parts]
    for figure in figure_keys(left, Curve):
        wanted += [(figure, _curves(figure, colours), part) for part in parts]
    for figure in figure_keys(left, Basis):
        wanted.append(("the learned basis", _basis(figure, colours), left))
    for figure in figure_keys(left, Comparison):
        wanted.append((figure, _comparison(figure, colours), left))
    for figure in figure_keys(left, Picture):
        wanted.append((figure, _picture(figure, colours), left))
    drawings: list[Drawing] = []
    for what, draw, items in wanted:
        drawn, odd = _each_sound(what, draw, items)
        drawings.extend(drawn)
        notes.extend(odd)
    if not any(run.log for group in block.groups for run in group.runs):
        notes.append("no run has a readable log.jsonl: no learning curves")
    key = names.free(slug(block.task, block.name))
    tables, odd = _tables(left, key, colours, names)
    named = [replace(d, key=names.free(slug(key, d.key))) for d in drawings]
    return BlockView(block.name, key, named, tables, [*notes, *odd])


def _each_sound(what: str, draw: Draw, items: Sequence[Left]) -> Drawn:
    """Draw a figure of all groups, or of those that can be drawn, and name the others."""
    try:
        return draw(items)
    except _UNDRAWABLE as error:
        if len(items) == 1:
            return [], [f"{what} of {_folders(items)} cannot be drawn: {printable(str(error))}"]
    sound, notes = [], []
    for item in items:
        found, odd = _each_sound(what, draw, [item])
        if found or not odd:
            sound.append(item)
        else:
            notes += odd
    if len(sound) == len(items):
        return [], [f"{what} of {_folders(items)} cannot be drawn together"]
    drawn, odd = _each_sound(what, draw, sound) if sound else ([], [])
    return drawn, [*notes, *odd]


def _folders(items: Sequence[Left]) -> str:
    return ", ".join(run.name for item in items for run in item.group.runs)


def _overlays(left: Sequence[Left]) -> list[list[Left]]:
    models = list(dict.fromkeys(item.group.model for item in left))
    if len(left) <= _MOST_LINES or len(models) == 1:
        return [list(left)]
    return [[item for item in left if item.group.model == model] for model in models]


def _curves(figure: str, colours: Mapping[str, str]) -> Draw:
    def draw(items: Sequence[Left]) -> Drawn:
        shown = [item for item in items if item.of(Curve, figure)]
        if not shown:
            return [], []
        curves = [item.of(Curve, figure) for item in shown]
        drawing, notes = curve_figure([item.group for item in shown], curves, colours)
        return [drawing], notes

    return draw


def _basis(figure: str, colours: Mapping[str, str]) -> Draw:
    def draw(items: Sequence[Left]) -> Drawn:
        shown, bases = _first_seeds(items, Basis, figure)
        return basis_figure(shown, bases, colours) if shown else ([], [])

    return draw


def _picture(figure: str, colours: Mapping[str, str]) -> Draw:
    def draw(items: Sequence[Left]) -> Drawn:
        shown, pictures = _first_seeds(items, Picture, figure)
        return [picture_figure(shown, pictures, colours)] if shown else [], []

    return draw


def _comparison(figure: str, colours: Mapping[str, str]) -> Draw:
    def draw(items: Sequence[Left]) -> Drawn:
        shown, images = _first_seeds(items, Comparison, figure)
        if not shown:
            return [], []
        notes = []
        if len(shown) > _MOST_FIELDS:
            first = {(g.model, g.transform): i for i, g in reversed(list(enumerate(shown)))}
            kept = sorted(first.values())[:_MOST_FIELDS]
            notes.append(f"{images[0].title}: {len(kept)} of {len(shown)} groups are drawn")
            shown, images = [shown[i] for i in kept], [images[i] for i in kept]
        drawing, odd = comparison_figure(shown, images, colours)
        return [drawing], [*notes, *odd]

    return draw


def _first_seeds(
    left: Sequence[Left], kind: type[Kind], figure: str
) -> tuple[list[Group], list[Kind]]:
    found = [
        (item.group, seeds[0][0]) for item in left for seeds in [item.of(kind, figure)] if seeds
    ]
    return [group for group, _ in found], [artifact for _, artifact in found]


def _tables(
    left: Sequence[Left], key: str, colours: Mapping[str, str], names: Names
) -> tuple[list[TextTable], list[str]]:
    tables, notes = [], []
    labels = [look.label for look in looks([item.group for item in left], colours)]
    for figure in figure_keys(left, Table):
        found = [
            (label, [seed[0] for seed in item.of(Table, figure)])
            for label, item in zip(labels, left, strict=True)
        ]
        joined, odd = joined_table(
            names.free(slug(key, figure)), [pair for pair in found if pair[1]]
        )
        tables.append(joined)
        notes.extend(odd)
    return tables, notes
