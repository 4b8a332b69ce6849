"""The scans that most tests of datasets read, and how kernels for a GPU run without one."""

import os

import pytest
import torch
from mri_scans import write_dataset

if not torch.cuda.is_available():  # Triton's interpreter, chosen before anything loads Triton
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "scans")
