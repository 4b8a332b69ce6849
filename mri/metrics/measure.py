"""Measure a reconstruction, and zero-filled SENSE beside it, on the test split."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from monarch_core import Fourier, prepared
from monarch_core.runs.folder import RunFolder
from monarch_core.training.devices import choose_accelerator
from mri.config.run import EvaluationConfig, MriConfig
from mri.dataset.held_out import HeldOut
from mri.dataset.splits import SliceDataset, Splits
from mri.metrics.presets import Preset, find_preset
from mri.metrics.scores import METRICS, Score, Volume, mean_over_scans, reconstruct, score
from mri.metrics.volumes import check_volume_size
from mri.models.sense import SenseReconstruction
from mri.models.tuning import Regularised
from mri.physics.axis_transforms import axis_transforms

MODEL, ZERO_FILLED = "model", "zero-filled"
SEEN, UNSEEN = "seen", "unseen"
UNSEEN_OFFSET = 1000  # far from the seeds 0, 1, 2, .. of ordinary runs
_UNSEEN_TRIES = 20  # equispaced lines have few offsets, so another seed may give the same mask
# Metrics that results.json also gives for zero-filled SENSE, for each echo and for unseen masks.
DETAILED = ("psnr", "psnr_magnitude", "ssim")


@dataclass(frozen=True)
class Measured:
    """What a model does on the test split of its run.

    Attributes:
        metrics: numbers by name; the first is the main one.
        scores: of each scan, echo, method and kind of mask.
        shown: every echo of the first test scan, reconstructed by `MODEL` and `ZERO_FILLED`.
        preset: of the metrics.
    """

    metrics: dict[str, float]
    scores: list[Score]
    shown: list[Volume]
    preset: Preset

    @property
    def required(self) -> list[str]:
        """Metrics that must be finite; the PSNR of images without any error is not."""
        return [name for name in METRICS if self.metrics[name] != math.inf]


@torch.no_grad()
def measure(model: nn.Module, splits: Splits | HeldOut, config: MriConfig) -> Measured:
    """Measure a model, in evaluation mode, with the masks of the config and with unseen ones.

    Raises:
        ValueError: a metric is not defined.
    """
    methods: dict[str, nn.Module] = {
        MODEL: prepared(model),
        ZERO_FILLED: SenseReconstruction(axis_transforms(Fourier, splits.grid, inverse=True)),
    }
    preset = find_preset(config.evaluation.preset)
    kinds = {SEEN: splits.test}
    if config.evaluation.unseen_mask:
        kinds[UNSEEN] = with_unseen_masks(splits.test)
    scores: list[Score] = []
    shown: list[Volume] = []
    device = torch.device(choose_accelerator(config.fit.accelerator))
    for masks, test in kinds.items():
        for volume in reconstruct(methods, test, config.fit.batch_size, device):
            if masks == SEEN and volume.scan == test.scan_ids[0]:
                shown.append(volume)
            scores += score(volume, preset, masks, test.acceleration_of(volume.scan))
    lamda = {"lamda": float(model.lamda)} if isinstance(model, Regularised) else {}
    return Measured({**summarise(scores), **lamda}, scores, shown, preset)


def summarise(scores: Sequence[Score]) -> dict[str, float]:
    """Return the metrics of results.json: means over test scans, echoes of a scan averaged first.

    The plain names are the model with the masks of the config. A suffix names zero-filled SENSE,
    one echo, or unseen masks; `psnr_gain` is the PSNR above zero-filled SENSE, in dB.
    """
    own = [s for s in scores if (s.method, s.masks) == (MODEL, SEEN)]
    metrics = {metric: mean_over_scans(own, metric)[0] for metric in METRICS}
    groups = {
        "zero_filled": [s for s in scores if (s.method, s.masks) == (ZERO_FILLED, SEEN)],
        "unseen_mask": [s for s in scores if (s.method, s.masks) == (MODEL, UNSEEN)],
        "zero_filled/unseen_mask": [
            s for s in scores if (s.method, s.masks) == (ZERO_FILLED, UNSEEN)
        ],
    }
    echoes = list(dict.fromkeys(s.echo for s in own))
    if len(echoes) > 1:
        groups |= {echo: [s for s in own if s.echo == echo] for echo in echoes}
    for name, members in groups.items():
        if members:
            metrics |= {f"{m}/{name}": mean_over_scans(members, m)[0] for m in DETAILED}
    metrics["psnr_gain"] = metrics["psnr"] - metrics["psnr/zero_filled"]
    return metrics


def check_evaluation(config: EvaluationConfig, test: SliceDataset) -> None:
    """Check before long work that the metrics will be defined on the test split.

    Raises:
        ValueError: if complex images are to be compared with targets without a phase, SSIM needs
            larger volumes than a scan has, or an unseen mask cannot be made.
    """
    preset = find_preset(config.preset)
    if "complex" in (preset.psnr.domain, preset.error.domain):
        _require_phase(test, f"evaluation.preset={preset.name}", "evaluation.preset=fastmri")
    if config.unseen_mask:
        with_unseen_masks(test)
    for scan in test.scan_ids:
        n_slices = len({test.key(i).slice_index for i in test.slices_of(scan)})
        check_volume_size((n_slices, *test.grid), preset)


def check_loss(name: str, test: SliceDataset) -> None:
    """Check before training that a loss is defined on images such as those of the test split.

    Raises:
        ValueError: if complex images are to be compared with targets without a phase.
    """
    if name != "l1_magnitude":
        _require_phase(test, f"loss={name}", "loss=l1_magnitude evaluation.preset=fastmri")


def _require_phase(test: SliceDataset, what: str, instead: str) -> None:
    if not test.targets_have_phase:
        raise ValueError(
            f"the targets are root sums of squares and have no phase, but {what} compares complex "
            f"images; use {instead}, or dataset.target=sense"
        )


def validation_loss(run_dir: Path) -> dict[str, float]:
    """Return the validation loss by which the weights were chosen, if it was logged."""
    best = RunFolder(run_dir).log.best()
    return {"loss_valid": best["valid_error"]} if best else {}


def with_unseen_masks(test: SliceDataset) -> SliceDataset:
    """Return the same slices under a mask that training, whose mask they have, never saw.

    Raises:
        ValueError: there is no other mask.
    """
    first = test.scan_ids[0]
    for offset in range(UNSEEN_OFFSET, UNSEEN_OFFSET + _UNSEEN_TRIES):
        others = test.with_mask_seed(test.config.mask_seed + offset)
        if not torch.equal(others.mask_of(first), test.mask_of(first)):
            return others
    raise ValueError(
        f"evaluation.unseen_mask needs a mask that training never saw, but all with dataset.mask="
        f"{test.config.mask} and dataset.acceleration={test.config.acceleration:g} are the one of "
        "training; leave it out"
    )
