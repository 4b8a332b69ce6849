"""The command line of what keeps a document and its figure up to date."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from monarch_core.report.documents import run_command


def update_document(
    description: str,
    folder: str,
    document: str,
    figure: str,
    write: Callable[[argparse.Namespace], None],
    arguments: Sequence[str] | None,
) -> int:
    """Parse `FOLDER [--update FILE] [--figure FILE]`, act on it and say what was written.

    Args:
        description: of the command; its first line is shown.
        folder: what the folder holds, in words.
        document: the file that is written where `--update` gives no other.
        figure: the same of the figure.
        write: what to do with `folder`, `update` and `figure`.
        arguments: command line without the program's name; None: that of the process.

    Returns:
        As `run_command`.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("folder", type=Path, help=folder)
    parser.add_argument("--update", type=Path, default=Path(document), help="(%(default)s)")
    parser.add_argument("--figure", type=Path, default=Path(figure), help="(%(default)s)")

    def act(options: argparse.Namespace) -> None:
        write(options)
        sys.stdout.write(f"{options.update}\n{options.figure}\n")

    return run_command(parser, act, arguments)
