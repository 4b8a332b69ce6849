"""The first command that a user tries: it makes data, trains, evaluates and can be reported."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from programs import run_program

from monarch_core.report import cli

ROOT = Path(__file__).parents[1]


def in_an_interpreter_of_its_own(path, *words, folder):
    command = [sys.executable, path, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def in_one_that_has_imported_it(path, *words, folder):
    return run_program(path, *words, folder=folder, imports=(f"{path.parent.name}.train",))


@pytest.mark.parametrize(
    ("task", "metric", "start"),
    [
        ("pde", "relative_l2", in_an_interpreter_of_its_own),
        ("mri", "psnr", in_one_that_has_imported_it),
        ("sparse", "loss", in_one_that_has_imported_it),
    ],
    ids=["pde", "mri", "sparse"],
)
def test_smoke(tmp_path, monkeypatch, task, metric, start):
    done = start(ROOT / task / "train.py", "experiment=smoke", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("runs/*/*/results.json")
    found = json.loads(results.read_text())
    assert math.isfinite(found["metrics"][metric])
    assert found["train_seconds"] < 30
    monkeypatch.chdir(tmp_path)
    assert cli.main(["runs", "--out", "report"]) == 0
    assert (tmp_path / "report" / "index.html").is_file()
