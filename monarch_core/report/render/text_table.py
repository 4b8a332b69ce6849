"""A table as Markdown and as CSV, in which no cell acts: it is shown, whatever it says."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

# What Markdown would take for markup, links, code or formulas. A lone "[" is none.
_MARKUP = re.compile(r"[\\`|$~]|\](?=[\[(:])|!(?=\[)")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Spreadsheets run a cell that starts like this, unless it is a number, with its unit and error.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?( %| dB)?( ± [\d.]+(e[+-]?\d+)?)?")


@dataclass(frozen=True)
class Cell:
    """One cell: what it says, and the change against the control below it.

    Attributes:
        text: the value.
        change: the change in words, empty if there is none.
        verdict: as in `Change.verdict`, empty without an interval.
    """

    text: str
    change: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class TextTable:
    """A table ready to be written.

    Attributes:
        key: name of its files.
        title: its heading.
        columns: column names.
        rows: one list of cells per row.
        caption: what holds for the whole table.
        numeric: columns to align on the right.
    """

    key: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]
    caption: str = ""
    numeric: frozenset[str] = frozenset()

    def markdown(self) -> str:
        """Return the table as GitHub Markdown, its caption below it."""
        aligned = ["---:" if name in self.numeric else "---" for name in self.columns]
        lines = [_row(self.columns), _row(aligned)]
        lines += [
            _row([f"{cell.text} ({cell.change})" if cell.change else cell.text for cell in row])
            for row in self.rows
        ]
        if self.caption:
            lines += ["", _escaped(self.caption)]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Return the table as CSV, with a column of changes where there are any."""
        changing = [any(row[i].change for row in self.rows) for i in range(len(self.columns))]
        header = [
            name
            for column, changes in zip(self.columns, changing, strict=True)
            for name in ([column, f"{column}: change"] if changes else [column])
        ]
        rows = [
            [
                text
                for cell, changes in zip(row, changing, strict=True)
                for text in ([cell.text, cell.change] if changes else [cell.text])
            ]
            for row in self.rows
        ]
        return write_csv(header, rows)


def write_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as CSV text; None becomes an empty cell.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_inert(cell) for cell in row] for row in (header, *rows))
    return buffer.getvalue()


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    plain = _MARKUP.sub(lambda sign: "\\" + sign[0], " ".join(text.splitlines()))
    return "".join(_HTML.get(letter, letter) for letter in plain)


def _inert(cell: object) -> object:
    is_formula = isinstance(cell, str) and cell.startswith(_FORMULA)
    return f"'{cell}" if is_formula and not _NUMBER.fullmatch(str(cell)) else cell
