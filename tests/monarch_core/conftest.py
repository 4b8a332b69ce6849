"""Fixtures around the tiny problem: a model, data and a config of a run of milliseconds."""

import pytest
import torch
from tiny_problem import TinyData, TinyModel

from monarch_core.runs.lock import leave_all
from monarch_core.training.config import FitConfig


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
        defaults = {"epochs": 3, "batch_size": 4, "accelerator": "cpu"}
        rates = {"learning_rate": 0.01, "transform_learning_rate": 1e-3}
        return FitConfig(**{**defaults, **rates, **values})

    return make
