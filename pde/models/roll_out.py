"""The roll-out in time that turns a network from frames to frames into a trajectory."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset

from monarch_core.transforms import prepared

Sample = tuple[tuple[Tensor, ...], Tensor]
Step = Callable[[Tensor], Tensor]
NORMALIZATIONS = ("field", "role", "none")


class RollOut(nn.Module):
    """Predict a trajectory from its first frames, one application of a network at a time.

        w[t], ..., w[t + s - 1] = step(w[t - n_input_frames], ..., w[t - 1])

    The s predicted frames (one for most networks) are fed back as input until there are enough,
    and back-propagation runs through all applications. Where the true frames are given, every step
    starts from them instead (teacher forcing), all but the first side by side. Means and standard
    deviations are part of the model (`normalize_to`) and saved with its weights, so that inputs and
    outputs are in physical units.

    Args:
        step: network from (batch, n_input_frames, *grid) to (batch, s, *grid), of unit scale.
        n_steps: frames to predict unless `forward` is told otherwise.
        normalization: "field" scales all frames alike; "role" scales inputs and outputs each by
            their own mean and deviation, for data in which they are two quantities and nothing is
            fed back; "none" leaves them as they are.
        checkpoint_steps: in training, keep only the input of every step, and compute the step again
            for the gradient: memory of one step beside the frames, for a second forward pass.

    Raises:
        ValueError: for an unknown normalization.
    """

    mean: Tensor
    std: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(
        self,
        step: nn.Module,
        n_steps: int,
        normalization: str = "field",
        *,
        checkpoint_steps: bool = False,
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}"
            )
        self.step = step
        self.n_steps = n_steps
        self.normalization = normalization
        self.checkpoint_steps = checkpoint_steps
        for role in ("", "output_"):
            self.register_buffer(f"{role}mean", torch.zeros(()))
            self.register_buffer(f"{role}std", torch.ones(()))

    def normalize_to(self, train: Dataset[Sample]) -> None:
        """Take mean and standard deviation of the frames of the training split.

        Raises:
            ValueError: if all frames are one constant.
        """
        samples = [train[i] for i in range(len(train))]  # type: ignore[arg-type]
        if self.normalization == "none":
            return
        if self.normalization == "field":
            inputs = outputs = _mean_and_std(
                torch.cat((past, future)) for (past,), future in samples
            )
        else:
            inputs = _mean_and_std(past for (past,), _ in samples)
            outputs = _mean_and_std(future for _, future in samples)
        for buffer, value in zip(
            (self.mean, self.std, self.output_mean, self.output_std),
            (*inputs, *outputs),
            strict=True,
        ):
            buffer.fill_(value)

    def forward(
        self,
        frames: Float[Tensor, "batch n_input_frames *grid"],
        truth: Float[Tensor, "batch n_steps *grid"] | None = None,
        *,
        n_steps: int | None = None,
    ) -> Float[Tensor, "batch n_steps *grid"]:
        """Return the next `n_steps` frames, in the unit of the output.

        Args:
            frames: where to start.
            truth: the frames to predict, for teacher forcing.
            n_steps: how many to predict; by default those of the data set.

        Raises:
            ValueError: `truth` and `n_steps` are both given.
        """
        if truth is not None:
            if n_steps is not None:
                raise ValueError(
                    "truth has as many steps as it has; give truth or n_steps, not both"
                )
            n_steps = truth.shape[1]
        n_steps = n_steps or self.n_steps
        checkpointed = self.checkpoint_steps and torch.is_grad_enabled()
        step: Step = prepared(self.step)
        if checkpointed:
            step = partial(checkpoint, step, use_reentrant=False)
        start = (frames - self.mean) / self.std
        if truth is None:
            predictions = _roll_out(step, start, n_steps)
        else:
            known = torch.cat((start, (truth[:, :-1] - self.mean) / self.std), dim=1)
            predictions = _forced(step, known, n_steps, side_by_side=not checkpointed)
        return torch.cat(predictions, dim=1)[:, :n_steps] * self.output_std + self.output_mean


def _roll_out(step: Step, window: Tensor, n_steps: int) -> list[Tensor]:
    """Return what is predicted where every application starts from the one before."""
    n = window.shape[1]
    predictions: list[Tensor] = []
    while sum(part.shape[1] for part in predictions) < n_steps:
        predictions.append(step(window))
        window = torch.cat((window, predictions[-1]), dim=1)[:, -n:]
    return predictions


def _forced(step: Step, known: Tensor, n_steps: int, *, side_by_side: bool) -> list[Tensor]:
    """Return what is predicted where every application starts from known frames."""
    n = known.shape[1] - n_steps + 1
    first = step(known[:, :n])
    n_each = first.shape[1]
    windows = [known[:, i : i + n] for i in range(n_each, n_steps, n_each)]
    if side_by_side and windows:
        return [first, *step(torch.cat(windows)).chunk(len(windows))]
    return [first, *map(step, windows)]


def _mean_and_std(fields: Iterable[Tensor]) -> tuple[float, float]:
    """Return mean and standard deviation of all values, summed in double precision."""
    n, total, squares = 0, 0.0, 0.0
    for field in fields:
        values = field.double()
        n += values.numel()
        total += values.sum().item()
        squares += values.square().sum().item()
    mean = total / n
    variance = squares / n - mean**2
    if not variance > 0:
        raise ValueError(
            f"all frames of the training split have the same value {mean:g}; check the data"
        )
    return mean, math.sqrt(variance)
