"""Some columns of a CSV file as a table of a document: `python -m benchmarks.csv_table FILE`.

The columns `--columns`, by default all, go between the markers of the file `--update`, with a link
to the CSV.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monarch_core.report.documents import add_destination, deliver, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or write it into a document; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the CSV")
    parser.add_argument("--columns", help="names with semicolons between them")
    add_destination(parser)
    return run_command(parser, _run, arguments)


def _run(options: argparse.Namespace) -> None:
    with options.file.open(newline="") as file:
        header, *rows = csv.reader(file)
    names = options.columns.split(";") if options.columns else header
    unknown = [name for name in names if name not in header]
    if unknown:
        raise ValueError(f"{options.file} has no column {unknown[0]!r}; it has {'; '.join(header)}")
    places = [header.index(name) for name in names]
    ruler = ["---:" if all(_is_number(row[i]) for row in rows) else "---" for i in places]
    lines = [names, ruler, *([row[i] for i in places] for row in rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if len(names) < len(header):
        place = os.path.relpath(options.file, options.update.parent if options.update else ".")
        text += f"\n\nAll columns: [{options.file.name}]({place})."
    deliver(f"{text}\n", [], options)


def _is_number(text: str) -> bool:
    return not text or text.lstrip("+-")[:1].isdigit()


if __name__ == "__main__":
    sys.exit(main())
