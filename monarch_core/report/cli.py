"""The command `monarch-report`: compare run folders, or keep a table in a document up to date."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from monarch_core.report.compare.groups import (
    beside_the_table,
    group_runs,
    metric_names,
)
from monarch_core.report.read.collect import Run, collect_runs
from monarch_core.report.render.ladder import ladder_table
from monarch_core.report.render.page import write_report
from monarch_core.report.render.tables import main_table
from monarch_core.runs.files import write_text

_DESCRIPTION = """\
Compare runs: one HTML page, its tables as CSV and Markdown, its figures as PNG. Groups the runs
whose config is equal but for the seed and compares each group with the group of the same data,
measurement and model whose transform is named "fft" and whose config is most like its own. What
sets the two apart is said beside the change. With --table, --ladder or --update only one table is
written, as Markdown.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: command line without the program's name; by default that of the process.

    Returns:
        0 on success, 2 when something the user gave is wrong; the message is on standard error.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {' '.join(str(error).split())}\n")
        return 2
    return 0


def markdown_table(
    runs: Sequence[Run], metrics: Sequence[str] | None = None, *, ladder: bool = False
) -> str:
    """Return the main table of runs as Markdown.

    Args:
        runs: from `collect_runs`.
        metrics: the metrics to show, in this order; by default all of them.
        ladder: return the `ladder_table` of the first metric instead.

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
        return ladder_table(groups, (metrics or known)[0]).markdown()
    return main_table(groups, metrics or known).markdown()


def update_between_markers(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` in a file.

    The file is replaced as a whole, so that it is never half written; its line ends stay.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: it is not UTF-8; a marker is missing, occurs twice, or the closing one comes
            first.
    """
    try:
        document = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    for marker in (opening, closing):
        if document.count(marker) != 1:
            raise ValueError(
                f"{path} has {document.count(marker)} lines {marker!r}; put exactly one "
                f"{opening!r} before and one {closing!r} after the place of the table"
            )
    before, rest = document.split(opening)
    if closing not in rest:
        raise ValueError(f"{path} has {closing!r} before {opening!r}; swap them")
    _, after = rest.split(closing)
    end = "\r\n" if "\r\n" in document else "\n"
    lines = [f"{before}{opening}", *text.strip().split("\n"), f"{closing}{after}"]
    write_text(path, end.join(lines))


def _run(options: argparse.Namespace) -> None:
    if (options.update is None) != (options.marker is None):
        raise ValueError("--update FILE and --marker NAME go together; give both or neither")
    runs = collect_runs(options.runs)
    if options.table is None and options.ladder is None and options.update is None:
        page = write_report(runs, options.out, metric=options.metric)
        sys.stdout.write(f"{page}\n")
        return
    wanted = options.ladder or options.table or ""
    metrics = [name.strip() for name in wanted.split(",") if name.strip()]
    table = markdown_table(runs, metrics, ladder=options.ladder is not None)
    for note in beside_the_table(runs):
        sys.stderr.write(f"{note}\n")
    if options.update is None:
        sys.stdout.write(table)
    else:
        update_between_markers(options.update, options.marker, table)


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
        "all compared with the best FFT run",
    )
    parser.add_argument(
        "--update", type=Path, metavar="FILE", help="write that table into a file instead"
    )
    parser.add_argument(
        "--marker",
        metavar="NAME",
        help="the table goes between <!-- NAME --> and <!-- /NAME --> in the file",
    )
    return parser
