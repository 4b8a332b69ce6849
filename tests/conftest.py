"""The scans that most tests of datasets read, and how kernels for a GPU run without one.

Nothing that is imported before the first test is garbage: it is left out of the collections, each
of which would take a second to walk it.
"""

import gc
import os

import pytest
import torch
from mri_scans import write_dataset

gc.disable()

if not torch.cuda.is_available():  # Triton's interpreter, chosen before anything loads Triton
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_collection_finish():
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "scans")
