"""The order of the data: a function of the seed and the epoch, and of nothing else."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


def mix_seed(*numbers: int) -> int:
    """Return one seed for several numbers; neighbouring numbers give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


class EpochBatches(Sampler[list[int]]):
    """Indices of every batch of an epoch, as seen by one of several processes.

    The processes share each batch: process r of w takes its entries r, r + w, r + 2 w, ... A
    process left without an entry (a short last batch) computes the first one with weight zero, so
    that all processes take the same number of steps.

    Attributes:
        epoch: set before iterating; with `seed` it determines the order.
    """

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        *,
        seed: int | None,
        rank: int = 0,
        n_processes: int = 1,
    ) -> None:
        """Describe the batches.

        Args:
            n_samples: size of the dataset.
            batch_size: samples per batch over all processes.
            seed: of the order; None keeps the order of the dataset.
            rank: this process.
            n_processes: processes that share each batch.
        """
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.n_processes = n_processes
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.n_samples // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the indices of this process, batch by batch."""
        order = list(range(self.n_samples))
        if self.seed is not None:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, self.epoch))
            order = torch.randperm(self.n_samples, generator=generator).tolist()
        for start in range(0, self.n_samples, self.batch_size):
            batch = order[start : start + self.batch_size]
            yield batch[self.rank :: self.n_processes] or batch[:1]

    def indices(self, number: int) -> list[int]:
        """Return the samples of batch `number` of the epoch, counted from 0."""
        return next(itertools.islice(self, number, None))

    def shares(self) -> Iterator[tuple[int, int]]:
        """Yield, batch by batch, how many samples this process computes and how many all do."""
        for start in range(0, self.n_samples, self.batch_size):
            n_all = min(self.batch_size, self.n_samples - start)
            yield len(range(self.rank, n_all, self.n_processes)), n_all


def make_loader(
    dataset: Dataset[Any], batches: EpochBatches, *, n_workers: int, pin_memory: bool
) -> DataLoader[Any]:
    """Return a loader that follows `batches`.

    Its workers are started anew in every epoch, from seeds that `start_epoch` sets, so random
    augmentation in them does not depend on what happened before.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=n_workers,
        pin_memory=pin_memory,
        generator=torch.Generator(),
    )


def start_epoch(loader: DataLoader[Any], epoch: int) -> EpochBatches:
    """Set order and seeds of the coming epoch and return its batches."""
    batches = loader.batch_sampler
    assert isinstance(batches, EpochBatches)
    assert loader.generator is not None
    batches.epoch = epoch
    loader.generator.manual_seed(mix_seed(batches.seed or 0, epoch, batches.rank))
    return batches
