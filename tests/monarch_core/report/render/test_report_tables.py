"""Tables hold what `results.json` holds, in every format."""

import csv
import io

import pytest

from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render.tables import (
    groups_csv,
    joined_table,
    main_table,
    other_runs_table,
    runs_csv,
)
from monarch_core.runs.artifacts import Table


def parsed(text):
    return list(csv.DictReader(io.StringIO(text)))


def markdown_rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_markdown_has_one_row_per_group_with_change_and_costs(make_run, groups):
    for seed in (0, 1):
        make_run("fft", seed=seed, error=0.04)
        make_run("monarch", seed=seed, error=0.03)
    table = main_table(groups(), ["relative_l2"])
    fft, monarch = markdown_rows(table.markdown())
    assert fft == {
        "transform": "fft", "relative l2": "0.04000 ± 0", "seeds": "2", "parameters": "465,557",
        "time per epoch": "3.00 s", "training time": "90.0 s", "peak memory": "610 MB",
    }  # fmt: skip
    assert monarch["relative l2"] == "0.03000 ± 0 (-25.0 % ± 0.0)"
    assert "task pde, dataset navier_stokes, model fno, device cpu, 2 threads" in table.caption


def test_what_is_missing_is_not_available(make_run, groups):
    make_run("fft", error=float("nan"), seconds_per_epoch=None, peak_memory_bytes=None)
    make_run("monarch", metrics={"psnr": 31.5})
    fft, monarch = markdown_rows(main_table(groups(), ["relative_l2", "psnr"]).markdown())
    assert fft["relative l2"] == "not finite"
    assert [fft[key] for key in ("psnr", "time per epoch", "peak memory")] == ["n/a"] * 3
    assert (monarch["relative l2"], monarch["psnr"]) == ("0.03000", "31.50")


def test_only_what_differs_is_a_column(make_run, groups):
    make_run("fft")
    make_run("fft", config={"dataset.viscosity": 1e-4, "fit.learning_rate": 3e-3})
    make_run("monarch", config={"fit.learning_rate": 2e-3}, device="A100")
    rows = markdown_rows(main_table(groups(), ["relative_l2"]).markdown())
    assert [row["dataset"] for row in rows] == [
        "navier_stokes, viscosity 0.0001",
        "navier_stokes, viscosity 0.001",
        "navier_stokes, viscosity 0.001",
    ]
    assert [row["settings"] for row in rows] == ["", "learning rate 0.001", "learning rate 0.002"]
    assert rows[2]["differs from fft in"] == "learning rate 0.001 / 0.002"
    assert "model" not in rows[0]
    assert rows[2]["device"] == "A100"


def test_how_it_was_measured_stands_with_every_table(make_run, groups):
    for transform in ("fft", "monarch"):
        make_run(transform, config={"evaluation.preset": "meddlr", "evaluation.unseen": False})
    assert "Measured with preset meddlr, unseen false." in main_table(groups(), []).caption
    make_run("fft", task="mri", config={"evaluation.preset": "fastmri"})
    caption = main_table(groups(), []).caption
    assert "Measured with mri: preset fastmri; pde: preset meddlr, unseen false." in caption


def test_pipes_do_not_break_the_table(make_run, groups):
    make_run("fft", device="a|b")
    make_run("monarch", device="c|d")
    table = main_table(groups(), ["relative_l2"])
    assert "a\\|b" in table.markdown()


def test_csv_holds_the_numbers_in_full_precision(make_run, groups):
    errors = {("fft", 0): 0.1 / 3, ("fft", 1): 0.2 / 7, ("monarch", 0): 0.03, ("monarch", 1): 0.01}
    for (transform, seed), error in errors.items():
        make_run(transform, seed=seed, error=error)
    for row in parsed(runs_csv(groups(), ["relative_l2"])):
        assert float(row["relative_l2"]) == errors[row["transform"], int(row["seed"])]
    rows = parsed(groups_csv(groups(), ["relative_l2", "h1_error"]))
    assert [row["metric"] for row in rows] == ["relative_l2", "h1_error"] * 2
    means = {row["transform"]: float(row["mean"]) for row in rows if row["metric"] == "relative_l2"}
    assert means["fft"] == pytest.approx((0.1 / 3 + 0.2 / 7) / 2, rel=1e-15)
    change = float(rows[2]["change"])
    assert change == pytest.approx(means["monarch"] / means["fft"] - 1, rel=1e-14)
    assert rows[2]["control"] == "fft"
    assert rows[0]["change"] == ""


def test_table_csv_has_a_column_for_changes(make_run, groups):
    make_run("fft", error=0.04)
    make_run("monarch", error=0.03)
    rows = parsed(main_table(groups(), ["relative_l2"]).csv())
    assert [row["relative l2"] for row in rows] == ["0.04000", "0.03000"]
    assert [row["relative l2: change"] for row in rows] == ["", "-25.0 %"]


def test_failed_runs_have_a_table_and_others_do_not_enter_it(runs, make_run, make_failed):
    make_run()
    folder = make_failed()
    table = other_runs_table(collect_runs([runs]), "failed", "Failed")
    assert [[cell.text for cell in row] for row in table.rows] == [
        [str(folder), "ValueError: loss is nan; lower the rate"]
    ]
    assert other_runs_table(collect_runs([runs]), "unreadable", "Unreadable") is None


def table(*rows, columns=("layer", "distance", "n")):
    return Table("distance", "Distance", list(columns), [list(row) for row in rows])


def test_tables_of_seeds_are_averaged_row_by_row():
    seeds = [table(["1", 0.1, 7], ["2", 0.5, 7]), table(["1", 0.3, 7], ["2", 0.5, 7])]
    joined, notes = joined_table("d", [("fft", seeds[:1]), ("monarch", seeds)])
    assert joined.columns == ["run", "layer", "distance", "n"]
    assert [[cell.text for cell in row] for row in joined.rows] == [
        ["fft", "1", "0.100", "7"],
        ["fft", "2", "0.500", "7"],
        ["monarch", "1", "0.200 ± 0.100", "7"],
        ["monarch", "2", "0.500 ± 0", "7"],
    ]
    assert notes == []
    assert joined.numeric == {"distance", "n"}


def test_tables_that_do_not_match_are_noted_not_mixed():
    mine, other = table(["1", 0.1, 7]), table(["2", 0.3, 7])
    strange = table(["1"], columns=("scan",))
    joined, notes = joined_table("d", [("fft", [mine, other]), ("monarch", [strange])])
    assert [[cell.text for cell in row] for row in joined.rows] == [["fft", "1", "0.100", "7"]]
    assert "rows of fft differ between seeds" in notes[0]
    assert "monarch has other columns" in notes[1]


def test_a_metric_named_like_another_column_hides_neither(make_run, groups):
    metrics = {"seeds": 7.0, "a_b": 1.0, "a b": 2.0, "transform": 3.0}
    make_run("fft", metrics=metrics)
    (row,) = markdown_rows(main_table(groups(), list(metrics)).markdown())
    assert row["transform"] == "fft"
    assert row["seeds"] == "1"
    assert [row[name] for name in ("seeds'", "a_b", "a b'", "transform'")] == [
        "7.000",
        "1.000",
        "2.000",
        "3.000",
    ]


def test_csv_tells_what_was_not_measured_from_what_is_not_finite(make_run, groups):
    make_run("fft", seed=0, error=float("nan"))
    make_run("fft", seed=1, metrics={"psnr": 30.0})
    rows = {row["metric"]: row for row in parsed(groups_csv(groups(), ["relative_l2", "psnr"]))}
    assert [rows["relative_l2"][key] for key in ("mean", "n_missing", "n_not_finite")] == [
        "",
        "0",
        "1",
    ]
    assert [rows["psnr"][key] for key in ("mean", "n_missing", "n_not_finite")] == [
        "30.0",
        "1",
        "0",
    ]
    first, second = parsed(runs_csv(groups(), ["relative_l2", "psnr"]))
    assert (first["relative_l2"], first["psnr"]) == ("nan", "")
    assert second["psnr"] == "30.0"


def test_numbers_in_tables_of_seeds_that_are_not_finite_are_said_to_be():
    seeds = [table(["1", value, 7]) for value in (0.1, float("nan"))]
    joined, notes = joined_table("d", [("fft", seeds)])
    assert [cell.text for cell in joined.rows[0]] == ["fft", "1", "not finite in 1 of 2 seeds", "7"]
    assert notes == []
