"""Samples of trajectories: what is given, and what is to be predicted."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from monarch_core.runs.fingerprint import fingerprint_arrays
from monarch_core.training.batches import mix_seed

# Tells the random numbers of symmetries from others of the same seed.
_SYMMETRY = 1


class TrajectoryDataset(Dataset[tuple[tuple[Tensor, ...], Tensor]]):
    """Pairs of past and future, one per trajectory, in physical units.

    Item i is ((past,), future). The past are the values of the first frames, then the constants;
    the future are those of the other frames. Both are float32 with axes (value, *grid), where the
    values of a frame of several channels follow each other.

    Args:
        frames: all used frames of all trajectories.
        n_input_frames: how many of them are the past.
        symmetry: maps the frames of an item to those of another solution, at random; the draw
            follows from seed, epoch and item. None leaves them as they are.
        n_forced_epochs: in so many first epochs item i is ((past, future), future), which makes a
            `RollOut` start every step from the truth.
        seed: of the symmetries.
        n_channels: values of a frame at each point.
        constants: what else is given and does not evolve, (trajectory, constant, *grid); None for
            nothing.
    """

    def __init__(
        self,
        frames: Float[Tensor, "trajectory values *grid"],
        n_input_frames: int,
        symmetry: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        n_forced_epochs: int = 0,
        seed: int = 0,
        *,
        n_channels: int = 1,
        constants: Float[Tensor, "trajectory constant *grid"] | None = None,
    ) -> None:
        self.frames = frames
        self.n_input_frames = n_input_frames
        self.symmetry = symmetry
        self.n_forced_epochs = n_forced_epochs
        self.seed = seed
        self.epoch = 0
        self.n_channels = n_channels
        self.constants = constants

    def set_epoch(self, epoch: int) -> None:
        """Choose the symmetries of an epoch, counted from 0, and whether it is forced."""
        self.epoch = epoch

    @property
    def n_given(self) -> int:
        """Values of the input frames."""
        return self.n_input_frames * self.n_channels

    @property
    def past(self) -> Float[Tensor, "trajectory given *grid"]:
        """The inputs of all trajectories."""
        frames = self.frames[:, : self.n_given]
        return frames if self.constants is None else torch.cat((frames, self.constants), dim=1)

    @property
    def future(self) -> Float[Tensor, "trajectory predicted *grid"]:
        """The outputs of all trajectories."""
        return self.frames[:, self.n_given :]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, i: int) -> tuple[tuple[Tensor, ...], Tensor]:
        frames = self.frames[i]
        if self.symmetry is not None:
            seed = mix_seed(self.seed, self.epoch, i, _SYMMETRY)
            frames = self.symmetry(frames, torch.Generator().manual_seed(seed))
        past, future = frames.tensor_split([self.n_given])
        if self.constants is not None:
            past = torch.cat((past, self.constants[i]))
        forced = self.epoch < self.n_forced_epochs
        return ((past, future) if forced else (past,)), future


@dataclass(frozen=True)
class Splits:
    """Disjoint sets of trajectories.

    Attributes:
        train: to learn from.
        valid: to choose by.
        test: to report on.
        grid: points per axis.
        sizes: trajectories in each split.
        times: time of every used frame, inputs first, in units of the equation.
        description: one sentence for people.
        identity: what the numbers depend on: the recipe of generated data, None for your own.
    """

    train: TrajectoryDataset
    valid: TrajectoryDataset
    test: TrajectoryDataset
    grid: tuple[int, ...]
    sizes: dict[str, int]
    times: tuple[float, ...]
    description: str
    identity: dict[str, Any] | None = None

    @functools.cached_property
    def fingerprints(self) -> dict[str, str]:
        """The identity of each split by the content of its frames, wherever they lie."""
        return {
            split: fingerprint_arrays(
                [part for part in (dataset.frames, dataset.constants) if part is not None]
            )
            for split, dataset in (
                ("train", self.train),
                ("valid", self.valid),
                ("test", self.test),
            )
        }
