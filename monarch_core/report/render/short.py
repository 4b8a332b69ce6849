"""Tables that fit a page: the columns that matter, three digits, what is special of a row."""

from collections import Counter
from collections.abc import Sequence

from monarch_core.report.compare.control import control_of
from monarch_core.report.compare.groups import Data, Group, control_name, swapped_name
from monarch_core.report.compare.settings import UNSET, differing_keys, words
from monarch_core.report.read.identity import DATASET
from monarch_core.report.render.tables import metric_cell
from monarch_core.report.render.text_table import Cell, TextTable
from monarch_core.report.wording import count, metric_label

RATES = ("fit.learning_rate", "fit.transform_learning_rate")  # tuned for each row


def short_table(groups: Sequence[Group], metrics: Sequence[str]) -> TextTable:
    """Return one row per group with what sets it apart, its metrics and its parameters.

    Of the settings a row names those that differ from what most rows have; rates only where nothing
    else tells two rows apart. Costs, devices, rates and what a row and its control differ in stand
    in `main_table`.
    """
    swapped = swapped_name(groups)
    several = len({group.model for group in groups}) > 1
    titles = data_titles(groups)
    columns = {"data": [Cell(titles[group.data]) for group in groups]} if len(titles) > 1 else {}
    columns[f"model, {swapped}" if several else swapped] = [
        Cell(", ".join(filter(None, ([group.model] * several + [group.transform, own]))))
        for group, own in zip(groups, _special(groups), strict=True)
    ]
    numeric = [metric_label(metric) for metric in metrics]
    controls = [control_of(group, groups) for group in groups]
    for metric, label in zip(metrics, numeric, strict=True):
        columns[label] = [
            metric_cell(group, control.group if control else None, metric, brief=True)
            for group, control in zip(groups, controls, strict=True)
        ]
    seeds = {str(len(group.runs)) for group in groups}
    if len(seeds) > 1:
        columns["seeds"] = [Cell(str(len(group.runs))) for group in groups]
    columns["parameters"] = [Cell(count(group.cost("n_parameters"))) for group in groups]
    return TextTable(
        key="short",
        title="Results",
        columns=list(columns),
        rows=[list(row) for row in zip(*columns.values(), strict=True)],
        caption=_caption(groups, seeds, any(controls)),
        numeric=frozenset((*numeric, "seeds", "parameters")),
    )


def data_titles(groups: Sequence[Group]) -> dict[Data, str]:
    """Return a name for each data set: the one setting that tells all apart, if there is one."""
    settings = {
        g.data: {k: v for k, v in g.settings.items() if k.startswith(DATASET)} for g in groups
    }
    keys = differing_keys(list(settings.values()))
    telling = [key for key in keys if len({s.get(key) for s in settings.values()}) == len(settings)]
    several = len({group.dataset for group in groups}) > 1
    if telling and not several:
        key = telling[0]
        return {data: f"{words(key, keys)} {own.get(key)}" for data, own in settings.items()}
    names = {}
    for group in groups:
        dataset = [group.dataset] if several or not group.data_details else []
        names[group.data] = ", ".join([*dataset, *filter(None, [group.data_details])])
    return names


def _special(groups: Sequence[Group]) -> list[str]:
    """Return the settings of each group that most groups of its data and model do not share."""
    result = []
    for group in groups:
        peers = [g for g in groups if (g.data, g.model) == (group.data, group.model)]
        twins = [peer for peer in peers if peer.transform == group.transform]
        keys = differing_keys([peer.settings for peer in peers])
        told = [key for key in keys if key not in RATES]
        own = differing_keys([twin.transform_settings for twin in twins])
        rows = {
            (*map(twin.settings.get, told), *map(twin.transform_settings.get, own))
            for twin in twins
        }
        among = told if len(rows) == len(twins) else differing_keys([t.settings for t in twins])
        usual = {key: _most_common(peers, key) for key in keys if key not in RATES}
        values = {key: group.settings.get(key, UNSET) for key in among}
        values = {key: value for key, value in values.items() if value != usual.get(key)}
        values |= {key: group.transform_settings.get(key, UNSET) for key in own}
        result.append(", ".join(f"{words(key, values)} {value}" for key, value in values.items()))
    return result


def _most_common(groups: Sequence[Group], key: str) -> str:
    return Counter(group.settings.get(key, UNSET) for group in groups).most_common(1)[0][0]


def _caption(groups: Sequence[Group], seeds: set[str], compared: bool) -> str:
    n_seeds = f"{seeds.pop()} seeds" if len(seeds) == 1 else "the seeds"
    parts = ["One seed."] if n_seeds == "1 seeds" else [f"Mean ± standard error over {n_seeds}."]
    if compared:
        parts.append(f"Changes are against {control_name(groups)}.")
    return " ".join(parts)
