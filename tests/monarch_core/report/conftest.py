"""Fake runs, written to disk as real ones are."""

import json

import numpy as np
import pytest

from monarch_core.report.compare.groups import group_runs
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render import fields, lines
from monarch_core.runs.artifacts import Comparison, Curve, Picture, Table, save_artifacts

TRANSFORMS = {
    "fft": {"name": "fft", "axis": {"_target_": "monarch_core.Fourier", "_partial_": True}},
    "monarch": {"name": "monarch", "axis": {"_target_": "monarch_core.Monarch", "heads": 1}},
    "monarch_frozen": {"name": "monarch_frozen", "axis": {"_target_": "monarch_core.Monarch"}},
    "dense": {"name": "dense", "axis": {"_target_": "monarch_core.Dense"}},
}


def smooth_field(seed, shape=(11, 14)):
    """Return a smooth random field of standard deviation one."""
    noise = np.random.default_rng(seed).normal(size=shape)
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) * n for n in shape), indexing="ij")
    field = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-np.hypot(*frequencies) / 2)).real
    return (field - field.mean()) / field.std()


def artifacts_of(error, seed):
    """Return one artifact of every kind, with an error that can be told from the outside."""
    x = np.linspace(1, 4, 9)
    truth = smooth_field(0)
    return [
        Curve("over_time", "Error over time", "t", "error", x, error * x),
        Curve("spectrum", "Spectrum", "k", "E", x, x**-3 * (1 + error), x_scale="log"),
        Curve("spectrum", "Spectrum", "k", "E", x, x**-3, x_scale="log", shared=True),
        Comparison("field", "Vorticity", "1/s", truth, truth + error * smooth_field(seed + 1)),
        Picture("matrix", "Learned matrix", np.abs(smooth_field(seed + 2)), "in", "out"),
        Table("distance", "Distance", ["layer", "distance"], [["1", error], ["2", 2 * error]]),
    ]


@pytest.fixture
def runs(tmp_path):
    """Folder below which `make_run` writes."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def make_run(runs):
    """Return a function that writes one finished run and returns its folder."""
    counter = iter(range(10**6))

    def make(
        transform="monarch",
        *,
        seed=0,
        error=0.03,
        metrics=None,
        config=None,
        n_epochs=0,
        artifacts=False,
        name=None,
        **changes,
    ):
        folder = runs / (name or f"run-{next(counter):03d}-{transform}-{seed}")
        folder.mkdir(parents=True)
        settings = {
            "dataset": {"name": "navier_stokes", "viscosity": 1e-3},
            "model": {"name": "fno", "width": 20},
            "transform": TRANSFORMS.get(transform, {"name": transform}),
            "fit": {"epochs": 30, "learning_rate": 1e-3},
            "seed": seed,
        }
        for key, value in (config or {}).items():
            *parents, last = key.split(".")
            node = settings
            for parent in parents:
                node[parent] = dict(node.get(parent, {}))
                node = node[parent]
            node[last] = value
        results = {
            "task": "pde",
            "dataset": settings["dataset"]["name"],
            "model": settings["model"]["name"],
            "transform": transform,
            "seed": seed,
            "split_sizes": {"train": 160, "valid": 20, "test": 20},
            "metrics": {"relative_l2": error, "h1_error": 3 * error} | (metrics or {}),
            "n_parameters": 900_000 if transform == "dense" else 465_557,
            "command": f"python pde/train.py transform={transform} seed={seed}",
            "train_seconds": 90.0,
            "seconds_per_epoch": 3.0 if transform == "fft" else 6.3,
            "peak_memory_bytes": 610_000_000,
            "device": "cpu, 2 threads",
            "versions": {"python": "3.11.9", "torch": "2.13.0"},
            "git_commit": "0123abc",
            "config": settings,
        }
        (folder / "results.json").write_text(json.dumps(results | changes))
        if n_epochs:
            epochs = [
                {"epoch": e, "train_loss": 20 * error / e, "valid_error": error * (1 + 1 / e)}
                for e in range(1, n_epochs + 1)
            ]
            (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in epochs))
        if artifacts:
            save_artifacts(folder, artifacts_of(error, seed))
        return folder

    return make


@pytest.fixture
def make_failed(runs):
    """Return a function that writes a run that ended with an error."""

    def make(name="failed", text="Traceback\n  ...\nValueError: loss is nan; lower the rate\n\n"):
        folder = runs / name
        folder.mkdir()
        (folder / "config.yaml").write_text("seed: 0\n")
        (folder / "failure.txt").write_text(text)
        return folder

    return make


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures themselves instead of turning them into images."""
    figures = []

    def keep(figure):
        figures.append(figure)
        return b""

    monkeypatch.setattr(lines, "png_of", keep)
    monkeypatch.setattr(fields, "png_of", keep)
    return figures


@pytest.fixture
def groups(runs):
    """Return a function that groups what has been written so far."""
    return lambda: group_runs(collect_runs([runs]))
