import math

import pytest
import torch

from monarch_core.layers.resample import interpolation_matrix


@pytest.mark.parametrize(("n", "n_new"), [(8, 8), (8, 13), (9, 16), (15, 7), (64, 160)])
def test_trigonometric_polynomials_are_interpolated_exactly(n, n_new):
    old, new = (torch.arange(m, dtype=torch.float64) / m for m in (n, n_new))
    for f in range((n - 1) // 2 + 1):
        for phase in (0.0, 0.7):
            wave = torch.cos(2 * math.pi * f * old + phase)
            expected = torch.cos(2 * math.pi * f * new + phase)
            torch.testing.assert_close(interpolation_matrix(n, n_new) @ wave, expected)


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_the_same_grid_is_the_identity(n):
    torch.testing.assert_close(interpolation_matrix(n, n), torch.eye(n, dtype=torch.float64))
