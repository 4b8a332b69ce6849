"""A problem small enough to be trained in milliseconds, with every kind of randomness in it."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from monarch_core.experiment.config import FitConfig
from monarch_core.experiment.run_lock import leave_all


class TinyTransform(nn.Module):
    """Stands for a learnable transform: what matters to the fit loop is the mark."""

    is_transform = True

    def __init__(self, n):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(n))

    def forward(self, x):
        return x @ self.matrix


class TinyModel(nn.Module):
    """Two inputs, a transform, a complex weight, dropout and a buffer."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.transform = TinyTransform(5)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(5, 3)
        self.phase = nn.Parameter(torch.ones(3, dtype=torch.complex64))
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x, shift):
        y = self.linear(self.dropout(self.transform(x)))
        return self.scale * (y * self.phase).real + shift


class TinyData(Dataset):
    """Pairs of a linear law; `noise` draws from all three global generators."""

    def __init__(self, n=11, noise=0.0, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(n, 5, generator=generator)
        self.y = self.x[:, :3] * 2 + 1
        self.noise = noise

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        noise = random.gauss(0, 1) + np.random.randn() + torch.randn(()).item()
        return (self.x[index] + self.noise * noise, torch.ones(3)), self.y[index]


@pytest.fixture(autouse=True)
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(autouse=True)
def _no_folder_held():
    yield
    leave_all()  # a test that starts a run does not end it, as an entry script does


@pytest.fixture
def tiny_model():
    def make(dropout=0.0):
        torch.manual_seed(3)
        return TinyModel(dropout)

    return make


@pytest.fixture
def tiny_data():
    return TinyData


@pytest.fixture
def fit_config():
    def make(**values):
        defaults = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "accelerator": "cpu"}
        return FitConfig(**{**defaults, **values})

    return make
