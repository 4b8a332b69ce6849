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

from monarch_core.training.batches import EpochBatches, start_epoch
from monarch_core.training.causes import DIVERGED, Batch, Loss, NonFiniteError, find_cause
from monarch_core.training.config import FitConfig
from monarch_core.training.devices import synchronize
from monarch_core.training.training_state import TrainingState


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
            NonFiniteError: the loss or the gradient is NaN or infinite, and the step was not taken;
                names epoch, step, rates, and whether the data are to blame.
        """
        epoch = state.epoch + 1
        batches = start_epoch(loader, epoch)
        self.model.train()
        total = 0.0
        started = self._clock()
        steps = enumerate(zip(loader, batches.shares(), strict=True), start=1)
        for step, ((inputs, target), (n_own, n_all)) in steps:
            inputs, target = self.fabric.to_device((inputs, target))
            prediction = self.predict(inputs)
            value = self.loss(prediction, target) * (n_own / n_all)
            # DistributedDataParallel averages gradients; the mean over the batch is a sum of
            # shares, so each share counts as often as there are processes.
            self.fabric.backward(value * self.fabric.world_size)
            loss = self._sum_over_processes(value.detach())
            norm_of_gradient = self._clip_gradient().to(loss)
            mean, norm = torch.stack((loss, norm_of_gradient)).tolist()  # one read of the device
            if not (math.isfinite(mean) and math.isfinite(norm)):
                found = (
                    f"loss is {mean}" if not math.isfinite(mean) else f"gradient has norm {norm}"
                )
                batch = Batch("training", batches.indices(step - 1), inputs, target)
                cause = self._agree(find_cause(batch, self.loss)) or DIVERGED
                raise NonFiniteError(
                    f"the training {found} in epoch {epoch}, step {step} of {len(batches)}, at "
                    f"{_rates(state)}; {cause}"
                )
            state.optimizer.step()
            state.schedule.step()
            state.optimizer.zero_grad()
            total += mean * n_all
            on_step(epoch, mean)
        return total / batches.n_samples, self._clock() - started

    @torch.no_grad()
    def validate(self, loader: DataLoader[Any]) -> tuple[float, float]:
        """Return the mean metric over the samples of a split, and the seconds it took.

        Raises:
            NonFiniteError: the metric of a batch is NaN or infinite; says whether the data are to
                blame.
        """
        batches = start_epoch(loader, epoch=0)
        self.model.eval()
        errors: list[Tensor] = []
        started = self._clock()
        for (inputs, target), (n_own, _) in zip(loader, batches.shares(), strict=True):
            inputs, target = self.fabric.to_device((inputs, target))
            errors.append(self.metric(self.predict(inputs), target) * n_own)
        total = self._sum_over_processes(torch.stack(errors).sum()).item()
        if not math.isfinite(total):
            cause = self._agree(self._cause_in(loader, batches, errors)) or DIVERGED
            raise NonFiniteError(f"the validation error is {total}; {cause}")
        return total / batches.n_samples, self._clock() - started

    def _cause_in(
        self, loader: DataLoader[Any], batches: EpochBatches, errors: list[Tensor]
    ) -> str | None:
        """Return what is wrong with the first batch whose error is not finite, if that is known."""
        for step, (error, (inputs, target)) in enumerate(zip(errors, loader, strict=True)):
            if not math.isfinite(error):
                inputs, target = self.fabric.to_device((inputs, target))
                batch = Batch("validation", batches.indices(step), inputs, target)
                return find_cause(batch, self.metric)
        return None

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

    def _clip_gradient(self) -> Tensor:
        """Return the 2-norm of the gradient of all parameters, after which it may be clipped."""
        parameters = list(self.model.parameters())
        norm = nn.utils.get_total_norm(p.grad for p in parameters if p.grad is not None)
        if self.config.gradient_clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.config.gradient_clip, norm)
        return norm

    def _agree(self, cause: str | None) -> str | None:
        """Return the cause that one of the processes found in its share of the data."""
        causes: list[str | None] = [cause]
        if self.fabric.world_size > 1:
            causes *= self.fabric.world_size
            torch.distributed.all_gather_object(causes, cause)
        return next((found for found in causes if found), None)

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
