"""Choose the regularisation weight of a reconstruction on the validation split."""

import math
from collections.abc import Sequence, Sized

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from mri.metrics.losses import mean_squared


class Regularised(nn.Module):
    """A model with a saved weight `lamda`, at first the first of the values to choose it from.

    Args:
        candidates: those values.

    Raises:
        ValueError: if there is no candidate, or one is negative or not finite.
    """

    lamda: Tensor

    def __init__(self, candidates: Sequence[float]) -> None:
        super().__init__()
        if len(candidates) == 0 or not all(0 <= c < math.inf for c in candidates):
            raise ValueError(
                "model.candidates must hold at least one weight, all finite and not negative, got "
                f"{list(candidates)}; 0.001 to 0.1 is usual"
            )
        self.candidates = tuple(candidates)
        self.register_buffer("lamda", torch.tensor(self.candidates[0]))


@torch.no_grad()
def choose_lamda(
    model: nn.Module, valid: Dataset, n_slices: int = 16, *, has_phase: bool = True
) -> dict[float, float]:
    """Set `model.lamda` to the candidate with the smallest error, and return every error.

    The error is the mean of |p - t|^2 over `n_slices` slices spread evenly over the split, of
    (|p| - |t|)^2 where targets have no phase. A model without a weight, or with a single candidate,
    is left as it is.

    Args:
        model: reconstruction; changed in place.
        valid: validation split, yielding ((k-space, maps, mask), target).
        n_slices: how many slices to use.
        has_phase: targets are complex images, not root sums of squares.

    Raises:
        ValueError: if the validation split is empty, or an error is not finite.
    """
    if not isinstance(model, Regularised) or len(model.candidates) == 1:
        return {}
    assert isinstance(valid, Sized)
    if len(valid) == 0:
        raise ValueError("the validation split is empty; give it one scan, or one candidate lamda")
    chosen = np.linspace(0, len(valid) - 1, min(n_slices, len(valid))).round().astype(int)
    samples = [default_collate([valid[i]]) for i in chosen]
    errors = {}
    for lamda in model.candidates:
        model.lamda.fill_(lamda)
        pairs = [(model(*inputs), target) for inputs, target in samples]
        if not has_phase:
            pairs = [(p.abs().to(p.dtype), t.abs().to(t.dtype)) for p, t in pairs]
        losses = [float(mean_squared(p, t)) for p, t in pairs]
        errors[lamda] = float(np.mean(losses))
    undefined = [lamda for lamda, error in errors.items() if not math.isfinite(error)]
    if undefined:
        raise ValueError(
            f"model.candidates: the weight {undefined[0]:g} has an error of {errors[undefined[0]]} "
            "on the validation slices, which cannot be compared; leave it out, or repair the data"
        )
    model.lamda.fill_(min(errors, key=errors.__getitem__))
    return errors
