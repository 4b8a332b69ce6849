"""Why a loss is NaN or infinite: the data, the loss itself, or a training that diverged."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

DIVERGED = (
    "the data of this batch are finite, so the training diverged: lower fit.learning_rate or "
    "fit.transform_learning_rate, set fit.gradient_clip=1, or use fit.precision=32-true"
)


class NonFiniteError(ValueError):
    """A loss, a gradient or a validation error is NaN or infinite."""


@dataclass(frozen=True)
class Batch:
    """What a loss was computed from.

    Attributes:
        split: its name.
        indices: of the samples in the split.
        inputs: of the model, with samples along the first axis.
        target: what was to be predicted.
    """

    split: str
    indices: Sequence[int]
    inputs: Sequence[Tensor]
    target: Tensor


@torch.no_grad()
def find_cause(batch: Batch, loss: Loss) -> str | None:
    """Return what is wrong with the data of a batch, naming the samples; None if nothing is.

    A loss that is not finite for the target itself as prediction is undefined there, as a relative
    error is where the target is zero.
    """
    parts = {**{f"input {i}": x for i, x in enumerate(batch.inputs)}, "the target": batch.target}
    for name, values in parts.items():
        guilty = [row for row, x in enumerate(values) if not torch.isfinite(x).all()]
        if guilty:
            return (
                f"{name} of {_samples(batch, guilty)} already held NaN or infinite values, so the "
                "data need repair: look for them there, or make the data again"
            )
    rows = [target[None] for target in batch.target]
    undefined = [row for row, x in enumerate(rows) if not math.isfinite(loss(x, x))]
    if undefined:
        zero = all(not batch.target[row].any() for row in undefined)
        held = "is zero everywhere" if zero else "may be zero in a frame"
        return (
            f"the target of {_samples(batch, undefined)} {held}, so even a perfect prediction has "
            f"no finite {_name(loss)}: leave such samples out, or take a loss that does not divide "
            "by the norm of the target"
        )
    return None


def _samples(batch: Batch, rows: Sequence[int]) -> str:
    numbers = [str(batch.indices[row]) for row in rows[:3]]
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    word = "sample" if len(rows) == 1 else "samples"
    return f"{word} {', '.join(numbers)}{more} of the {batch.split} split (counted from 0)"


def _name(loss: Loss) -> str:
    return getattr(loss, "__name__", "loss").strip("<>")
