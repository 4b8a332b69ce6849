"""Predicted gains beside measured ones: the rows come from the results, and nothing is typed."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.prediction import PROBLEMS, Row, main, measured_change, table

ROOT = Path(__file__).parents[2] / "docs/results"
WAVES = next(p for p in PROBLEMS if p.name == "waves in layers")
FLOWS = [p for p in PROBLEMS if "Navier-Stokes, periodic" in p.name]


def row(problem, gain, worth, axis=0):
    return Row(problem, axis, 0.1, 0.2, gain, 0.03, worth, 0.5)


def test_the_measured_gain_is_that_of_the_results():
    """Of each kind the best on validation: here the sine start, and the control of four layers."""

    def errors(name, metric="relative_l2"):
        files = [ROOT / f"wave_layered/{name}_seed{i}/results.json" for i in range(3)]
        return sum(json.loads(f.read_text())["metrics"][metric] for f in files) / 3

    learned = min(
        ("monarch", "monarch_sine", "dense"), key=lambda n: errors(n, "relative_l2_valid")
    )
    fixed = min(("fft", "deep", "padded"), key=lambda n: errors(n, "relative_l2_valid"))
    change = measured_change(WAVES, ROOT)
    assert change.value == pytest.approx(errors(learned) / errors(fixed) - 1)
    assert change.value < -0.5
    assert change.verdict == "ahead"


def test_runs_of_other_settings_do_not_count():
    changes = {p.name: measured_change(p, ROOT) for p in FLOWS}
    assert len(changes) == len({change.value for change in changes.values()}) == 2
    assert all(change.verdict != "ahead" for change in changes.values())


def test_the_table_counts_what_was_right():
    flow = FLOWS[0].name
    rows = [row(WAVES.name, 0.9, True), row(flow, 0.02, False), row(flow, 0.01, False, axis=1)]
    text = table(rows, ROOT)
    assert "right on 2 of 2 problems; the rank correlation" in text
    assert " is 1.00." in text
    assert text.index(WAVES.name) < text.index(flow)
    wrong = [row(WAVES.name, 0.01, False), row(flow, 0.5, True, axis=1)]
    text = table(wrong, ROOT)
    assert "right on 0 of 2" in text
    assert " is -1.00." in text
    assert "| learn, axis 1 |" in text


def test_problems_without_results_are_named(tmp_path, capsys):
    shutil.copy(ROOT / "diagnosis.csv", tmp_path)
    (tmp_path / "when.md").write_text("<!-- prediction -->\n<!-- /prediction -->\n")
    for problem in PROBLEMS:
        (tmp_path / problem.results).mkdir(exist_ok=True)
    assert main([str(tmp_path), "--update", str(tmp_path / "when.md")]) == 1
    assert "no run" in capsys.readouterr().err
