"""The tables of the report: what stands in their rows and columns."""

from collections.abc import Callable, Sequence

from monarch_core.report.compare.control import compare, control_of
from monarch_core.report.compare.groups import Group, control_name, swapped_name
from monarch_core.report.read.collect import COSTS, Run
from monarch_core.report.read.identity import SWAPPED
from monarch_core.report.render.text_table import Cell, TextTable, write_csv
from monarch_core.report.statistics import spread
from monarch_core.report.wording import (
    BRIEF,
    count,
    difference,
    mean_and_error,
    metric_heading,
    metric_label,
    seconds,
    size,
)
from monarch_core.runs.artifacts import Table

_COSTS: dict[str, tuple[Callable[[float | None], str], str]] = {
    "parameters": (count, "n_parameters"),
    "time per epoch": (seconds, "seconds_per_epoch"),
    "training time": (seconds, "train_seconds"),
    "peak memory": (size, "peak_memory_bytes"),
}
COST_COLUMNS = (*_COSTS, "device")
# Headings that are no metrics.
_COLUMNS = ("task", "dataset", "model", *SWAPPED, "settings", "seeds", *COST_COLUMNS)


def main_table(
    groups: Sequence[Group],
    metrics: Sequence[str],
    *,
    costs: Sequence[str] = COST_COLUMNS,
    brief: bool = False,
) -> TextTable:
    """Return one row per group: metrics over seeds, change against the control, and costs.

    Columns that hold the same in every row move to the caption.

    Args:
        groups: in the order of the rows.
        metrics: in the order of the columns.
        costs: some of `COST_COLUMNS`; with the last of them also what sets a group apart from its
            control.
        brief: three digits, and units in the headings.
    """
    swapped = swapped_name(groups)
    facts: dict[str, list[str]] = {
        "task": [group.task for group in groups],
        "dataset": [_dataset(group) for group in groups],
        "model": [group.model for group in groups],
        swapped: [group.transform for group in groups],
        "settings": [group.details for group in groups],
    }
    constant = {
        name: values[0]
        for name, values in facts.items()
        if name != swapped and len(set(values)) == 1
    }
    columns = {n: [Cell(v) for v in values] for n, values in facts.items() if n not in constant}
    controls = [control_of(group, groups) for group in groups]
    apart = f"differs from {control_name(groups)} in"
    labels = _labels(metrics, (*_COLUMNS, apart), metric_heading if brief else metric_label)
    for metric, label in labels.items():
        columns[label] = [
            metric_cell(group, control.group if control else None, metric, brief=brief)
            for group, control in zip(groups, controls, strict=True)
        ]
    numeric = {*labels.values(), "seeds"}
    columns["seeds"] = [Cell(str(len(group.runs))) for group in groups]
    for name, (write, key) in _COSTS.items():
        if name in costs:
            columns[name] = [Cell(write(group.cost(key))) for group in groups]
            numeric.add(name)
    if "device" in costs:
        devices = [group.devices for group in groups]
        if len(set(devices)) == 1:
            constant["device"] = devices[0]
        else:
            columns["device"] = [Cell(device) for device in devices]
        differing = [control.words if control else "" for control in controls]
        if any(differing):
            columns[apart] = [Cell(text) for text in differing]
    return TextTable(
        key="main",
        title="Results",
        columns=list(columns),
        rows=[list(row) for row in zip(*columns.values(), strict=True)],
        caption=_caption(groups, constant, any(controls) and bool(metrics)),
        numeric=frozenset(numeric),
    )


def metric_cell(group: Group, control: Group | None, metric: str, *, brief: bool = False) -> Cell:
    """Return a metric of a group over its seeds with its change against another group."""
    found = None if control is group else compare(group, control, metric)
    text = mean_and_error(group.metric(metric), BRIEF if brief else None)
    is_sure = found is not None and found.half_width is not None
    return Cell(
        text, difference(found, metric, brief=brief), found.verdict if found and is_sure else ""
    )


def groups_csv(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """Return the main table in full precision: one row per group and metric."""
    header = ["task", "dataset", "data_settings", "model", "transform", "settings", "metric"]
    header += ["mean", "standard_error", "n_seeds", "n_missing", "n_not_finite"]
    header += ["change", "change_kind", "change_standard_error", "verdict", "control", "differs"]
    header += [*COSTS, "device"]
    rows = []
    for group in groups:
        control = control_of(group, groups)
        about: list[object] = [group.task, group.dataset, group.data_details, group.model]
        about += [group.transform, group.details]
        costs = [group.cost(cost) for cost in COSTS]
        for metric in metrics:
            over = group.metric(metric)
            found = compare(group, control.group, metric) if control else None
            row = [*about, metric, over.mean, over.standard_error, over.n, over.n_missing]
            row.append(over.n_not_finite)
            row += (
                [found.value, found.kind, found.standard_error, found.verdict]
                if found
                else [None] * 4
            )
            row += [control.group.name, control.words] if control else [None] * 2
            rows.append([*row, *costs, group.devices])
    return write_csv(header, rows)


def runs_csv(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """Return every run that counts in full precision: one row per run; nan is not finite."""
    header = ["folder", "task", "dataset", "data_settings", "model", "transform", "settings"]
    header += ["seed", *metrics, *COSTS, "device", "git_commit"]
    rows = [
        [
            *(run.name, run.task, group.dataset, group.data_details, run.model, run.transform),
            *(group.details, run.seed),
            *(run.metrics.get(metric) for metric in metrics),
            *(run.costs.get(cost) for cost in COSTS),
            *(run.device, run.git_commit),
        ]
        for group in groups
        for run in group.runs
    ]
    return write_csv(header, rows)


def other_runs_table(runs: Sequence[Run], status: str, title: str) -> TextTable | None:
    """Return the runs of one status with what is known about them, None if there are none."""
    rows = [[Cell(run.name), Cell(run.reason)] for run in runs if run.status == status]
    return TextTable(status, title, ["run", "reason"], rows) if rows else None


def joined_table(
    key: str, tables: Sequence[tuple[str, Sequence[Table]]]
) -> tuple[TextTable, list[str]]:
    """Put the same table of several groups under each other, with means over seeds.

    Rows of the seeds of one group belong together when they are as many and their words agree;
    their numbers become mean ± standard error.

    Args:
        key: name of the files.
        tables: (label of the group, the table of each of its seeds).

    Returns:
        the joined table, and notes on groups whose seeds could not be averaged.
    """
    first = tables[0][1][0]
    notes: list[str] = []
    columns = ["run", *first.columns]
    rows: list[list[Cell]] = []
    for label, seeds in tables:
        alike = [table for table in seeds if _words(table) == _words(seeds[0])]
        if len(alike) < len(seeds):
            notes.append(
                f"{first.title}: the rows of {label} differ between seeds; the first is shown"
            )
            alike = alike[:1]
        if list(alike[0].columns) != list(first.columns):
            notes.append(f"{first.title}: {label} has other columns and is left out")
            continue
        for same in zip(*(table.rows for table in alike), strict=True):
            cells = [_average(cells) for cells in zip(*same, strict=True)]
            rows.append([Cell(label), *map(Cell, cells)])
    numeric = frozenset(
        name
        for i, name in enumerate(first.columns)
        if first.rows and not isinstance(first.rows[0][i], str)
    )
    n_seeds = max(len(seeds) for _, seeds in tables)
    caption = "Mean ± standard error over seeds." if n_seeds > 1 else ""
    return TextTable(key, first.title, columns, rows, caption, numeric), notes


def _labels(
    metrics: Sequence[str], columns: Sequence[str], write: Callable[[str], str]
) -> dict[str, str]:
    """Return the heading of each metric: its name in words, bare where another column has them."""
    words = [write(metric) for metric in metrics]
    taken = {*words, *columns}
    return {
        metric: label if words.count(label) == 1 and label not in columns else _free(metric, taken)
        for metric, label in zip(metrics, words, strict=True)
    }


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def _dataset(group: Group) -> str:
    return f"{group.dataset}, {group.data_details}" if group.data_details else group.dataset


def _caption(groups: Sequence[Group], constant: dict[str, str], compared: bool) -> str:
    same = ", ".join(f"{name} {value}" for name, value in constant.items() if value)
    parts = [f"The same in all rows: {same}."] if same else []
    prefix = "" if "task" in constant else "{task}: "
    measured = {
        prefix.replace("{task}", group.task) + group.evaluation
        for group in groups
        if group.evaluation
    }
    if measured:
        parts.append(f"Measured with {'; '.join(sorted(measured))}.")
    if any(len(group.runs) > 1 for group in groups):
        parts.append("Values are mean ± standard error over seeds.")
    if any(len(group.runs) == 1 for group in groups):
        parts.append("A single seed has no spread.")
    if compared:
        parts.append(f"Changes are against {control_name(groups)}, with their standard error.")
    return " ".join(parts)


def _words(table: Table) -> list[list[str | None]]:
    return [[cell if isinstance(cell, str) else None for cell in row] for row in table.rows]


def _average(cells: Sequence[str | float]) -> str:
    numbers = [cell for cell in cells if not isinstance(cell, str)]
    if len(numbers) < len(cells):
        return str(cells[0])
    if all(isinstance(cell, int) for cell in cells) and len(set(cells)) == 1:
        return str(cells[0])
    return mean_and_error(spread(numbers), BRIEF)
