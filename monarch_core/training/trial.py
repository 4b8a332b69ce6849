"""The rate of the transforms by a trial: whether leaving their start lowers the loss."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from monarch_core.training.config import FitConfig
from monarch_core.training.epoch import EpochRunner
from monarch_core.training.optimization import make_optimizer, make_schedule, parameter_groups
from monarch_core.training.random_state import random_state, restore_random_state
from monarch_core.training.training_state import TrainingState

log = logging.getLogger(__name__)

# Step of the full rate, in the root mean square of a factor's entries, per rate of the weights.
FULL = 3.0
SMALL = 0.01  # of the full rate: of the trial, and of the run where it does not pay
TRIAL = 0.15  # of the epochs
SIGNIFICANT = 3.0  # standard deviations of noise
# Beside the values of the config in the recipe of a run.
TRIAL_RATE = "rate of the transforms by trial"


class Way:
    """What the way of the transforms from their start gains, seen at an optimiser's steps.

    With the gradient g_t and the transforms' parameters w_t, all in one vector, before step t,

        c_t = <g_t, w_1 - w_t> / (|g_t| |w_1 - w_t|)                                  (1)
        Z = sum_t c_t / sqrt(sum_t c_t^2),    T/3 < t <= T                            (2)

    The product in (1) is the first-order gain of going on along the way, the numerator of the
    distance that D-Adaptation and Prodigy estimate (Defazio and Mishchenko 2023, arXiv:2301.07733;
    Mishchenko and Defazio 2023, arXiv:2306.06101). If the g_t are independent with mean zero, then
    E c_t = 0, since the way to w_t was taken before, and Z has about a standard normal
    distribution; a gradient that persists makes Z grow as sqrt(T); one that leads back makes it
    negative. The first third is left out, where any motion of an untrained network gains.

    Args:
        optimizer: is watched until `stop()`.
        parameters: of the transforms, where they are now being their start.
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.start = [p.detach().clone() for p in parameters]
        self.cosines: list[float] = []
        self.stop: Callable[[], None] = optimizer.register_step_pre_hook(self._watch).remove

    @torch.no_grad()
    def _watch(self, *_: Any) -> None:
        pairs = zip(self.parameters, self.start, strict=True)
        both = [(p.grad, w - p) for p, w in pairs if p.grad is not None]
        gain, *squares = (
            sum(float((x.conj() * y).real.sum()) for x, y in chosen)
            for chosen in (both, [(g, g) for g, _ in both], [(d, d) for _, d in both])
        )
        size = math.sqrt(math.prod(squares))
        self.cosines.append(gain / size if size > 0 else 0.0)

    def significance(self) -> float:
        """Return Z of (2); 0 where no step gains or loses anything."""
        late = self.cosines[len(self.cosines) // 3 :]
        size = math.hypot(*late)
        return sum(late) / size if size > 0 else 0.0


def full_rate(parameters: Sequence[Tensor], learning_rate: float) -> float:
    """Return 3 times `learning_rate` times the root mean square of all entries."""
    square = sum(float(p.detach().abs().double().square().sum()) for p in parameters)
    return FULL * learning_rate * math.sqrt(square / sum(p.numel() for p in parameters))


def rate_by_trial(
    model: nn.Module,
    train: Dataset[Any],
    loader: DataLoader[Any],
    runner: EpochRunner,
    config: FitConfig,
    on_step: Callable[[int, float], None],
) -> float:
    """Return the peak rate of the transforms: all of `full_rate`, or a hundredth.

    The first 15 % of the epochs are taken on trial, with the hundredth. If Z of `Way` is above 3
    then, the transforms gain by leaving their start and get the full rate, else the hundredth. The
    trial leaves nothing behind: model and random numbers are afterwards as they were, and training
    begins at its start. Freeing transforms later in a run gives most of the gain away: the
    weights have settled by then.

    Args:
        model: on its device, as `runner` has it; some of its transforms learn.
        train: training split, told the epoch as `fit` does.
        loader: of it.
        runner: takes the steps.
        config: of the run.
        on_step: called with the epoch and the loss after every step.

    Raises:
        NonFiniteError: as `EpochRunner.train`.
    """
    factors = parameter_groups(model)[1]
    full = full_rate(factors, config.learning_rate)
    if not 0 < full < math.inf:
        raise ValueError(
            f"the transforms have entries of root mean square {full / FULL / config.learning_rate},"
            " to which no rate can be relative; set fit.transform_learning_rate to a number"
        )
    tensors = [*model.parameters(), *model.buffers()]
    before, numbers = [tensor.detach().clone() for tensor in tensors], random_state()
    optimizer = make_optimizer(model, replace(config, transform_learning_rate=SMALL * full))
    schedule = make_schedule(optimizer, config, len(loader))
    state = TrainingState(model, optimizer, schedule, {}, config.epochs, len(loader))
    way = Way(optimizer, factors)
    for epoch in range(n_trial_epochs(config)):
        if hasattr(train, "set_epoch"):
            train.set_epoch(epoch)
        runner.train(state, loader, on_step)
        state.epoch += 1
    way.stop()
    with torch.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    restore_random_state(numbers)
    Z = way.significance()
    rate = full if significant(Z) else SMALL * full
    log.info(
        "trial of %d epochs: leaving their start %s for the transforms (Z = %.1f); their rate is "
        "%.2g",
        state.epoch,
        "pays" if significant(Z) else "does not pay",
        Z,
        rate,
    )
    return rate


def n_trial_epochs(config: FitConfig) -> int:
    """Return how many epochs the trial takes: 15 % of the first cycle, at least one."""
    return math.ceil(TRIAL * config.cycle_ends[0])


def significant(Z: float) -> bool:
    """Return whether Z is no noise."""
    return Z > SIGNIFICANT


def stored_rate(saved: Mapping[str, Any], source: Path) -> float | None:
    """Return what the trial of the run of a checkpoint has found; None if it had a fixed rate.

    Args:
        saved: what the checkpoint holds.
        source: the file, for messages.

    Raises:
        ValueError: what stands there is no rate.
    """
    recipe = saved.get("recipe")
    if not isinstance(recipe, dict) or recipe.get("fit.transform_learning_rate") is not None:
        return None
    rate = recipe.get(TRIAL_RATE)
    if type(rate) is not float or not 0 < rate < math.inf:
        raise ValueError(
            f"{source} is damaged or was edited: it lacks the {TRIAL_RATE}; restore it from a "
            "copy, or delete it and start the run again."
        )
    return rate
