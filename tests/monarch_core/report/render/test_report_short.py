"""Short tables: what is special of a row, three digits."""

from monarch_core.report.compare.groups import group_runs
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render.short import short_table


def rows(folder, *metrics):
    table = short_table(group_runs(collect_runs([folder])), metrics)
    return [[cell.text for cell in row] for row in table.rows]


def test_a_row_names_what_most_do_not_share_and_no_rate(runs, make_run):
    for width in (20, 40):
        make_run("fft", config={"model.width": width, "fit.learning_rate": 1e-3 * width})
    make_run("monarch", config={"fit.learning_rate": 5e-2})
    named = [row[0] for row in rows(runs, "relative_l2")]
    assert sorted(named) == ["fft", "fft, width 40", "monarch"]


def test_rates_are_named_where_nothing_else_tells_rows_apart(runs, make_run):
    for rate in (1e-3, 2e-3):
        make_run("monarch", config={"fit.learning_rate": rate})
    make_run("fft")
    named = {row[0] for row in rows(runs, "relative_l2")}
    assert named == {"fft", "monarch, learning rate 0.001", "monarch, learning rate 0.002"}


def test_data_and_seeds_are_columns_where_they_differ(runs, make_run):
    for viscosity, seeds in ((1e-3, (0, 1)), (1e-4, (0,))):
        for seed in seeds:
            make_run("fft", seed=seed, config={"dataset.viscosity": viscosity})
    table = short_table(group_runs(collect_runs([runs])), ["relative_l2"])
    assert table.columns == ["data", "transform", "relative l2", "seeds", "parameters"]
    assert sorted(row[0].text for row in table.rows) == ["viscosity 0.0001", "viscosity 0.001"]
    assert sorted(row[3].text for row in table.rows) == ["1", "2"]
