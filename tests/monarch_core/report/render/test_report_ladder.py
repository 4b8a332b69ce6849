"""The ladder compares everything with the best control of the same data."""

from monarch_core.report.cli import main


def write_runs(make_run):
    for viscosity, control in ((1e-3, 0.04), (1e-4, 0.2)):
        data = {"dataset.viscosity": viscosity, "dataset.final_time": 1 / viscosity}
        for seed in (0, 1):
            fno = {**data, "model.name": "fno"}
            make_run("fft", seed=seed, error=control, config=fno)
            make_run("monarch", seed=seed, error=0.9 * control, config=fno)
        soap = {**data, "model.name": "operator", "fit.optimizer": "soap"}
        make_run("monarch", error=0.5 * control, config=soap)


def test_rows_are_rungs_and_columns_are_data_sets(make_run, runs, capsys):
    write_runs(make_run)
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    header, _, *rows = capsys.readouterr().out.splitlines()[:5]
    assert "viscosity 0.001 | viscosity 0.0001" in header
    assert "final time" not in header  # one key tells the data sets apart
    control, swap, operator = rows
    assert "| fno | fft |" in control
    assert "%" not in control
    assert "| fno | monarch |" in swap
    assert swap.count("-10.0 %") == 2
    assert "| operator | monarch | optimizer soap |" in operator
    assert operator.count("-50.0 %") == 2


def test_data_without_a_control_are_refused(make_run, runs, capsys):
    make_run("monarch")
    assert main([str(runs), "--ladder", "relative_l2"]) == 2
    assert "needs runs of a control, such as the FFT" in capsys.readouterr().err


def test_groups_that_a_ladder_cannot_tell_apart_are_refused(make_run, runs, capsys):
    for grids in ([16], [64]):
        make_run("fft", config={"evaluation.grids": grids}, n_epochs=2)
    assert main([str(runs), "--ladder", "relative_l2"]) == 2
    assert "differ only in what a ladder does not show" in capsys.readouterr().err


def test_a_rung_without_the_first_data_set_comes_last(make_run, runs, capsys):
    write_runs(make_run)
    late = {"dataset.viscosity": 1e-4, "dataset.final_time": 1e4, "model.name": "late"}
    make_run("monarch", error=0.9, config=late)
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    assert "| late | monarch |" in capsys.readouterr().out.splitlines()[5]


def test_the_rate_of_transforms_is_not_told_of_those_that_do_not_learn(make_run, runs, capsys):
    for viscosity, rate in ((1e-3, 1e-4), (1e-4, 3e-4)):
        config = {"dataset.viscosity": viscosity, "fit.transform_learning_rate": rate}
        for transform in ("fft", "monarch"):
            make_run(transform, config=config)
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:5]
    assert sum("| fft |  |" in row for row in rows) == 1
    assert sum("| monarch | transform learning rate" in row for row in rows) == 2


def test_options_of_a_model_are_rungs_of_their_own(make_run, runs, capsys):
    """Also where the two never meet on the same data, and a row would mix them."""
    for viscosity, width, heads in ((1e-3, 20, 1), (1e-4, 40, 4)):
        data = {"dataset.viscosity": viscosity}
        make_run("fft", config={**data, "model.width": 20})
        make_run("monarch", config={**data, "model.width": width, "transform.axis.heads": heads})
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:5]
    assert [row.split(" | ")[2] for row in rows if "| monarch |" in row] == [
        "width 40, heads 4",
        "width 20, heads 1",
    ]
    assert sum("| fft |  |" in row for row in rows) == 1


def test_the_best_control_of_a_metric_where_higher_is_better_has_the_highest(
    make_run, runs, capsys
):
    for epochs, psnr in ((10, 31.0), (20, 33.0)):
        make_run("fft", config={"fit.epochs": epochs}, metrics={"psnr": 30, "psnr_valid": psnr})
    make_run("monarch", config={"fit.epochs": 20}, metrics={"psnr": 32, "psnr_valid": 30})
    assert main([str(runs), "--ladder", "psnr"]) == 0
    rows = {tuple(row.split(" | ")[1:3]): row for row in capsys.readouterr().out.splitlines()[2:5]}
    assert "dB" not in rows["fft", "epochs 20"]
    assert "(0 dB)" in rows["fft", "epochs 10"]


def test_costs_of_another_column_than_the_first_are_said_to_be(make_run, runs, capsys):
    write_runs(make_run)
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    assert "those of the first column." in capsys.readouterr().out
    late = {"dataset.viscosity": 1e-4, "dataset.final_time": 1e4, "model.name": "late"}
    make_run("monarch", error=0.9, config=late)
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    assert "those of the first column with a value." in capsys.readouterr().out


def test_data_of_two_names_are_columns_of_two_names(make_run, runs, capsys):
    for name in ("burgers", "darcy"):
        for grid in (32, 64):
            make_run("fft", config={"dataset.name": name, "dataset.grid": grid})
    assert main([str(runs), "--ladder", "relative_l2"]) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert "| burgers, grid 32 | burgers, grid 64 | darcy, grid 32 | darcy, grid 64 |" in header
