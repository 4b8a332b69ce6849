"""What the tests of the fit loop share: runs in processes of their own, and their weights."""

import itertools
from pathlib import Path

import torch
from programs import run_program
from torch.nn.functional import mse_loss

from monarch_core.training.checkpoint import load_checkpoint

TESTS = Path(__file__).parent
PREPARED = """
import os, random, signal, sys
from pathlib import Path
import numpy as np
import torch
from torch.nn.functional import mse_loss
sys.path.insert(0, sys.argv[1])
from tiny_problem import TinyData, TinyModel
from monarch_core.training.config import FitConfig
from monarch_core.training.fit import fit

torch.set_num_threads(1)
values = dict(
    batch_size=4, learning_rate=0.01, transform_learning_rate=1e-3, accelerator="cpu"
)
"""


def run_prepared(code, folder, argument):
    """Run the tiny problem's names and then `code`, which finds `argument` in sys.argv[2]."""
    script = folder / "script.py"
    script.write_text(PREPARED + code)
    done = run_program(script, TESTS, argument, imports=("monarch_core.training.fit",))
    assert done.returncode == 0, done.stderr


def counted(change):
    """Return the loss after `change(number of the call, value)`."""
    calls = itertools.count()
    return lambda prediction, target: change(next(calls), mse_loss(prediction, target))


def final_weights(run_dir):
    return load_checkpoint(run_dir / "checkpoint.pt")["model"]


def assert_same_weights(a, b, **tolerance):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], **(tolerance or {"rtol": 0, "atol": 0}))
