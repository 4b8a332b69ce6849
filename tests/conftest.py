"""The scans that most tests of datasets read."""

import pytest
from mri_scans import write_dataset


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "scans")
