"""Commands that print a table, or keep it up to date between two markers of a document."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from monarch_core.runs.files import write_text


def run_command(
    parser: argparse.ArgumentParser,
    action: Callable[[argparse.Namespace], None],
    arguments: Sequence[str] | None,
) -> int:
    """Parse a command line and act on it.

    Where it takes `--marker` (`add_destination`), that goes together with `--update`.

    Returns:
        0 on success, 2 when something the user gave is wrong; the message is on standard error.
    """
    options = parser.parse_args(arguments)
    try:
        if "marker" in options and (options.update is None) != (options.marker is None):
            raise ValueError("--update FILE and --marker NAME go together; give both or neither")
        action(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {' '.join(str(error).split())}\n")
        return 2
    return 0


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Let a command take `--update FILE --marker NAME`."""
    parser.add_argument(
        "--update", type=Path, metavar="FILE", help="write the table into a file instead"
    )
    parser.add_argument(
        "--marker",
        metavar="NAME",
        help="the table goes between <!-- NAME --> and <!-- /NAME --> in the file",
    )


def deliver(table: str, notes: Sequence[str], options: argparse.Namespace) -> None:
    """Print a table, or write it into the document of the options; notes go to standard error.

    Raises:
        OSError, ValueError: as for `update_between_markers`.
    """
    for note in notes:
        sys.stderr.write(f"{note}\n")
    if options.update is None:
        sys.stdout.write(table)
    else:
        update_between_markers(options.update, options.marker, table)


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
