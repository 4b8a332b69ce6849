"""The command `monarch-report`: compare run folders, or keep a table in a document up to date."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monarch_core.report.compare.groups import (
    beside_the_table,
    group_runs,
    metric_names,
)
from monarch_core.report.documents import add_destination, deliver, run_command
from monarch_core.report.read.collect import Run, collect_runs
from monarch_core.report.render.ladder import ladder_table
from monarch_core.report.render.page import write_report
from monarch_core.report.render.short import short_table
from monarch_core.report.render.tables import main_table
from monarch_core.report.render.text_table import TextTable
from monarch_core.runs.files import write_text

_DESCRIPTION = """\
Compare runs: one HTML page, its tables as CSV and Markdown, its figures as PNG. Groups the runs
whose config is equal but for the seed and compares each group with the group of the same data,
measurement and model whose transform is the control, the FFT (or whose linear layers are, dense
ones), and whose config is most like its own. What sets the two apart is said beside the change.
With --table, --ladder or --update only one table is written, as Markdown.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: command line without the program's name; by default that of the process.

    Returns:
        0 on success, 2 when something the user gave is wrong; the message is on standard error.
    """
    return run_command(_parser(), _run, arguments)


def markdown_table(
    runs: Sequence[Run], metrics: Sequence[str] | None = None, *, ladder: bool = False
) -> str:
    """Return `table_of` as Markdown."""
    return table_of(runs, metrics, ladder=ladder).markdown()


def table_of(
    runs: Sequence[Run],
    metrics: Sequence[str] | None = None,
    *,
    ladder: bool = False,
    short: bool = False,
) -> TextTable:
    """Return the main table of runs.

    Args:
        runs: from `collect_runs`.
        metrics: the metrics to show, in this order; by default all of them.
        ladder: return the `ladder_table` of the first metric instead.
        short: return the `short_table`, or a ladder of three digits.

    Raises:
        ValueError: there is no finished run, or no run has one of the metrics.
    """
    groups = group_runs(runs)
    if not groups:
        folders = ", ".join(run.name for run in runs)
        raise ValueError(f"no finished run in {folders}; a table needs one")
    known = metric_names(groups)
    unknown = [name for name in metrics or [] if name not in known]
    if unknown:
        raise ValueError(f"no run has the metric {unknown[0]!r}; use some of {', '.join(known)}")
    if not known:
        raise ValueError(f"no run has a metric, among them {runs[0].name}; evaluate one again")
    if ladder:
        return ladder_table(groups, (metrics or known)[0], short=short)
    return (short_table if short else main_table)(groups, metrics or known)


def _run(options: argparse.Namespace) -> None:
    runs = collect_runs(options.runs)
    if options.table is None and options.ladder is None and options.update is None:
        page = write_report(runs, options.out, metric=options.metric)
        sys.stdout.write(f"{page}\n")
        return
    wanted = options.ladder or options.table or ""
    metrics = [name.strip() for name in wanted.split(",") if name.strip()]
    ladder = options.ladder is not None
    text = table_of(runs, metrics, ladder=ladder, short=options.short).markdown()
    if options.csv is not None:
        options.csv.parent.mkdir(parents=True, exist_ok=True)
        write_text(options.csv, table_of(runs).csv())
        place = os.path.relpath(options.csv, options.update.parent if options.update else ".")
        text = f"{text.rstrip()} All metrics and costs: [{options.csv.name}]({place}).\n"
    deliver(text, beside_the_table(runs), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="monarch-report", description=_DESCRIPTION)
    parser.add_argument(
        "runs", nargs="+", type=Path, help="run folders, or folders that hold run folders"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("report"), help="folder of the report (%(default)s)"
    )
    parser.add_argument(
        "--metric", help="main metric of the page (default: the first one the runs list)"
    )
    tables = parser.add_mutually_exclusive_group()
    tables.add_argument(
        "--table",
        metavar="METRICS",
        help="print only the main table, with these metrics, comma separated ('' for all)",
    )
    tables.add_argument(
        "--ladder",
        metavar="METRIC",
        help="print only a table with one row per model and training and one column per data set, "
        "all compared with the best control",
    )
    parser.add_argument(
        "--short", action="store_true", help="of a table: the columns that matter, three digits"
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write the table with every metric and column as CSV, and name it below the other",
    )
    add_destination(parser)
    return parser
