"""A kill at any moment loses nothing that was finished, and the end is the same, bit for bit."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kills import Options, main

ROOT = Path(__file__).parents[2]


def test_killed_jobs_end_as_undisturbed_ones(tmp_path):
    # in a process of its own, since the jobs are forked from it
    command = [sys.executable, "-m", "benchmarks.kills", f"out={tmp_path}/kills", "moments=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["pde", "mri", "burgers", "mri_phantom"]
    for line in lines:
        assert "kills met it at work" in line
        assert line.endswith("0 runs did finished work again, 0 ended with other bits")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("jobs=pde,tea", "jobs must be among pde, mri, .*, got tea"),
        ("moments=0", "at least 1, got"),
    ],
)
def test_a_wrong_option_is_named(argument, message):
    with pytest.raises(ValueError, match=message):
        main([argument])
    assert Options().names == ["pde", "mri", "burgers", "mri_phantom"]
