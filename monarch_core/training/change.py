"""A change of the model between two epochs, such as from structured layers to dense ones."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from monarch_core.training.checkpoint import check_weights
from monarch_core.training.config import FitConfig
from monarch_core.training.optimization import Schedule, make_optimizer, make_schedule
from monarch_core.training.training_state import TrainingState

# State of an optimiser for parameters that a change has made, by their names in the new model.
Moments = Mapping[str, dict[str, Any]]


def no_moments(model: nn.Module, optimizer: Optimizer) -> Moments:
    """Return nothing: what the optimiser knows of new parameters begins anew."""
    return {}


@dataclass(frozen=True)
class Change:
    """What happens to a model once, between two epochs, while it is trained.

    Attributes:
        epoch: finished epochs before it.
        apply: changes the model in place; what it computes should stay.
        moments: called with the model as it was and its optimiser, returns what the optimiser is
            to know of new parameters. Those that stay keep theirs.
        warm_up: fraction of the steps after it in which all rates rise linearly to what the
            schedule says; 0 leaves them alone.
    """

    epoch: int
    apply: Callable[[nn.Module], object]
    moments: Callable[[nn.Module, Optimizer], Moments] = no_moments
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for an epoch before the first, or a fraction that is none."""
        if self.epoch < 1:
            raise ValueError(
                f"a model changes after its first epoch at the earliest, got epoch={self.epoch}; "
                "train for more epochs, or change later"
            )
        if not 0 <= self.warm_up <= 1:
            raise ValueError(f"warm_up must be from 0 to 1, got {self.warm_up}")

    def is_before(self, saved: Mapping[str, Any] | None) -> bool:
        """Tell whether a checkpoint is of the changed model."""
        epoch = None if saved is None else saved.get("epoch")
        return type(epoch) is int and epoch > self.epoch

    def made(self, state: TrainingState, config: FitConfig) -> TrainingState:
        """Change the model of a state; return the state that training goes on from.

        Nothing that the model was before counts as the best epoch of the run: it is another model.
        """
        model, before = state.model, state.optimizer
        new = self.moments(model, before)
        self.apply(model)
        optimizer = make_optimizer(model, config)
        for name, parameter in model.named_parameters():
            known = before.state.get(parameter) or new.get(name)
            if known:
                optimizer.state[parameter] = known
        schedule = self.schedule(optimizer, config, state.steps_per_epoch)
        changed = TrainingState(
            model,
            optimizer,
            schedule,
            state.recipe,
            state.n_epochs,
            state.steps_per_epoch,
            epoch=state.epoch,
            changed_after=self.epoch,
        )
        changed.catch_up()
        return changed

    def schedule(self, optimizer: Optimizer, config: FitConfig, steps_per_epoch: int) -> Schedule:
        """Return the schedule of the changed model, as it is at the first step of the run."""
        schedule = make_schedule(optimizer, config, steps_per_epoch)
        first = self.epoch * steps_per_epoch
        n_steps = next(end for end in config.cycle_ends if end > self.epoch) * steps_per_epoch
        n_rising = round(self.warm_up * (n_steps - first))
        return Ramp(schedule, optimizer, first, n_rising) if n_rising else schedule

    def check_weights(self, path: Path, model: nn.Module) -> None:
        """Check the best weights beside a checkpoint from before the change.

        A kill may have come between the first weights of the changed model and its checkpoint.

        Raises:
            ValueError: they belong neither to the model as it is nor as it will be.
        """
        try:
            check_weights(path, model)
        except ValueError as error:
            twin = copy.deepcopy(model)
            with torch.random.fork_rng():
                self.apply(twin)
            try:
                check_weights(path, twin)
            except ValueError:
                raise error from None


class Ramp:
    """A schedule whose rates rise linearly from zero once, at a given step.

    After n steps the rate is r_n min(1, (n - n_0 + 1) / N) for n >= n_0, with r_n the rate of the
    schedule itself, and r_n before.

    Args:
        schedule: gives r_n.
        optimizer: that of the schedule.
        first: n_0.
        n_rising: N.
    """

    def __init__(self, schedule: Schedule, optimizer: Optimizer, first: int, n_rising: int) -> None:
        self._schedule, self._optimizer = schedule, optimizer
        self._first, self._n_rising = first, n_rising
        self._n = 0
        self._rates = [group["lr"] for group in optimizer.param_groups]

    def step(self) -> None:
        """Set the rates of the next step."""
        groups = self._optimizer.param_groups
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate  # some schedules go on from the rate before
        self._schedule.step()
        self._n += 1
        self._rates = [group["lr"] for group in groups]
        if self._n >= self._first:
            factor = min(1.0, (self._n - self._first + 1) / self._n_rising)
            for group in groups:
                group["lr"] *= factor
