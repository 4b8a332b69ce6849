"""
An operator on your own data
============================

A file of your own, two trainings that differ in one word, and a table. Only what the file does not
say itself has to be said.
"""

# %%
# The file
# --------
# Any array of NumPy, PyTorch, MATLAB or HDF5 will do. Here: waves between two walls in a medium
# whose speed is a fixed function of place, 800 samples at t = 0 and t = 1 on 128 points.

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

n, n_samples = 128, 800
rng = np.random.default_rng(0)
x = np.arange(1, n + 1) / (n + 1)
c2 = np.exp(np.repeat(rng.uniform(-0.7, 0.7, 8), n // 8))  # squared wave speed, in 8 layers
gradient = (np.eye(n + 1, n) - np.eye(n + 1, n, k=-1)) * (n + 1)
between = np.concatenate(([c2[0]], (c2[1:] + c2[:-1]) / 2, [c2[-1]]))
eigenvalues, modes = np.linalg.eigh(gradient.T @ (between[:, None] * gradient))

k = np.arange(1, 33)
amplitudes = rng.normal(size=(n_samples, 32)) * np.exp(-((0.06 * np.pi * k) ** 2) / 2)
before = amplitudes @ np.sin(np.pi * np.outer(k, x))
after = before @ modes @ np.diag(np.cos(np.sqrt(eigenvalues))) @ modes.T

folder = Path(tempfile.mkdtemp())
np.save(folder / "own.npy", np.stack([before, after], axis=1).astype(np.float32))

figure, axes = plt.subplots(layout="constrained")
axes.plot(x, before[0], label="t = 0")
axes.plot(x, after[0], label="t = 1")
axes.set(xlabel="x (lengths of the domain)", ylabel="u")
axes.legend()

# %%
# Is it worth a try?
# ------------------
# ``pde/diagnose.py`` compares, before any training, the best linear map that is diagonal in the
# Fourier basis with the best one of any kind.

ROOT = Path.cwd().parents[1]  # the checkout
OWN = f"dataset.path={folder}/own.npy dataset.axes=[trajectory,time,x] dataset.periodic=[false]"


def run(command: str) -> None:
    """Run a command from the checkout and show what it says."""
    words = [sys.executable if word == "python" else word for word in command.split()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).replace(str(folder), "FOLDER")
    print(re.sub(r"^\[.*?\] - ", "", said, flags=re.MULTILINE))  # without date and module
    done.check_returncode()


run(f"python pde/diagnose.py {OWN} model=fno_fast_1d")

# %%
# Two trainings
# -------------
# ``transform=fft`` is the control, neuralop's own layer; ``transform=monarch`` starts as the same
# function. Rates and size are those of ``experiment=wave_layered``.

NETWORK = "model=fno_fast_1d model.n_modes=32 model.hidden_channels=24 model.n_layers=2"
FIT = "fit.epochs=15 fit.batch_size=20 fit.optimizer=adam fit.n_threads=1"
PLAIN = "augment=false teacher_forcing=0"

run(
    f"python pde/train.py {OWN} {NETWORK} {FIT} {PLAIN} transform=fft fit.learning_rate=4e-2 "
    f"hydra.run.dir={folder}/runs/fft"
)

# %%
# The same with a learned transform:

run(
    f"python pde/train.py {OWN} {NETWORK} {FIT} {PLAIN} transform=monarch fit.learning_rate=2e-2 "
    f"fit.transform_learning_rate=1e-2 hydra.run.dir={folder}/runs/monarch"
)

# %%
# What happened
# -------------
# ``monarch-report FOLDER/runs`` writes a page with figures; ``--table`` a table alone.

run(f"python -m monarch_core.report {folder}/runs --short --table relative_l2")

figure, axes = plt.subplots(layout="constrained")
for name in ("fft", "monarch"):
    log = (folder / "runs" / name / "log.jsonl").read_text().splitlines()
    errors = [json.loads(line)["valid_error"] for line in log]
    axes.semilogy(range(1, len(errors) + 1), errors, label=name)
axes.set(xlabel="epoch", ylabel="relative L2, validation split")
axes.legend()

# %%
# One seed is no claim: ``monarch-sweep FOLDER/runs pde/train.py ... seed=0,1,2`` repeats both. The
# network is on disk: ``python pde/evaluate.py run=FOLDER/runs/monarch`` measures it again, and
# ``python pde/export.py run=FOLDER/runs/monarch out=model.pt2`` makes one file of it.
