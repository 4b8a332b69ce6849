"""A problem small enough to be trained in milliseconds, with every kind of randomness in it."""

import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


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
