"""The page: findings, tables and figures of all runs in one self-contained HTML file."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from monarch_core.report.compare.findings import Finding, findings, headline
from monarch_core.report.compare.groups import (
    Group,
    blocks_of,
    control_name,
    group_runs,
    metric_names,
)
from monarch_core.report.read.collect import Run
from monarch_core.report.render.block import BlockView, block_view
from monarch_core.report.render.forest import forest_figure
from monarch_core.report.render.lines import sweep_figures
from monarch_core.report.render.names import Names, slug
from monarch_core.report.render.ranking import page_tables, ranked
from monarch_core.report.render.style import Drawing, palette
from monarch_core.report.render.tables import (
    groups_csv,
    main_table,
    other_runs_table,
    runs_csv,
)
from monarch_core.report.render.text_table import TextTable
from monarch_core.report.wording import plural
from monarch_core.runs.files import write_bytes, write_text

_TEMPLATE = "page.html.jinja"
_GENERATOR = '<meta name="generator" content="monarch-report">'
_MANY = 10  # changes with a 95 % interval, of which one may be off zero by chance
_MOST_FINDINGS = 12  # of a task, that are shown at once
_OTHER_STATUS = {
    "running": "Runs that are not finished yet",
    "failed": "Runs that failed",
    "unfinished": "Runs that stopped",
    "unreadable": "Runs whose results cannot be read",
}


@dataclass(frozen=True)
class Section:
    """What the page shows of one task.

    Attributes:
        task: name of the task.
        key: anchor, and name of the files of its tables.
        headline: what came of the comparison, in a line.
        findings: how every group does against its control, best first.
        tables: the main table, in pieces that fit the page.
        full_table: the main table in one piece, for Markdown and CSV.
        changes: every change with its interval, where there are several.
        sweeps: the main metric against each number that was varied.
        blocks: one per data the groups were tested on.
    """

    task: str
    key: str
    headline: str
    findings: list[Finding]
    tables: list[TextTable]
    full_table: TextTable
    changes: Drawing | None
    sweeps: list[Drawing]
    blocks: list[BlockView]

    @property
    def caution(self) -> str:
        """A word of caution where so many intervals are shown that chance alone moves some."""
        n = sum(finding.claim is not None for finding in self.findings)
        if n < _MANY:
            return ""
        return (
            f"Of {n} changes that are none, about {max(1, round(0.05 * n))} would be off zero by "
            "chance: at 95 % that is one in twenty."
        )

    @property
    def drawings(self) -> list[Drawing]:
        """All figures, in the order of the page."""
        first = [self.changes] if self.changes else []
        return [*first, *self.sweeps, *(d for block in self.blocks for d in block.drawings)]


def write_report(runs: Sequence[Run], out: Path, *, metric: str | None = None) -> Path:
    """Write `index.html`, `figures/*.png` and `tables/*` and return the path of the page.

    An earlier report at the same place is replaced.

    Args:
        runs: all runs, whatever their status.
        out: folder of the report; it is made if it does not exist.
        metric: the main metric; by default the first one that the runs of a task list.

    Raises:
        ValueError: no run has the metric, `out` is a file, or the page in it is of something else.
        OSError: the disk is full or the folder cannot be written.
    """
    page = out / "index.html"
    is_again = page.exists()
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder for the report with --out")
    if is_again and not _is_ours(page):
        raise ValueError(
            f"{page} is no report, and would be written over; give another folder with --out, or "
            "move it away"
        )
    groups = group_runs(runs)
    colours = palette(groups)
    main = main_metrics(groups, metric)
    names = Names({"groups", "runs"})
    others = [
        replace(table, key=names.free(table.key))
        for status, title in _OTHER_STATUS.items()
        for table in [other_runs_table(runs, status, title)]
        if table is not None
    ]
    sections = [
        _section(task, [g for g in groups if g.task == task], main[task], colours, names)
        for task in dict.fromkeys(group.task for group in groups)
    ]
    figures = {f"{d.key}.png": d.png for section in sections for d in section.drawings}
    tables = _tables(groups, sections, others)
    html = _render(runs, groups, sections, others, colours)
    for folder in ("figures", "tables"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        write_text(out / "tables" / name, text)
    for name, content in figures.items():
        write_bytes(out / "figures" / name, content)
    write_text(page, html)
    if is_again:
        _clear(out, {*tables, *figures})
    return page


def main_metrics(groups: Sequence[Group], metric: str | None = None) -> dict[str, str]:
    """Return the main metric of every task: the one asked for, or the first one listed.

    Raises:
        ValueError: no run has the metric that is asked for.
    """
    names = metric_names(groups)
    if metric is not None and metric not in names:
        raise ValueError(f"no run has the metric {metric!r}; use one of {', '.join(names)}")
    main = {}
    for group in groups:
        own = metric_names([other for other in groups if other.task == group.task])
        main[group.task] = metric if metric in own else (own[0] if own else "")
    return main


def _section(
    task: str, groups: Sequence[Group], metric: str, colours: Mapping[str, str], names: Names
) -> Section:
    metrics = metric_names(groups)
    metrics = [metric, *(name for name in metrics if name != metric)] if metrics else []
    key = names.free(slug(task))
    found = findings(ranked(groups, metric), {task: metric})
    changes = forest_figure(ranked(groups, metric), metric, colours)
    sweeps = sweep_figures(groups, metric, colours)
    return Section(
        task=task,
        key=key,
        headline=headline(found, groups),
        findings=found,
        tables=page_tables(groups, metrics),
        full_table=replace(main_table(groups, metrics), key=key),
        changes=changes and replace(changes, key=names.free(slug(task, changes.key))),
        sweeps=[replace(d, key=names.free(slug(task, d.key))) for d in sweeps],
        blocks=[block_view(block, metric, colours, names) for block in blocks_of(groups)],
    )


def _render(
    runs: Sequence[Run],
    groups: Sequence[Group],
    sections: Sequence[Section],
    others: Sequence[TextTable],
    colours: Mapping[str, str],
) -> str:
    finished = [run for group in groups for run in group.runs]
    statuses = [run.status for run in runs]
    counts = [plural(statuses.count("finished"), "finished run")]
    counts += [f"{statuses.count(s)} {s}" for s in _OTHER_STATUS if s in statuses]
    return _template().render(
        control=control_name(groups),
        controls={group.transform for group in groups if group.declared.control},
        most_findings=_MOST_FINDINGS,
        incomplete=", ".join(counts[1:]),
        counts=", ".join(counts),
        sections=sections,
        others=others,
        colours=colours,
        versions=_versions(finished),
        commits=sorted({run.git_commit for run in finished if run.git_commit}),
        devices=sorted({run.device for run in finished if run.device}),
        commands=list(dict.fromkeys(run.command for run in finished if run.command)),
        data_uri=_data_uri,
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text)


def _data_uri(drawing: Drawing) -> str:
    return "data:image/png;base64," + base64.b64encode(drawing.png).decode()


def _versions(runs: Sequence[Run]) -> dict[str, str]:
    names = dict.fromkeys(name for run in runs for name in run.versions)
    return {
        name: " and ".join(sorted({run.versions[name] for run in runs if name in run.versions}))
        for name in names
    }


def _tables(
    groups: Sequence[Group], sections: Sequence[Section], others: Sequence[TextTable]
) -> dict[str, str]:
    """Return the content of every file below `tables`, by its name."""
    metrics = metric_names(groups)
    found = {"groups.csv": groups_csv(groups, metrics), "runs.csv": runs_csv(groups, metrics)}
    left = [table for section in sections for block in section.blocks for table in block.tables]
    for table in [*(section.full_table for section in sections), *left, *others]:
        found[f"{table.key}.md"] = table.markdown()
        found[f"{table.key}.csv"] = table.csv()
    return found


def _clear(out: Path, written: Collection[str]) -> None:
    """Remove the figures and tables of an earlier report that are not among what was written."""
    for pattern in ("figures/*.png", "tables/*.csv", "tables/*.md"):
        for old in out.glob(pattern):
            if old.name not in written:
                old.unlink()


def _is_ours(page: Path) -> bool:
    """Tell whether a page is that of a report."""
    return page.is_file() and _GENERATOR in page.read_text(encoding="utf-8", errors="replace")
