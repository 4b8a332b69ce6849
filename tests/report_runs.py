"""Runs as they lie on the disk, written without training anything."""

import json

import numpy as np

from monarch_core.runs.artifacts import (
    Basis,
    Comparison,
    Curve,
    Picture,
    Table,
    save_artifacts,
)

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
        basis(error),
        Table("distance", "Distance", ["layer", "distance"], [["1", error], ["2", 2 * error]]),
    ]


def basis(distance, n=12):
    """Return a DFT beside one of which every row has taken up a part of its neighbour."""
    frequencies = np.arange(float(n)) - n // 2
    dft = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(n)) / n) / np.sqrt(n)
    learned = dft + distance * np.roll(dft, 1, axis=0)
    spectra = [np.abs(matrix @ dft.conj().T) for matrix in (learned, dft)]
    shown = frequencies[n // 2 + 1 : n // 2 + 4]
    rows = [matrix[n // 2 + 1 : n // 2 + 4].real for matrix in (learned, dft)]
    return Basis("learned_basis", "layer.0", shown, *rows, frequencies, *spectra)


def write_run(
    folder,
    transform="monarch",
    *,
    seed=0,
    error=0.03,
    metrics=None,
    config=None,
    n_epochs=0,
    artifacts=False,
    **changes,
):
    """Write one finished run into a new folder; `changes` are further keys of its results."""
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
