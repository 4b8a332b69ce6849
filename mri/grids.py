"""A run and images of another grid than those it was trained on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def loading_for(run_dir: Path, grid: tuple[int, int]) -> Iterator[None]:
    """Say what to do where the weights of a run do not fit a model for images of a grid.

    Raises:
        ValueError: whatever the block raised, of weights of another shape with the remedy.
    """
    try:
        yield
    except ValueError as error:
        if "of another shape" not in str(error):
            raise
        raise ValueError(
            f"the run {run_dir} was trained on another grid than the {grid[0]} x {grid[1]} of "
            "these scans, and a learned transform has the size of its grid; train on scans of this "
            "grid, choose a run that was, or reconstruct with method=cg_sense or l1_wavelet "
            f"(mri/reconstruct.py), which need no training ({error})"
        ) from error
