"""The first command that a user tries: it makes data, trains, evaluates and can be reported."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("task", "metric"), [("pde", "relative_l2"), ("mri", "psnr"), ("sparse", "loss")]
)
def test_smoke(tmp_path, task, metric):
    def call(*command):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    call(ROOT / task / "train.py", "experiment=smoke")
    (results,) = tmp_path.glob("runs/*/*/results.json")
    found = json.loads(results.read_text())
    assert math.isfinite(found["metrics"][metric])
    assert found["train_seconds"] < 30
    call("-m", "monarch_core.report", "runs", "--out", "report")
    assert (tmp_path / "report" / "index.html").is_file()
