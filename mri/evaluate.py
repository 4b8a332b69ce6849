"""Evaluate a finished run from its folder: `python mri/evaluate.py run=RUN_DIR`."""

import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monarch_core.runs.artifacts import Artifact, save_artifacts
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.home import expand_home
from monarch_core.runs.lock import occupied
from monarch_core.runs.results import report_metrics, write_results
from monarch_core.runs.start import load_config, run_to_read, user_errors
from monarch_core.training.devices import choose_accelerator
from monarch_core.training.optimization import n_parameters
from monarch_core.training.recipe import load_trained
from monarch_core.training.transform_config import axis_transform
from monarch_core.transforms import Fourier
from mri.config.run import MriConfig
from mri.dataset.splits import SliceDataset, load_splits
from mri.figures import draw_reconstruction, tabulate_scores
from mri.learned import describe_transforms
from mri.metrics.measure import METRICS, Score, mean_over_scans, reconstruct, score, write_scans
from mri.metrics.presets import Preset, find_preset
from mri.metrics.volumes import check_volume_size
from mri.models import build_model
from mri.models.sense import SenseReconstruction
from mri.models.tuning import Regularised
from mri.physics.encoding import axis_transforms

MODEL, ZERO_FILLED = "model", "zero-filled"
SEEN, UNSEEN = "seen", "unseen"
UNSEEN_OFFSET = 1000  # far from the seeds 0, 1, 2, .. of ordinary runs
# Metrics that results.json also gives for zero-filled SENSE, for each echo and for unseen masks.
DETAILED = ("psnr", "psnr_magnitude", "ssim")


def evaluate(run_dir: Path, evaluation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Measure the model of a run on its test split and leave the numbers in the run folder.

    Leaves `results.json`, `scans.csv` (one line per scan, echo, method and kind of mask) and
    `artifacts.npz`. Zero-filled SENSE with the FFT is measured beside the model, on the same data.

    Args:
        run_dir: a run folder with `config.yaml` and `weights.pt`.
        evaluation: values that take the place of the run's, and stand in the config of
            results.json; config.yaml stays what the run was trained with.

    Returns:
        What is in `results.json`.

    Raises:
        ValueError: if the folder is no run or in use, its weights do not fit, or a metric is not
            defined.
        OSError: if the numbers were logged but the files cannot be written.
    """
    with occupied(run_dir):
        return _evaluate(run_dir, evaluation or {})


def _evaluate(run_dir: Path, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    config = load_config(run_dir, MriConfig, {"evaluation": evaluation})
    preset = find_preset(config.evaluation.preset)
    splits = load_splits(config.dataset)
    model = build_model(config.model, partial(axis_transform, config.transform), splits.grid)
    load_trained(run_dir, model, config, splits.fingerprints)
    device = torch.device(choose_accelerator(config.fit.accelerator))
    methods: dict[str, nn.Module] = {
        MODEL: model.to(device).eval(),
        ZERO_FILLED: SenseReconstruction(axis_transforms(Fourier, splits.grid, inverse=True)),
    }
    scores, artifacts = _measure(methods, splits.test, SEEN, config, preset, device)
    if config.evaluation.unseen_mask:
        unseen = _with_unseen_masks(splits.test)
        scores += _measure(methods, unseen, UNSEEN, config, preset, device)[0]
    metrics = {**summarise(scores), **_validation_loss(run_dir), **_lamda(model)}
    perfect = [name for name in METRICS if metrics[name] == math.inf]  # a PSNR without any error
    report_metrics(run_dir, metrics, required=[name for name in METRICS if name not in perfect])
    write_scans(run_dir, scores, preset)
    mask = splits.test.mask_of(splits.test.scan_ids[0])
    artifacts += [*tabulate_scores(scores, preset), *describe_transforms(model.cpu(), mask)]
    save_artifacts(run_dir, artifacts)
    return write_results(
        run_dir,
        task="mri",
        dataset=config.dataset.name,
        model=config.model.name,
        transform=config.transform.name,
        seed=config.seed,
        split_sizes={n: len(getattr(splits, n)) for n in ("train", "valid", "test")},
        metrics=metrics,
        n_parameters=n_parameters(model),
        config=config,
        fingerprints=splits.fingerprints,
    )


def check_evaluation(config: MriConfig, test: SliceDataset) -> None:
    """Check before training that the loss and the metrics will be defined on the test split.

    Raises:
        ValueError: if complex images are to be compared with targets without a phase, SSIM needs
            larger volumes than a scan has, or an unseen mask cannot be made.
    """
    preset = find_preset(config.evaluation.preset)
    if not test.targets_have_phase and (
        config.loss != "l1_magnitude" or "complex" in (preset.psnr.domain, preset.error.domain)
    ):
        raise ValueError(
            "the targets are root sums of squares and have no phase, but loss="
            f"{config.loss} and evaluation.preset={preset.name} compare complex images; use "
            "loss=l1_magnitude evaluation.preset=fastmri, or dataset.target=sense"
        )
    if config.evaluation.unseen_mask:
        _with_unseen_masks(test)
    for scan in test.scan_ids:
        n_slices = len({test.key(i).slice_index for i in test.slices_of(scan)})
        check_volume_size((n_slices, *test.grid), preset)


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


def _validation_loss(run_dir: Path) -> dict[str, float]:
    """Return the validation loss by which the weights were chosen, if it was logged."""
    best = RunFolder(run_dir).log.best()
    return {"loss_valid": best["valid_error"]} if best else {}


def _lamda(model: nn.Module) -> dict[str, float]:
    """Return the regularisation weight that was chosen on the validation split, if there is one."""
    return {"lamda": float(model.lamda)} if isinstance(model, Regularised) else {}


def _with_unseen_masks(test: SliceDataset) -> SliceDataset:
    return test.with_mask_seed(test.config.mask_seed + UNSEEN_OFFSET)


def _measure(
    methods: Mapping[str, nn.Module],
    test: SliceDataset,
    masks: str,
    config: MriConfig,
    preset: Preset,
    device: torch.device,
) -> tuple[list[Score], list[Artifact]]:
    """Return the scores of every scan, and images of the first one."""
    scores: list[Score] = []
    images: list[Artifact] = []
    for volume in reconstruct(methods, test, config.fit.batch_size, device):
        if volume.scan == test.scan_ids[0]:
            images.append(
                draw_reconstruction(volume, MODEL, ZERO_FILLED, unit=test.info(volume.scan).units)
            )
        scores += score(volume, preset, masks, test.acceleration_of(volume.scan))
    return scores, images


@hydra.main(version_base="1.3", config_path="../configs", config_name="evaluate")
@user_errors
def main(raw: DictConfig) -> None:
    """Evaluate one run again and log its numbers."""
    evaluate(run_to_read(raw), raw.evaluation)


if __name__ == "__main__":
    sys.argv[1:] = expand_home(sys.argv[1:])
    main()
