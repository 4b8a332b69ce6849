"""The tables of the page: best first, and no wider than a reader's first look needs."""

import math
from collections.abc import Sequence
from dataclasses import replace

from monarch_core.report.compare.groups import Group, blocks_of
from monarch_core.report.render.tables import COST_COLUMNS, main_table
from monarch_core.report.render.text_table import TextTable
from monarch_core.report.statistics import higher_is_better

_METRICS_BESIDE_COSTS = 3
_METRICS_PER_TABLE = 7
_COSTS_BESIDE_METRICS = ("parameters", "time per epoch")


def ranked(groups: Sequence[Group], metric: str) -> list[Group]:
    """Return groups with the best first among those of the same data.

    Without a mean they come last; where the name of the metric does not say whether higher is
    better, the order stays.
    """
    direction = higher_is_better(metric)
    sign = {True: -1.0, False: 1.0, None: 0.0}[direction]

    def place(group: Group) -> float:
        mean = group.metric(metric).mean
        return math.inf if mean is None else sign * mean

    return [group for block in blocks_of(groups) for group in sorted(block.groups, key=place)]


def page_tables(groups: Sequence[Group], metrics: Sequence[str]) -> list[TextTable]:
    """Return the table of results, then those of further metrics and of costs.

    Args:
        groups: of one task.
        metrics: the main metric first; it decides the order of the rows.
    """
    rows = ranked(groups, metrics[0]) if metrics else list(groups)
    cut = _METRICS_BESIDE_COSTS
    results = main_table(rows, metrics[:cut], costs=_COSTS_BESIDE_METRICS, brief=True)
    further = [
        replace(
            main_table(rows, metrics[start : start + _METRICS_PER_TABLE], costs=(), brief=True),
            title="Further metrics",
        )
        for start in range(cut, len(metrics), _METRICS_PER_TABLE)
    ]
    costs = main_table(rows, [], costs=COST_COLUMNS, brief=True)
    return [results, *further, replace(costs, title="Costs, and what else differs")]
