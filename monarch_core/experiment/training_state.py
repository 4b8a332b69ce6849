"""Everything that must survive a kill: weights, optimiser, schedule, counters, random states."""

import dataclasses
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from monarch_core.experiment.checkpoint import model_state, restore_model
from monarch_core.experiment.config import FitConfig

# Fields of FitConfig that say where a run happens; all others say what is computed.
_FREE_TO_CHANGE = ("accelerator", "devices", "num_workers", "n_threads", "checkpoint_every")


@dataclass
class TrainingState:
    """What the fit loop changes.

    Attributes:
        model: the network.
        optimizer: over its trainable parameters.
        schedule: of the learning rates.
        recipe: what must be the same for a run to go on, by name.
        epoch: finished epochs.
        best_error: lowest error on the validation split so far.
    """

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    recipe: dict[str, Any]
    epoch: int = 0
    best_error: float = float("inf")

    def to_dict(self) -> dict[str, Any]:
        """Return tensors, numbers, strings and tuples only."""
        return {
            "model": model_state(self.model),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "recipe": self.recipe,
            "epoch": self.epoch,
            "best_error": self.best_error,
            "random": random_state(),
        }

    def restore(self, saved: dict[str, Any], source: Path) -> None:
        """Continue from what `to_dict` returned.

        Args:
            saved: the dict.
            source: the file it came from, for messages.

        Raises:
            ValueError: it belongs to another model or another recipe.
        """
        changed = [
            f"{key}={self.recipe.get(key)!r} (the run was started with {value!r})"
            for key, value in saved["recipe"].items()
            if self.recipe.get(key) != value
        ]
        if changed:
            raise ValueError(
                f"{source} cannot be continued with {', '.join(changed)}; resume with the values "
                "of its config.yaml, or start a new run."
            )
        restore_model(self.model, saved["model"], source)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.epoch = saved["epoch"]
        self.best_error = saved["best_error"]
        restore_random_state(saved["random"])


def make_recipe(config: FitConfig, *, seed: int, n_train: int) -> dict[str, Any]:
    """Return what determines the weights of a run, apart from the model and the data."""
    values = dataclasses.asdict(config)
    kept = {key: value for key, value in values.items() if key not in _FREE_TO_CHANGE}
    return {**kept, "seed": seed, "n_train": n_train}


def random_state() -> dict[str, Any]:
    """Return the states of all global random generators as tensors, numbers and tuples."""
    state: Any = np.random.get_state()
    algorithm, keys, position, has_gauss, cached = state
    keys = torch.from_numpy(keys.astype(np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": (algorithm, keys, position, has_gauss, cached),
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set the global random generators to what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    algorithm, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((algorithm, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    random.setstate(state["python"])
