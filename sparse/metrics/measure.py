"""Measure a network on the test split: what it predicts, and what that costs."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from monarch_core.runs.folder import RunFolder
from monarch_core.training.devices import choose_accelerator
from sparse.config.dataset import DatasetConfig, GlueConfig
from sparse.config.run import SparseConfig
from sparse.dataset.splits import Splits
from sparse.dataset.windows import NOT_MASKED
from sparse.metrics.binary import f1_score, matthews_correlation
from sparse.metrics.cost import count_flops
from sparse.metrics.interval import wilson_interval

# What tables of GLUE show of a task beside its accuracy.
_OF_TASK = {
    "cola": {"matthews_correlation": matthews_correlation},
    "mrpc": {"f1": f1_score},
    "qqp": {"f1": f1_score},
}


@dataclass(frozen=True)
class Measured:
    """What a network does on the test split of its run.

    Attributes:
        metrics: numbers by name; the first is the main one.
        losses: text: -log p of every token of every window, in nats; NaN where none was to be
            predicted. Images and sentences: of every sample, on an axis of one.
        confusion: how often a class (row) was taken for another (column); None for text.
    """

    metrics: dict[str, float]
    losses: Float[np.ndarray, "samples targets"]
    confusion: Int[np.ndarray, "classes classes"] | None


@torch.no_grad()
def measure(model: nn.Module, splits: Splits, config: SparseConfig) -> Measured:
    """Measure a network in evaluation mode and in float32.

    The metrics of text are `loss` in nats per predicted token, `perplexity`, and `bits_per_byte`
    where the next token is predicted and the length of a token is known; those of images
    and sentences `loss` in nats per sample, `accuracy` with its 95 % interval (Wilson), `n_errors`,
    and what tables of a task of GLUE show beside it. All have `flops`, per token or sample
    (`count_flops`).
    """
    device = torch.device(choose_accelerator(config.fit.accelerator))
    is_text = config.dataset.CONTENT == "text"
    losses, guesses, targets = [], [], []
    for (inputs,), target in DataLoader(splits.test, batch_size=config.fit.batch_size):
        logits = model(inputs.to(device)).float()
        losses.append(_losses(logits, target.to(device)).cpu())
        guesses.append(logits.argmax(-1).cpu())
        targets.append(target)
    loss, target = torch.cat(losses), torch.cat(targets)
    # What the network makes NaN is no target left out: the mean is NaN then, and no result.
    mean_loss = loss[target != NOT_MASKED].mean(dtype=torch.float64)
    mean = float(mean_loss)
    confusion = None
    if is_text:
        metrics = {"loss": mean, "perplexity": float(mean_loss.exp())}
        if splits.bytes_per_token is not None and not config.model.IS_MASKED:
            metrics["bits_per_byte"] = mean / math.log(2) / splits.bytes_per_token
    else:
        n_classes = len(splits.classes)
        pairs = target * n_classes + torch.cat(guesses)
        counts = torch.bincount(pairs, minlength=n_classes**2)
        confusion = counts.view(n_classes, n_classes).numpy()
        right = _accuracy(int(confusion.trace()), len(target))
        metrics = {"loss": mean, **right, **_of_task(config.dataset, confusion)}
    (sample,), _ = splits.test[0]
    metrics["flops"] = count_flops(model, sample[None].to(device)) / (len(sample) if is_text else 1)
    return Measured(metrics, loss.numpy().reshape(len(loss), -1), confusion)


def validation_loss(run_dir: Path) -> dict[str, float]:
    """Return the validation loss by which the weights were chosen, if it was logged."""
    best = RunFolder(run_dir).log.best()
    return {"loss_valid": best["valid_error"]} if best else {}


def _losses(
    logits: Float[Tensor, "*batch classes"], target: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    losses = cross_entropy(
        logits.flatten(0, -2), target.flatten(), ignore_index=NOT_MASKED, reduction="none"
    )
    return losses.view(target.shape).where(target != NOT_MASKED, torch.nan)


def _accuracy(n_right: int, n: int) -> dict[str, float]:
    low, high = wilson_interval(n_right, n)
    return {
        "accuracy": n_right / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "n_errors": n - n_right,
    }


def _of_task(config: DatasetConfig, confusion: Int[np.ndarray, "n n"]) -> dict[str, float]:
    known = _OF_TASK.get(config.task, {}) if isinstance(config, GlueConfig) else {}
    return {name: metric(confusion) for name, metric in known.items()}
