"""The training loss of all networks, which is also what the validation split chooses by."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from sparse.dataset.windows import NOT_MASKED


def cross_entropy(
    logits: Shaped[Tensor, "..."], target: Int[Tensor, "*batch"]
) -> Float[Tensor, ""]:
    """Return the mean of -log p(target) over all targets that count, in nats.

    Whole numbers in the place of logits are a prediction without doubt: 0 where all are right.

    Args:
        logits: (*batch, classes), with p = softmax(logits); or whole numbers (*batch).
        target: classes or tokens; `NOT_MASKED` does not count.
    """
    if not logits.is_floating_point():
        wrong = (logits != target) & (target != NOT_MASKED)
        return torch.where(wrong.any(), torch.inf, 0.0)
    return functional.cross_entropy(
        logits.flatten(0, -2), target.flatten(), ignore_index=NOT_MASKED
    )
