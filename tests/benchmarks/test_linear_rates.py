"""The experiment on rates runs and leaves its table."""

import csv
import sys

import pytest

pytest.importorskip("sklearn")

from benchmarks import linear_rates


def test_the_experiment_leaves_its_losses(tmp_path, monkeypatch, capsys):
    for name, value in {"WIDTHS": (32,), "RATES": (1e-5, 3e-3), "SEEDS": (0,), "EPOCHS": 2}.items():
        monkeypatch.setattr(linear_rates, name, value)
    monkeypatch.setattr(sys, "argv", ["linear_rates", str(tmp_path / "rates.csv")])
    assert linear_rates.main() == 0
    with (tmp_path / "rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == capsys.readouterr().out.count("\n") == 7
    for row in rows:  # two epochs at 1e-5 change nothing
        assert float(row["0.003"]) < float(row["1e-05"]) <= float(row["1e-05, largest"])
