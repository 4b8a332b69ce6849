"""What the user sees while a model is trained."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5.0


class Display(Protocol):
    """Receives the progress of the fit loop."""

    def step(self, epoch: int, train_loss: float) -> None:
        """Show one more optimiser step."""
        ...

    def epoch(self, epoch: int, train_loss: float, valid_error: float) -> None:
        """Show one more finished epoch."""
        ...


@contextmanager
def show_progress(
    n_epochs: int, steps_per_epoch: int, *, first_epoch: int, console: Console | None
) -> Iterator[Display]:
    """Show a bar on a terminal; elsewhere log a line per epoch, at most every few seconds.

    Args:
        n_epochs: epochs of the whole run.
        steps_per_epoch: optimiser steps in one epoch.
        first_epoch: the epoch the loop starts with, counted from one.
        console: where the bar goes; None shows nothing.
    """
    if console is None:
        yield _Nothing()
        return
    if not console.is_terminal:
        yield _Lines(n_epochs, first_epoch)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("train loss {task.fields[loss]:.3g}, validation error {task.fields[error]:.3g}"),
    )
    nan = float("nan")
    with Progress(*columns, console=console) as progress:
        done = (first_epoch - 1) * steps_per_epoch
        task = progress.add_task("", total=n_epochs * steps_per_epoch, loss=nan, error=nan)
        progress.update(task, completed=done, description=f"epoch {first_epoch}/{n_epochs}")
        yield _Bar(progress, n_epochs)


class _Bar:
    def __init__(self, progress: Progress, n_epochs: int) -> None:
        self.progress = progress
        self.task = progress.task_ids[0]
        self.n_epochs = n_epochs

    def step(self, epoch: int, train_loss: float) -> None:
        description = f"epoch {epoch}/{self.n_epochs}"
        self.progress.update(self.task, advance=1, description=description, loss=train_loss)

    def epoch(self, epoch: int, train_loss: float, valid_error: float) -> None:
        self.progress.update(self.task, loss=train_loss, error=valid_error)


class _Nothing:
    def step(self, epoch: int, train_loss: float) -> None:
        pass

    def epoch(self, epoch: int, train_loss: float, valid_error: float) -> None:
        pass


class _Lines:
    def __init__(self, n_epochs: int, first_epoch: int) -> None:
        self.n_epochs = n_epochs
        self.first_epoch = first_epoch
        self.started = time.monotonic()
        self.last_line = float("-inf")

    def step(self, epoch: int, train_loss: float) -> None:
        pass  # an epoch is the shortest thing worth a line

    def epoch(self, epoch: int, train_loss: float, valid_error: float) -> None:
        now = time.monotonic()
        if now - self.last_line < SECONDS_BETWEEN_LINES and epoch < self.n_epochs:
            return
        self.last_line = now
        per_epoch = (now - self.started) / (epoch - self.first_epoch + 1)
        left = timedelta(seconds=round(per_epoch * (self.n_epochs - epoch)))
        log.info(
            "epoch %d/%d: train loss %.4g, validation error %.4g, %s left",
            epoch,
            self.n_epochs,
            train_loss,
            valid_error,
            left,
        )
