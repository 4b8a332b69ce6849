"""Everything that must survive a kill: weights, optimiser, counters, random states."""

import math
import reprlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from monarch_core.training.checkpoint import check_model_state, kind, model_state, restore_model
from monarch_core.training.optimization import Schedule
from monarch_core.training.random_state import (
    check_random_state,
    random_state,
    restore_random_state,
)
from monarch_core.training.recipe import check_recipe

_FIELDS = {"format", "model", "optimizer", "recipe", "epoch", "best_error", "random"}


@dataclass
class TrainingState:
    """What the fit loop changes.

    Attributes:
        model: the network.
        optimizer: over its trainable parameters.
        schedule: of the learning rates, stepped with the optimiser; a function of their number.
        recipe: what must be the same for a run to go on, by name.
        n_epochs: of the whole run.
        steps_per_epoch: of the optimiser.
        epoch: finished epochs.
        best_error: lowest error on the validation split so far, of the model as it is now.
        changed_after: epochs after which the model was changed, and what the optimiser knows of its
            new parameters may have begun anew; 0 if it was not.
    """

    model: nn.Module
    optimizer: Optimizer
    schedule: Schedule
    recipe: dict[str, Any]
    n_epochs: int
    steps_per_epoch: int
    epoch: int = 0
    best_error: float = float("inf")
    changed_after: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return tensors, numbers, strings and tuples only."""
        saved = self.optimizer.state_dict()
        indices = [i for group in saved["param_groups"] for i in group["params"]]
        return {
            "model": model_state(self.model),
            "optimizer": {i: saved["state"].get(i, {}) for i in indices},
            "recipe": self.recipe,
            "epoch": self.epoch,
            "best_error": self.best_error,
            "random": random_state(),
        }

    def check(self, saved: dict[str, Any], source: Path) -> None:
        """Check everything in what `to_dict` returned, whoever wrote it; nothing is changed.

        Args:
            saved: the dict.
            source: the file it came from, for messages.

        Raises:
            ValueError: it belongs to another model or another recipe, or a field cannot be what
                a run has left.
        """
        if saved.keys() != _FIELDS:
            missing, unknown = _FIELDS - saved.keys(), saved.keys() - _FIELDS
            words = [f"{key} is missing" for key in sorted(missing)]
            words += [f"{key} is unknown" for key in sorted(map(reprlib.repr, unknown))]
            _refuse(source, ", ".join(words))
        check_recipe(self.recipe, saved["recipe"], source)
        epoch, best_error = saved["epoch"], saved["best_error"]
        if type(epoch) is not int or not 1 <= epoch <= self.n_epochs:
            _refuse(
                source, f"epoch is {reprlib.repr(epoch)} where 1 to {self.n_epochs} are possible"
            )
        if type(best_error) is not float or not math.isfinite(best_error):
            _refuse(
                source, f"best_error is {reprlib.repr(best_error)} where a finite number belongs"
            )
        check_model_state(self.model, saved["model"], source)
        self._check_optimizer(saved["optimizer"], epoch * self.steps_per_epoch, source)
        problem = check_random_state(saved["random"])
        if problem:
            _refuse(source, problem)

    def restore(self, saved: dict[str, Any], source: Path) -> None:
        """Continue from what `to_dict` returned, after checking it as a whole.

        Raises:
            ValueError: as `check`; then nothing was changed.
        """
        self.check(saved, source)
        restore_model(self.model, saved["model"], source)
        states = {i: state for i, state in saved["optimizer"].items() if state}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        self.epoch = saved["epoch"]
        self.best_error = saved["best_error"]
        self.catch_up()
        restore_random_state(saved["random"])

    def catch_up(self) -> None:
        """Bring a new schedule to where it is after the finished epochs."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            for _ in range(self.epoch * self.steps_per_epoch):
                self.schedule.step()

    def _check_optimizer(self, saved: Any, n_steps: int, source: Path) -> None:
        """Compare the state of every parameter with what a step leaves of that of a twin."""
        expected = _state_after_a_step(self.optimizer)
        if not isinstance(saved, Mapping) or saved.keys() != expected.keys():
            _refuse(source, "optimizer does not hold the state of every trained parameter")
        counts = []
        for index, state in saved.items():
            if state == {}:  # the parameter has had no gradient
                continue
            problem = _difference(state, expected[index], f"optimizer[{index}]")
            if problem:
                _refuse(source, problem)
            counts += [float(state[key]) for key in ("step", "t") if key in state]
        since_change = n_steps - self.changed_after * self.steps_per_epoch
        possible = max(counts, default=0) in (n_steps, since_change)
        if not possible or min(counts, default=0) < 1:
            _refuse(
                source,
                f"optimizer counts {max(counts, default=0):g} steps where {n_steps} lead to the "
                f"end of epoch {n_steps // self.steps_per_epoch}",
            )


def _state_after_a_step(optimizer: Optimizer) -> dict[int, dict[str, Any]]:
    """Return the state that an optimiser of this kind has after a step, by parameter."""
    groups = []
    for group in optimizer.param_groups:
        twins = [nn.Parameter(torch.zeros_like(p)) for p in group["params"]]
        for twin in twins:
            twin.grad = torch.zeros_like(twin)
        groups.append({**group, "params": twins})
    twin_optimizer = type(optimizer)(groups)  # type: ignore[call-arg]
    twin_optimizer.step()
    state: dict[int, dict[str, Any]] = twin_optimizer.state_dict()["state"]
    return state


def _difference(value: Any, like: Any, name: str) -> str | None:
    """Return what distinguishes a saved value from one that could stand there; None if nothing."""
    if isinstance(like, Tensor):
        if kind(value) != kind(like):
            return f"{name} is {kind(value)} where {kind(like)} belongs"
        return None if value.isfinite().all() else f"{name} holds NaN or infinite values"
    if type(value) is not type(like):
        return f"{name} is a {type(value).__name__} where a {type(like).__name__} belongs"
    if isinstance(like, dict):
        if value.keys() != like.keys():
            return f"{name} has other entries than {', '.join(map(str, like))}"
        problems = (_difference(value[key], like[key], f"{name}[{key!r}]") for key in like)
        return next(filter(None, problems), None)
    if isinstance(like, int | float) and not math.isfinite(value):
        return f"{name} is {value}"
    return None


def _refuse(source: Path, problem: str) -> NoReturn:
    raise ValueError(
        f"{source} is damaged or was edited: {problem}; restore it from a copy, or delete it and "
        "start the run again."
    )
