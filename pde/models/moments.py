"""Means and deviations of the channels of a training split, by which a model scales its fields."""

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

Sample = tuple[tuple[Tensor, ...], Tensor]
# Variance over squared mean below which a constant of the input is the same in all samples.
_ONE_VALUE = 1e-12


def moments_of(
    train: Dataset[Sample], n_channels: int, n_constants: int, *, together: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return mean and deviation of the inputs (channels, then constants) and of the outputs.

    Args:
        train: of ((past,), future), channels of a frame following each other, constants after the
            frames of the past.
        n_channels: of a frame.
        n_constants: channels of the past that do not evolve.
        together: inputs and outputs have those of all frames.

    Raises:
        ValueError: all frames of a channel are one constant.
    """

    def moments(part: Callable[[Tensor, Tensor], Tensor], n: int) -> Float[Tensor, "n 2"]:
        found = [
            _mean_and_std(part(past, future)[i::n] for (past, *_), future in _samples(train))
            for i in range(n)
        ]
        return torch.tensor(found, dtype=torch.float64).reshape(-1, 2)

    def given(past: Tensor, _: Tensor) -> Tensor:
        return past[: len(past) - n_constants]

    def all_frames(past: Tensor, future: Tensor) -> Tensor:
        return torch.cat((given(past, future), future))

    (past, *_), future = train[0]
    outputs = moments(all_frames if together else lambda _, future: future, n_channels)
    has_own = not together and len(given(past, future)) > 0
    inputs = moments(given, n_channels) if has_own else outputs
    inputs = torch.cat((inputs, _of_constants(train, n_constants)))
    return inputs[:, 0], inputs[:, 1], outputs[:, 0], outputs[:, 1]


def _samples(train: Dataset[Sample]) -> Iterable[Sample]:
    return (train[i] for i in range(len(train)))  # type: ignore[arg-type]


def _of_constants(train: Dataset[Sample], n: int) -> Float[Tensor, "n 2"]:
    """Return mean and deviation of the constants; 1 for that of one with the same value always."""
    found = []
    for i in range(n):
        mean, variance = _mean_and_variance(
            past[len(past) - n + i] for (past, *_), _ in _samples(train)
        )
        found.append((mean, math.sqrt(variance) if variance > _ONE_VALUE * mean**2 else 1.0))
    return torch.tensor(found, dtype=torch.float64).reshape(-1, 2)


def _mean_and_std(fields: Iterable[Tensor]) -> tuple[float, float]:
    mean, variance = _mean_and_variance(fields)
    if not variance > 0:
        raise ValueError(
            f"all frames of the training split have the same value {mean:g}; check the data"
        )
    return mean, math.sqrt(variance)


def _mean_and_variance(fields: Iterable[Tensor]) -> tuple[float, float]:
    """Return mean and variance of all values, summed in double precision."""
    n, total, squares = 0, 0.0, 0.0
    for field in fields:
        values = field.double()
        n += values.numel()
        total += values.sum().item()
        squares += values.square().sum().item()
    mean = total / n
    return mean, squares / n - mean**2
