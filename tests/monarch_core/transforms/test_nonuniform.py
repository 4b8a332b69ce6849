"""The Fourier transform on uneven points: what it reproduces, what it fits, its limit, errors."""

import math

import numpy as np
import pytest
import torch

from monarch_core.layers import SpectralConv
from monarch_core.training.transform_config import TransformConfig, axis_transform
from monarch_core.transforms import Dense, Fourier
from monarch_core.transforms.nonuniform import nonuniform_fourier

CONFIG = TransformConfig(name="nudft", kind="nudft", learn="none")
HALF, BOTH = range(4), range(-3, 3)


def points(n):
    """Uneven points that are denser towards both ends."""
    return np.sort((1 + np.tanh(1.5 * np.linspace(-1, 1, n)) / math.tanh(1.5)) / 2.001)


@pytest.mark.parametrize("modes", [HALF, BOTH, range(7), range(1), [2, 5]], ids=str)
@pytest.mark.parametrize("n", [12, 13])
def test_on_even_points_it_is_the_dft(n, modes):
    A, B = nonuniform_fourier(torch.arange(n, dtype=torch.float64) / n, modes)
    for found, inverse in ((A, False), (B, True)):
        wanted = Fourier(n, modes=modes, inverse=inverse, norm="ortho").dense(torch.complex128)
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def wave_field(grid, modes, seed=0):
    """Re sum s B_1 ... B_D c, written out: any real field of the kept waves."""
    generator = torch.Generator().manual_seed(seed)
    c = torch.randn(2, *map(len, modes), 2, generator=generator, dtype=torch.float64)
    u = torch.view_as_complex(c)
    for n, f in zip(grid, modes, strict=True):
        waves = torch.from_numpy(np.exp(2j * np.pi * np.outer(points(n), f)))
        u = torch.tensordot(u, waves, dims=([1], [1]))
    return u.real


@pytest.mark.parametrize(("grid", "n_modes"), [((17,), (6,)), ((24,), (1,)), ((11, 19), (5, 6))])
def test_a_layer_of_unit_weights_reproduces_every_field_of_its_waves(grid, n_modes):
    layer = SpectralConv(
        2, 2, n_modes, grid, basis="complex", bias=False,
        transform=lambda n, **o: axis_transform(CONFIG, n, coordinates=points, **o),
    ).double()  # fmt: skip
    with torch.no_grad():
        unit = torch.eye(2, dtype=torch.cfloat)
        layer.take_weight(unit.reshape(2, 2, *[1] * len(grid)).expand(2, 2, *layer.n_weights))
    modes = [list(f) for f in layer.frequencies]
    modes = [*([g for g in f if -g in f] for f in modes[:-1]), modes[-1]]  # both signs of each
    u = wave_field(grid, modes)[None]
    # the matrices are kept in single precision
    torch.testing.assert_close(layer(u), u, atol=1e-5, rtol=0)
    assert not any(p.requires_grad for p in layer.forward_transforms.parameters())
    with pytest.raises(
        ValueError, match=r"basis='complex' works on the grid .* alone, got \d+ points"
    ):
        layer(torch.zeros(1, 2, *(n + 1 for n in grid), dtype=torch.float64))


@pytest.mark.parametrize("modes", [HALF, BOTH], ids=str)
def test_analysis_is_the_least_squares_fit_over_the_points(modes):
    n = 23
    x = points(n)
    A, B = nonuniform_fourier(torch.from_numpy(x), modes)
    u = torch.randn(n, dtype=torch.float64 if modes is HALF else torch.complex128)
    s = torch.tensor([1.0 if modes is BOTH or f == 0 else 2.0 for f in modes])
    fitted = B @ (s * (A @ u.to(A.dtype)))
    left = u - (fitted.real if modes is HALF else fitted)
    waves = torch.from_numpy(np.exp(-2j * np.pi * np.outer(list(modes), x)))
    torch.testing.assert_close(waves @ left.to(waves.dtype), torch.zeros_like(waves[:, 0]))
    assert left.norm() > 0.1


def test_waves_that_the_points_cannot_tell_apart_are_refused():
    with pytest.raises(ValueError, match=r"0 to 5 cannot be told apart on these 8 points"):
        nonuniform_fourier(torch.arange(8).double() / 8, range(6))
    close = 0.5 + 1e-3 * torch.arange(16, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"-2 to 2 cannot be told apart .* keep fewer modes"):
        nonuniform_fourier(close, range(-2, 3))
    with pytest.raises(ValueError, match=r"the points must be finite, got .*nan"):
        nonuniform_fourier(torch.tensor([0.0, math.nan, 0.5]), range(1))


def test_even_points_have_the_fft():
    with pytest.raises(ValueError, match="transform=nudft is for uneven points"):
        axis_transform(CONFIG, 8, norm="ortho", modes=range(3))
    learning = TransformConfig(name="nudft_learned", kind="nudft")
    found = axis_transform(learning, 16, coordinates=points, norm="ortho", modes=range(3))
    assert isinstance(found, Dense)
    assert found.weight.requires_grad
    assert CONFIG.declares() == {"basis": "nudft", "control": False, "learns": "none"}
