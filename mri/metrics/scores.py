"""Reconstruct scans volume by volume, and score each echo of each scan."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Complex
from torch import nn
from torch.utils.data import default_collate

from monarch_core.report.statistics import mean, means_within, spread
from monarch_core.runs.files import write_text
from monarch_core.runs.folder import RunFolder
from mri.dataset.splits import SliceDataset
from mri.metrics.presets import Preset
from mri.metrics.volumes import volume_metrics

METRICS = ("psnr", "psnr_magnitude", "ssim", "nrmse", "nmse")


@dataclass(frozen=True)
class Volume:
    """One echo of one scan, as measured and as reconstructed, in the unit of the data.

    Attributes:
        scan: name of the scan.
        echo: name of the echo or contrast.
        target: ground truth.
        predictions: the reconstruction of each method, by name.
    """

    scan: str
    echo: str
    target: Complex[np.ndarray, "slices h w"]
    predictions: Mapping[str, Complex[np.ndarray, "slices h w"]]


@dataclass(frozen=True)
class Score:
    """The metrics of one method on one echo of one scan.

    Attributes:
        scan: name of the scan.
        echo: name of the echo or contrast.
        method: name of the method.
        masks: "seen" for the sampling masks of the config (in training too, where
            dataset.mask_regime is fixed), "unseen" for others.
        acceleration: what the mask achieves, measured over kept samples.
        n_slices: slices of the volume.
        values: one number for each of `METRICS`.
    """

    scan: str
    echo: str
    method: str
    masks: str
    acceleration: float
    n_slices: int
    values: Mapping[str, float]


def reconstruct(
    methods: Mapping[str, nn.Module], dataset: SliceDataset, batch_size: int, device: torch.device
) -> Iterator[Volume]:
    """Yield every echo of every scan; one scan at a time is in memory.

    Args:
        methods: models by name, on the device.
        dataset: scans to reconstruct.
        batch_size: slices per forward pass.
        device: where the models are.
    """
    for scan in dataset.scan_ids:
        targets: dict[str, list[np.ndarray]] = {}
        images: dict[tuple[str, str], list[np.ndarray]] = {}
        items = dataset.slices_of(scan)
        for start in range(0, len(items), batch_size):
            indices = items[start : start + batch_size]
            inputs, target = default_collate([dataset[i] for i in indices])
            inputs = [tensor.to(device) for tensor in inputs]
            with torch.no_grad():
                outputs = {name: model(*inputs).cpu().numpy() for name, model in methods.items()}
            for row, index in enumerate(indices):
                for column, echo in enumerate(dataset.key(index).echo_names):
                    targets.setdefault(echo, []).append(target[row, column].numpy())
                    for name, output in outputs.items():
                        images.setdefault((echo, name), []).append(output[row, column])
        for echo, slices in targets.items():
            predictions = {name: np.stack(images.pop((echo, name))) for name in methods}
            yield Volume(scan, echo, np.stack(slices), predictions)


def score(volume: Volume, preset: Preset, masks: str, acceleration: float) -> list[Score]:
    """Return one score per method.

    Raises:
        ValueError: if a metric is not defined; names scan, echo and method.
    """
    scores = []
    for method, prediction in volume.predictions.items():
        try:
            values = volume_metrics(prediction, volume.target, preset)
        except ValueError as error:
            where = f"scan {volume.scan}, {volume.echo}, {method}"
            raise ValueError(f"{where}: {error}") from error
        n_slices = len(volume.target)
        scores.append(
            Score(volume.scan, volume.echo, method, masks, acceleration, n_slices, values)
        )
    return scores


def mean_over_scans(scores: Sequence[Score], metric: str) -> tuple[float, float | None]:
    """Return mean and standard error over scans; the echoes of a scan are averaged first.

        mean = 1/n sum_i m_i,   error = sqrt(sum_i (m_i - mean)^2 / (n - 1)) / sqrt(n)

    The error is None for a single scan, and where a mean is infinite (the PSNR of a scan that was
    reproduced exactly).

    Raises:
        ValueError: if there is no score, or one is NaN.
    """
    undefined = [f"scan {s.scan}, {s.echo}" for s in scores if math.isnan(s.values[metric])]
    if undefined or not scores:
        raise ValueError(
            f"a mean of {metric} needs a number for every scan, got "
            f"{'NaN for ' + undefined[0] if undefined else 'no scan'}; measure the run again"
        )
    means = means_within((entry.scan, entry.values[metric]) for entry in scores)
    return mean(means), spread(means).standard_error


def write_scans(run_dir: Path, scores: Sequence[Score], preset: Preset) -> None:
    """Write `scans.csv` into a run folder: one line per scan, echo, method and kind of mask."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["scan", "echo", "method", "masks", "acceleration", "n_slices", "preset"]
    writer.writerow([*head, *METRICS])
    for entry in scores:
        numbers = [entry.values[metric] for metric in METRICS]
        facts = [entry.scan, entry.echo, entry.method, entry.masks]
        writer.writerow([*facts, entry.acceleration, entry.n_slices, preset.name, *numbers])
    write_text(RunFolder(run_dir).scans, text.getvalue())
