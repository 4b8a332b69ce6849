"""The table of paired differences."""

from collections.abc import Mapping, Sequence

from monarch_core.report.compare.paired import Method, check_items, pairs
from monarch_core.report.render.text_table import Cell, TextTable
from monarch_core.report.statistics import paired_difference
from monarch_core.report.wording import with_half_width


def differences_table(
    methods: Sequence[Method],
    control: str,
    heads: Mapping[str, tuple[str, int]],
    *,
    item: str,
    only: str | None = None,
) -> TextTable:
    """Return the paired differences to a control, one row for each other method.

    Args:
        methods: the methods, in the order of the rows.
        control: method that others are compared with, on the same data.
        heads: {metric: (heading of its column, digits behind the point)}.
        item: what is paired, such as scan.
        only: leave out all methods but this one.

    Raises:
        ValueError: the control is missing for some data, was not measured on the same items, or
            there is nothing to compare with it.
    """
    rows = []
    for method, rival in pairs(methods, control, only):
        both = method.group.runs[0], rival.group.runs[0]
        check_items(both, (method.scores[0], rival.scores[0]), item)
        cells = [
            with_half_width(paired_difference(method.by_item(m), rival.by_item(m)), digits)
            for m, (_, digits) in heads.items()
        ]
        counts = (len({name for name, _ in method.scores[0]}), len(method.group.runs))
        rows.append([Cell(str(text)) for text in (method.data, method.name, *cells, *counts)])
    numeric = [*(head for head, _ in heads.values()), f"{item}s", "seeds"]
    return TextTable(
        key="differences",
        title="Differences",
        columns=["data", "method", *numeric],
        rows=rows,
        caption=f"Differences to {control}, paired over {item}s, with 95 % intervals; seeds are "
        "averaged.",
        numeric=frozenset(numeric),
    )
