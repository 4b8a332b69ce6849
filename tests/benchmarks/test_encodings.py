"""The distances of encodings from what transforms can be."""

import pytest
import torch

from benchmarks.encodings import SCANNERS, N, distance
from data_scripts.mri.scanner import Scanner
from monarch_core.transforms import Dense, Fourier, Monarch, project_to_monarch


def columns(scanner):
    return torch.from_numpy(scanner.columns((N, N)))


def test_the_distance_is_that_of_the_nearest():
    E = columns(SCANNERS["`trajectory=0.5`"])
    _, _, nearest = project_to_monarch(E[0], block_sizes=(8, 16), rank=2)
    expected = float(nearest / E.norm())
    assert distance(Monarch(N, rank=2), E) == pytest.approx(expected, rel=1e-4)
    assert distance(Monarch(N, rank=2, heads=4), E) == pytest.approx(expected, rel=1e-4)
    fft = Fourier(N, centered=True).dense(torch.complex128)
    assert distance(Fourier(N, centered=True), E) == pytest.approx(
        float((fft - E).norm() / E.norm())
    )


def test_a_matrix_for_each_column_is_every_encoding():
    E = columns(Scanner(b0_hz=20.0, epi_delay=0.2))
    assert distance(Dense(N, heads=N), E) < 1e-6 < 0.1 < distance(Dense(N), E)
