import math

import pytest
import torch

from monarch_core.layers.resample import BASES, interpolation_matrix


def wave(basis, f, n):
    """Return member f of a basis on its grid of n points."""
    x = torch.arange(n, dtype=torch.float64)
    if basis == "fourier":
        return torch.cos(2 * math.pi * f * x / n + 0.7)
    x = math.pi * (x + 0.5) / n
    return torch.cos(f * x) if basis == "cosine" else torch.sin((f + 1) * x)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("n", "n_new"), [(8, 8), (8, 13), (9, 16), (15, 7), (64, 160)])
def test_what_both_grids_resolve_is_exact_and_what_the_new_one_cannot_hold_vanishes(
    n, n_new, basis
):
    for f in range((n - 1) // 2 + 1 if basis == "fourier" else n):
        new = interpolation_matrix(n, n_new, basis) @ wave(basis, f, n)
        resolved = 2 * f <= n_new if basis == "fourier" else f < n_new
        expected = wave(basis, f, n_new)
        torch.testing.assert_close(new, expected if resolved else torch.zeros_like(expected))


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_the_same_grid_is_the_identity(n, basis):
    identity = torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(interpolation_matrix(n, n, basis), identity)


def test_an_unknown_basis_is_refused():
    with pytest.raises(ValueError, match="fourier, cosine, sine, got 'wavelet'"):
        interpolation_matrix(8, 16, "wavelet")
