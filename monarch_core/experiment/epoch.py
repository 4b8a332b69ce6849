"""One pass over a split: training steps or validation, timed and averaged over processes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from monarch_core.experiment.batches import start_epoch
from monarch_core.experiment.config import FitConfig
from monarch_core.experiment.devices import synchronize
from monarch_core.experiment.training_state import TrainingState

Loss = Callable[[Tensor, Tensor], Tensor]


class NonFiniteLossError(ValueError):
    """The training loss is NaN or infinite; the optimiser step was not taken."""


@dataclass(frozen=True)
class EpochRunner:
    """Runs epochs of a model that Fabric has set up.

    Attributes:
        fabric: device and processes.
        model: called as `model(*inputs)`.
        loss: scalar mean over the batch, minimised.
        metric: scalar mean over the batch, reported on the validation split.
        config: the values of the loop.
    """

    fabric: Fabric
    model: nn.Module
    loss: Loss
    metric: Loss
    config: FitConfig

    def train(
        self,
        state: TrainingState,
        loader: DataLoader[Any],
        on_step: Callable[[int, float], None],
    ) -> tuple[float, float]:
        """Take the optimiser steps of the epoch after `state.epoch`.

        Args:
            state: its model, optimiser and schedule are changed.
            loader: of the training split.
            on_step: called with the epoch and the loss after every step.

        Returns:
            The mean loss over the samples, and the seconds it took.

        Raises:
            NonFiniteLossError: naming epoch, step, rates, and whether the data are to blame.
        """
        epoch = state.epoch + 1
        batches = start_epoch(loader, epoch)
        self.model.train()
        total = 0.0
        started = self._clock()
        steps = enumerate(zip(loader, batches.shares(), strict=True), start=1)
        for step, ((inputs, target), (n_own, n_all)) in steps:
            inputs, target = self.fabric.to_device((inputs, target))
            value = self.loss(self.predict(inputs), target) * (n_own / n_all)
            # DistributedDataParallel averages gradients; the mean over the batch is a sum of
            # shares, so each share counts as often as there are processes.
            self.fabric.backward(value * self.fabric.world_size)
            mean = self._sum_over_processes(value.detach()).item()
            if not math.isfinite(mean):
                raise NonFiniteLossError(
                    f"the training loss is {mean} in epoch {epoch}, step {step} of "
                    f"{len(batches)}, at {_rates(state)}; {_blame(inputs, target)}"
                )
            if self.config.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
            state.optimizer.step()
            state.schedule.step()
            state.optimizer.zero_grad()
            total += mean * n_all
            on_step(epoch, mean)
        return total / batches.n_samples, self._clock() - started

    @torch.no_grad()
    def validate(self, loader: DataLoader[Any]) -> tuple[float, float]:
        """Return the mean metric over the samples of a split, and the seconds it took."""
        batches = start_epoch(loader, epoch=0)
        self.model.eval()
        errors = []
        started = self._clock()
        for (inputs, target), (n_own, _) in zip(loader, batches.shares(), strict=True):
            inputs, target = self.fabric.to_device((inputs, target))
            errors.append(self.metric(self.predict(inputs), target) * n_own)
        total = self._sum_over_processes(torch.stack(errors).sum())
        return total.item() / batches.n_samples, self._clock() - started

    def predict(self, inputs: Sequence[Tensor]) -> Tensor:
        """Apply the model in the precision of the config; bfloat16 predictions become float32.

        The inputs stay in float32 and autocast decides inside the model, since rounding a
        physical field to 8 bits before it is normalised would lose it.
        """
        with torch.autocast(
            self.fabric.device.type,
            dtype=torch.bfloat16,
            enabled=self.config.precision == "bf16-mixed",
        ):
            prediction: Tensor = self.model(*inputs)
        return prediction.float() if prediction.dtype == torch.bfloat16 else prediction

    def _sum_over_processes(self, value: Tensor) -> Tensor:
        if self.fabric.world_size > 1:
            torch.distributed.all_reduce(value)
        return value

    def _clock(self) -> float:
        synchronize(self.fabric.device)
        return time.perf_counter()


def _rates(state: TrainingState) -> str:
    rates = [f"{group['lr']:.3g} ({group['name']})" for group in state.optimizer.param_groups]
    return f"learning rates {' and '.join(rates)}"


def _blame(inputs: Sequence[Tensor], target: Tensor) -> str:
    parts = {**{f"input {i}": x for i, x in enumerate(inputs)}, "the target": target}
    guilty = [name for name, x in parts.items() if not torch.isfinite(x).all()]
    if guilty:
        return (
            f"{' and '.join(guilty)} of this batch already held NaN or infinite values, so the "
            "data need repair: look for them in the training split, or make the data again"
        )
    return (
        "the data of this batch are finite, so the training diverged: lower fit.learning_rate or "
        "fit.transform_learning_rate, set fit.gradient_clip=1, or use fit.precision=32-true"
    )
