"""Error against time: seconds from the quickest epoch, and the control at the same time."""

import json
import math

import pytest

from benchmarks.frontier import against_control, frontier, main
from monarch_core.report.compare.groups import group_runs
from monarch_core.report.read.collect import collect_runs


def write_run(folder, transform, epochs, seconds, error, seed=0):
    control = transform == "fft"
    learns = "both" if transform == "monarch" else "none"
    results = {
        "task": "pde",
        "dataset": "navier_stokes",
        "model": "fno" if control else "fno_fast",
        "transform": transform,
        "transform_declares": {"basis": "fourier", "control": control, "learns": learns},
        "seed": seed,
        "split_sizes": {"test": 3},
        "metrics": {"relative_l2": error},
        "n_parameters": 10,
        "train_seconds": 2.0 * epochs * seconds,
        "seconds_per_epoch": seconds,
        "peak_memory_bytes": 1,
        "device": "a core",
        "versions": {},
        "git_commit": None,
        "config": {"fit": {"epochs": epochs, "transform_learning_rate": None}},
    }
    place = folder / f"{transform}_{epochs}_{seed}"
    place.mkdir()
    (place / "results.json").write_text(json.dumps(results))


def points_of(folder):
    return frontier(group_runs(collect_runs([folder])))


def test_an_epoch_counts_as_in_the_quickest_run_and_a_trial_counts(tmp_path):
    write_run(tmp_path, "fft", 4, 5.0, 0.4)
    write_run(tmp_path, "fft", 8, 3.0, 0.1)
    write_run(tmp_path, "monarch", 10, 2.0, 0.1)
    write_run(tmp_path, "monarch_frozen", 10, 2.0, 0.1)
    found = [(p.contender, p.epochs, p.seconds) for p in points_of(tmp_path)]
    assert found == [
        ("fno, fft", 4, 12.0),
        ("fno, fft", 8, 24.0),
        ("fno_fast, monarch_frozen", 10, 20.0),
        ("fno_fast, monarch", 10, 24.0),  # 2 of the 12 epochs are the trial
    ]


def test_the_control_lies_on_a_straight_line_in_logarithms(tmp_path):
    for seed, factor in ((0, 1.0), (1, 1.1)):
        for epochs in (2, 8):  # error = factor / epochs
            write_run(tmp_path, "fft", epochs, 4.0, factor / epochs, seed)
        write_run(tmp_path, "monarch_frozen", 5, 4.0, factor / 10, seed)
        write_run(tmp_path, "monarch", 50, 4.0, factor / 10, seed)
    points = points_of(tmp_path)
    inside, outside = points[2], points[3]
    change = against_control(inside, points)
    assert change.value == pytest.approx(-0.5)
    assert change.standard_error == pytest.approx(0.0, abs=1e-12)
    assert against_control(outside, points) is None
    assert against_control(points[0], points) is None


def test_the_table_and_the_figure_come_from_the_runs(tmp_path, capsys):
    runs = tmp_path / "runs"
    runs.mkdir()
    document, figure = tmp_path / "when.md", tmp_path / "figures" / "equal.png"
    document.write_text("before\n<!-- frontier -->\n<!-- /frontier -->\nafter\n")
    arguments = [str(runs), "--update", str(document), "--figure", str(figure)]
    write_run(runs, "monarch_frozen", 6, 2.0, 0.03)
    assert main(arguments) == 2
    assert "none of the runs has the transform fft" in capsys.readouterr().err
    write_run(runs, "fft", 2, 2.0, 0.08)
    write_run(runs, "fft", 18, 2.0, 0.02)
    assert main(arguments) == 0
    at_six = math.sqrt(0.08 * 0.02)
    row = (
        f"| fno_fast, monarch_frozen | 6 | 12.0 s | 0.03 | 1 | {100 * (0.03 / at_six - 1):.1f} % |"
    )
    assert row in document.read_text().replace("0.03000", "0.03")
    assert document.read_text().endswith("after\n")
    assert figure.stat().st_size > 1000
