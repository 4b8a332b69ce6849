"""What of a model is trained, with which optimiser and which learning rates."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LambdaLR,
    OneCycleLR,
    StepLR,
)

from monarch_core.training.config import FitConfig
from monarch_core.training.soap import Soap

ENDLESS = ("step", "constant")  # schedules that do not depend on the number of epochs


@runtime_checkable
class Schedule(Protocol):
    """Sets the rates of an optimiser, as a function of the number of steps alone."""

    def step(self) -> None: ...  # noqa: D102


def parameter_groups(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the trainable parameters of a model into those of its transforms and the others.

    A module is a transform when its attribute `is_transform` is true; everything inside it
    belongs to it.

    Returns:
        The parameters outside the transforms and those of the transforms, each in the order of
        the model and without repetitions.
    """
    transforms = [m for m in model.modules() if getattr(m, "is_transform", False)]
    inside = {id(p) for transform in transforms for p in transform.parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    return (
        [p for p in trainable if id(p) not in inside],
        [p for p in trainable if id(p) in inside],
    )


def n_parameters(model: nn.Module) -> int:
    """Return how many real numbers the model learns; a complex weight is two.

    Frozen parameters do not count, nor do buffers; a shared parameter counts once.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in trainable)


def rate_factors(model: nn.Module) -> dict[nn.Parameter, float]:
    """Return by which the learning rate of trainable parameters is multiplied, where it is.

    A layer says so itself, in a method `rate_factors()` that returns it by the name of the
    parameter. Of a parameter in two layers the first one's word counts.
    """
    found: dict[nn.Parameter, float] = {}
    for layer in model.modules():
        declared: Any = getattr(layer, "rate_factors", dict)
        for name, factor in declared().items():
            parameter = layer.get_parameter(name)
            if parameter.requires_grad:
                found.setdefault(parameter, factor)
    return found


def make_optimizer(model: nn.Module, config: FitConfig) -> Optimizer:
    """Return Adam, AdamW or SOAP with one group for the model and one for its transforms.

    Transforms have their own rate and no weight decay: decay would pull a transform that starts
    at the FFT away from it without any evidence from the data. With SOAP they are trained by
    Adam, with SOAP's decay rates. A rate of null is for `rate_by_trial` to choose before.

    With `block_rates` parameters with a factor of their own (`rate_factors`) form a group for
    each factor, after these two. Decoupled decay is divided by it: what a step takes away is the
    rate times the decay, and that stays the same.
    """
    assert config.transform_learning_rate is not None, "choose the rate of the transforms first"
    outside, inside = parameter_groups(model)
    scaled = rate_factors(model) if config.block_rates else {}
    groups: list[dict[str, Any]] = [
        {
            "name": "model",
            "params": [p for p in outside if p not in scaled],
            "lr": config.learning_rate,
        },
        {
            "name": "transform",
            "params": inside,
            "lr": config.transform_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    is_decoupled = config.optimizer != "adam"
    own = [p for p in outside if p in scaled]
    groups += [
        {
            "name": f"model x {factor:g}",
            "params": [p for p in own if scaled[p] == factor],
            "lr": config.learning_rate * factor,
            "weight_decay": config.weight_decay / (factor if is_decoupled else 1),
        }
        for factor in dict.fromkeys(scaled[p] for p in own)
    ]
    if config.optimizer == "soap":
        groups[1]["max_axis"] = 0  # Adam
        return Soap(groups, weight_decay=config.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(groups, weight_decay=config.weight_decay)


def trapezoid(step: int, n_steps: int, decay: float, rise: float = 0.05) -> float:
    """Return the factor of the peak rate before a step of a trapezoidal schedule.

        f(n) = min(1, (n + 1) / (rise N), (N - n) / (decay N))

    One peak rate serves for any length, and a model that changes while the rate is held still has
    the whole fall before it (Hägele et al. 2024, arXiv:2405.18392).

    Args:
        step: n, steps taken.
        n_steps: N, steps of the run.
        decay: fraction of the steps in which the rate falls.
        rise: fraction of the steps in which it rises.
    """
    return min(1.0, (step + 1) / (rise * n_steps), max(0.0, n_steps - step) / (decay * n_steps))


def make_schedule(optimizer: Optimizer, config: FitConfig, steps_per_epoch: int) -> Schedule:
    """Return the schedule of both rates; it is stepped after every optimiser step.

    Args:
        optimizer: its groups carry the peak rates.
        config: names the schedule.
        steps_per_epoch: optimiser steps in one epoch.
    """
    ends = [end * steps_per_epoch for end in config.cycle_ends]
    if len(ends) == 1 or config.schedule in ENDLESS:
        return _cycle(optimizer, config, steps_per_epoch, ends[-1])
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return Restarted(optimizer, partial(_cycle, optimizer, config, steps_per_epoch), lengths)


class Restarted:
    """A schedule that begins anew at given steps, from the rates that the optimiser was made with.

    Args:
        optimizer: whose rates are set.
        make: makes the schedule of a number of steps.
        lengths: steps of every cycle.
    """

    def __init__(
        self, optimizer: Optimizer, make: Callable[[int], Schedule], lengths: Sequence[int]
    ) -> None:
        self._optimizer = optimizer  # which may get other groups when its state is loaded
        self._at_start = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        self._make, self._lengths = make, list(lengths)
        self._left = self._lengths.pop(0)
        self._schedule = make(self._left)

    def step(self) -> None:
        """Set the rates of the next step."""
        self._left -= 1
        if self._left or not self._lengths:
            self._schedule.step()
            return
        for group, values in zip(self._optimizer.param_groups, self._at_start, strict=True):
            for key in group.keys() - values.keys() - {"params"}:
                del group[key]  # what the schedule before has left
            group.update(values)
        self._left = self._lengths.pop(0)
        self._schedule = self._make(self._left)


def _cycle(optimizer: Optimizer, config: FitConfig, steps_per_epoch: int, n_steps: int) -> Schedule:
    match config.schedule:
        case "one_cycle":
            peaks = [group["lr"] for group in optimizer.param_groups]
            return OneCycleLR(optimizer, max_lr=peaks, total_steps=n_steps)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=n_steps)
        case "trapezoid":
            return LambdaLR(optimizer, partial(trapezoid, n_steps=n_steps, decay=config.decay))
        case "step":
            step_size = config.step_epochs * steps_per_epoch
            return StepLR(optimizer, step_size=step_size, gamma=config.step_factor)
        case _:
            return ConstantLR(optimizer, factor=1.0)
