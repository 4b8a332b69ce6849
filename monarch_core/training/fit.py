"""The fit loop: one function that leaves a trained model in its run folder."""

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, Dataset

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.lock import occupied
from monarch_core.training.batches import EpochBatches, make_loader, mix_seed
from monarch_core.training.causes import Loss, NonFiniteError
from monarch_core.training.change import Change
from monarch_core.training.checkpoint import (
    check_weights,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from monarch_core.training.config import FitConfig
from monarch_core.training.devices import (
    describe_device,
    make_fabric,
    peak_memory_bytes,
    reset_peak_memory,
    tf32_products,
)
from monarch_core.training.epoch import EpochRunner
from monarch_core.training.optimization import make_optimizer, make_schedule, parameter_groups
from monarch_core.training.progress import show_progress
from monarch_core.training.recipe import make_recipe
from monarch_core.training.start import note_changes, seed_everything
from monarch_core.training.training_state import TrainingState
from monarch_core.training.trial import TRIAL_RATE, n_trial_epochs, rate_by_trial, stored_rate

log = logging.getLogger(__name__)


def fit(
    model: nn.Module,
    loss: Loss,
    train: Dataset[Any],
    valid: Dataset[Any],
    config: FitConfig,
    run_dir: Path,
    *,
    seed: int = 0,
    metric: Loss | None = None,
    whole_config: Any = None,
    fingerprints: Mapping[str, str] | None = None,
    change: Change | None = None,
) -> None:
    """Train a model and leave the best epoch of it in the run folder.

    Leaves `weights.pt` (the epoch with the lowest error on the validation split),
    `checkpoint.pt` (everything needed to continue) and `log.jsonl` (one line per epoch). Each is
    replaced as a whole, so a kill at any moment loses at most the epochs since the last
    checkpoint. When the folder holds a checkpoint, the run goes on from there; on the CPU it ends
    with the same weights, bit for bit, as an uninterrupted one. Over several processes each batch
    is shared, and only the first process writes. Without a rate of the transforms a trial chooses
    it before (`rate_by_trial`); its time is part of that of the first epoch, and its choice of the
    checkpoint.

    Args:
        model: called as `model(*inputs)`. It is moved to the device and holds the last epoch
            afterwards.
        loss: `loss(prediction, target)`, a real scalar, the mean over the samples of the batch.
        train: map-style dataset of pairs `(inputs, target)`; `inputs` is a tuple of tensors. Its
            `set_epoch(epoch)`, if there is one, is called before every epoch, counted from 0.
        valid: the same for the validation split; nothing else chooses the epoch.
        config: the values of the loop.
        run_dir: the run folder.
        seed: with the epoch it determines the order of the data.
        metric: the error that chooses the epoch, lower is better; `loss` when it is None.
        whole_config: of the run, a dataclass; all of it belongs to the run, and a checkpoint is
            not continued with another one, but for what only says where it runs, and for more
            epochs (`note_changes`).
        fingerprints: of the data, by split; neither is it continued with other data.
        change: of the model, between two epochs. The best weights are then those of an epoch after
            it, of the model as it is at the end.

    Raises:
        ValueError: a split is empty, another process works in the folder, what lies there is
            damaged or belongs to another model, config or other data (nothing is changed), or the
            loss, its gradient or the validation error is not finite; in that case `aborted.pt`
            holds the state at that moment, and the epochs before are kept.
        OSError: the disk is full; what was finished before is kept.
    """
    fabric, folder = make_fabric(config), RunFolder(run_dir)
    reset_peak_memory(fabric.device)
    train_loader = _make_loader("training", train, config, fabric, seed=seed)
    valid_loader = _make_loader("validation", valid, config, fabric, seed=None)
    model.to(fabric.device)
    if fabric.is_global_zero:
        run_dir.mkdir(parents=True, exist_ok=True)
    with occupied(run_dir):
        if not any(parameter_groups(model)):
            _keep_untrained(model, metric or loss, valid_loader, config, fabric, folder)
            return
        saved = load_checkpoint(folder.checkpoint) if folder.can_resume else None
        done = change if change is not None and change.is_before(saved) else None
        if done:
            done.apply(model)
        if config.compile:
            model.compile(mode="reduce-overhead" if fabric.device.type == "cuda" else "default")
        runner = EpochRunner(fabric, fabric.setup_module(model), loss, metric or loss, config)
        recipe = make_recipe(
            config,
            seed=seed,
            n_train=len(train),  # type: ignore[arg-type]
            whole_config=whole_config,
            fingerprints=fingerprints,
        )
        trial_seconds = 0.0
        rate = config.transform_learning_rate
        if rate is None and parameter_groups(model)[1]:
            started = time.perf_counter()
            rate = _transform_rate(model, train, train_loader, runner, saved, folder)
            if rate is not None:
                recipe[TRIAL_RATE] = rate
            trial_seconds = time.perf_counter() - started
        rates_known = replace(config, transform_learning_rate=rate or config.learning_rate)
        optimizer = make_optimizer(model, rates_known)
        schedule = (done.schedule if done else make_schedule)(optimizer, config, len(train_loader))
        state = TrainingState(model, optimizer, schedule, recipe, config.epochs, len(train_loader))
        state.changed_after = done.epoch if done else 0
        if saved is not None:
            _continue_run(state, saved, folder, None if done else change)
        if fabric.is_global_zero:
            if saved is not None and whole_config is not None:
                note_changes(folder, config)
            folder.log.truncate(state.epoch)
        if state.epoch == config.epochs:
            log.info("%s is trained already (%d epochs)", run_dir, state.epoch)
            _remove_aborted(fabric, folder)
            return
        console = Console(stderr=True) if fabric.is_global_zero else None
        with (
            tf32_products(allowed=config.precision == "tf32"),
            show_progress(
                config.epochs, len(train_loader), first_epoch=state.epoch + 1, console=console
            ) as display,
        ):
            while state.epoch < config.epochs:
                if fabric.global_rank > 0:  # of their random numbers, no checkpoint knows
                    seed_everything(mix_seed(seed, state.epoch, fabric.global_rank) % 2**32)
                if change is not None and state.epoch == change.epoch:
                    state = change.made(state, rates_known)
                    runner = replace(runner, model=fabric.setup_module(model))
                rates = [group["lr"] for group in state.optimizer.param_groups]
                if hasattr(train, "set_epoch"):
                    train.set_epoch(state.epoch)
                try:
                    train_loss, seconds = runner.train(state, train_loader, display.step)
                    valid_error, valid_seconds = runner.validate(valid_loader)
                except NonFiniteError as error:
                    raise ValueError(_abort(state, fabric, folder, error)) from error
                state.epoch += 1
                display.epoch(state.epoch, train_loss, valid_error)
                if fabric.is_global_zero:
                    if state.epoch == 1:
                        seconds += trial_seconds
                    losses, times = (train_loss, valid_error), (seconds, valid_seconds)
                    record = _record(state.epoch, losses, rates, times, fabric)
                    if state.changed_after:
                        record["changed"] = True
                    _finish_epoch(state, config, folder, record)
        _remove_aborted(fabric, folder)
    fabric.barrier()  # no process reads weights.pt before it is there


def _make_loader(
    name: str, split: Dataset[Any], config: FitConfig, fabric: Fabric, *, seed: int | None
) -> DataLoader[Any]:
    n_samples = len(split)  # type: ignore[arg-type]
    if n_samples == 0:
        raise ValueError(f"the {name} split is empty; give it at least one sample")
    if config.batch_size < fabric.world_size:
        raise ValueError(
            f"fit.batch_size={config.batch_size} counts the samples of all processes and must be "
            f"at least their number, {fabric.world_size}; raise it or start fewer processes"
        )
    batches = EpochBatches(
        n_samples,
        config.batch_size,
        seed=seed,
        rank=fabric.global_rank,
        n_processes=fabric.world_size,
    )
    is_cuda = fabric.device.type == "cuda"
    return make_loader(split, batches, n_workers=config.num_workers, pin_memory=is_cuda)


def _transform_rate(
    model: nn.Module,
    train: Dataset[Any],
    loader: DataLoader[Any],
    runner: EpochRunner,
    saved: dict[str, Any] | None,
    folder: RunFolder,
) -> float | None:
    """Return the rate that a trial finds, or has found; None where a run had a fixed one."""
    if saved is not None:
        return stored_rate(saved, folder.checkpoint)
    config, console = runner.config, Console(stderr=True) if runner.fabric.is_global_zero else None
    with (
        tf32_products(allowed=config.precision == "tf32"),
        show_progress(
            n_trial_epochs(config), len(loader), first_epoch=1, console=console
        ) as display,
    ):
        try:
            return rate_by_trial(model, train, loader, runner, config, display.step)
        except NonFiniteError as error:
            raise ValueError(
                f"{error}. This was in the trial that chooses the rate of the transforms"
            ) from error


def _continue_run(
    state: TrainingState, saved: dict[str, Any], folder: RunFolder, coming: Change | None
) -> None:
    """Restore the last finished epoch; everything is checked before.

    Args:
        state: receives it.
        saved: the content of the checkpoint.
        folder: of the run.
        coming: a change of the model that the checkpoint is from before.
    """
    state.check(saved, folder.checkpoint)
    folder.log.check(saved["epoch"], saved["best_error"])
    (coming.check_weights if coming else check_weights)(folder.weights, state.model)
    state.restore(saved, folder.checkpoint)
    log.info("continuing %s after epoch %d", folder.path, state.epoch)


def _finish_epoch(
    state: TrainingState, config: FitConfig, folder: RunFolder, record: dict[str, Any]
) -> None:
    """Write weights, log, checkpoint, in this order: a kill in between repeats the epoch."""
    if record["valid_error"] < state.best_error or state.epoch == 1:
        save_weights(folder.weights, state.model)
    state.best_error = min(state.best_error, record["valid_error"])
    folder.log.append(record)
    if state.epoch % config.checkpoint_every == 0 or state.epoch == config.epochs:
        save_checkpoint(folder.checkpoint, state.to_dict())


def _keep_untrained(
    model: nn.Module,
    metric: Loss,
    valid_loader: DataLoader[Any],
    config: FitConfig,
    fabric: Fabric,
    folder: RunFolder,
) -> None:
    """Leave the files of a run whose model has nothing to learn, such as a plain FFT."""
    runner = EpochRunner(fabric, model, metric, metric, config)
    valid_error, valid_seconds = runner.validate(valid_loader)
    log.info("the model has no trainable parameters; validation error %.4g", valid_error)
    if fabric.is_global_zero:
        folder.log.truncate(last_epoch=-1)
        save_weights(folder.weights, model)
        rates = [config.learning_rate, config.transform_learning_rate]
        losses, times = (None, valid_error), (0.0, valid_seconds)
        folder.log.append(_record(0, losses, rates, times, fabric))
    fabric.barrier()


def _record(
    epoch: int,
    losses: tuple[float | None, float],
    rates: list[float | None],
    times: tuple[float, float],
    fabric: Fabric,
) -> dict[str, Any]:
    """Return the line of an epoch: losses and times are those of training and of validation."""
    return {
        "epoch": epoch,
        "train_loss": losses[0],
        "valid_error": losses[1],
        "learning_rate": rates[0],
        "transform_learning_rate": rates[1],
        "seconds": times[0],
        "valid_seconds": times[1],
        "peak_memory_bytes": peak_memory_bytes(fabric.device),
        "device": describe_device(fabric.device),
    }


def _abort(state: TrainingState, fabric: Fabric, folder: RunFolder, error: NonFiniteError) -> str:
    if fabric.is_global_zero:
        save_checkpoint(folder.aborted, state.to_dict())
    kept = f"{state.epoch} finished epochs are kept" if state.epoch else "no epoch was finished"
    return f"{error}. {kept}; the state at this moment is in {folder.aborted}."


def _remove_aborted(fabric: Fabric, folder: RunFolder) -> None:
    """Delete what an earlier attempt left, now that one has succeeded."""
    if fabric.is_global_zero:
        with contextlib.suppress(OSError):  # a finished run may lie where nothing can be written
            folder.aborted.unlink(missing_ok=True)
