"""Axes with transforms of their own: Fourier along one, sines or cosines along another."""

from functools import partial

import pytest
import scipy.fft
import torch

from monarch_core import MonarchSpectralConv
from monarch_core.transforms import Dense, Fourier, Monarch

SINE = partial(Monarch, start="sine", rank=2)
MIXED = {
    ("fourier", "sine"): ((9, 14), (4, 6)),
    ("sine", "fourier"): ((14, 9), (6, 4)),
    ("fourier", "sine", "fourier"): ((8, 9, 10), (4, 4, 6)),
    ("fourier", "fourier", "sine"): ((7, 8, 9), (5, 4, 4)),
}
MAKERS = {"fourier": Monarch, "sine": SINE}


def layer_of(bases, grid, modes, channels=(2, 3), **options):
    torch.manual_seed(0)
    options |= {"transform": [MAKERS[b] for b in bases], "basis": bases}
    options |= {"periodic": [b == "fourier" for b in bases]}
    return MonarchSpectralConv(*channels, modes, grid=grid, **options)


@pytest.mark.parametrize("bases", MIXED)
def test_it_is_the_fft_along_some_axes_and_scipys_sine_transform_along_others(bases):
    grid, modes = MIXED[bases]
    layer = layer_of(bases, grid, modes)
    x = torch.randn(2, 2, *grid)
    sines = [d + 2 for d, b in enumerate(bases) if b == "sine"]
    waves = [d + 2 for d, b in enumerate(bases) if b == "fourier"]
    X = torch.from_numpy(scipy.fft.dstn(x.numpy(), type=2, axes=sines, norm="ortho"))
    X = torch.fft.fftn(X.to(torch.cfloat), dim=waves)
    Y = torch.zeros(2, 3, *grid, dtype=torch.cfloat)
    index = torch.meshgrid(*(torch.tensor(list(f)) for f in layer.frequencies), indexing="ij")
    place = (slice(None), slice(None), *(f % n for f, n in zip(index, grid, strict=True)))
    Y[place] = torch.einsum("bc...,co...->bo...", X[place], layer.weight)
    # The other half, f < 0 of the last Fourier axis, is what makes the result real.
    half = waves[-1]
    f = torch.arange(grid[half - 2])
    s = torch.where((f == 0) | (2 * f == len(f)), 1.0, 2.0)
    Y = Y * s.view(-1, *[1] * (Y.ndim - 1 - half))
    y = torch.fft.ifftn(Y, dim=waves).real
    y = torch.from_numpy(scipy.fft.idstn(y.detach().numpy(), type=2, axes=sines, norm="ortho"))
    torch.testing.assert_close(layer(x), y + layer.bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bases", MIXED)
def test_weights_have_the_numbers_of_the_fourier_layer(bases):
    modes = (6, 8, 6)[: len(bases)]
    grid = (16,) * len(bases)
    mixed = layer_of(bases, grid, modes)
    fourier = MonarchSpectralConv(2, 3, modes, grid=grid)
    assert mixed.mode_weight.numel() == fourier.mode_weight.numel()
    assert mixed.kinds.count("half") == 1


@pytest.mark.parametrize("bases", MIXED)
@pytest.mark.parametrize("finer", [1, 2])
def test_on_another_grid_an_untrained_layer_is_that_grids_own(bases, finer):
    grid, modes = MIXED[bases]
    other = tuple(finer * n + 3 for n in grid)
    x = torch.randn(2, 2, *other)
    on_other = layer_of(bases, other, modes)(x)
    torch.testing.assert_close(layer_of(bases, grid, modes)(x), on_other, rtol=1e-4, atol=1e-5)


def test_the_gradients_are_those_of_the_formula():
    layer = layer_of(("fourier", "sine"), (6, 7), (4, 4)).double()
    x = torch.randn(1, 2, 6, 7, dtype=torch.double, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def apply(x, *values):
        return torch.func.functional_call(layer, dict(zip(parameters, values, strict=True)), (x,))

    values = [p.detach().double().requires_grad_() for p in parameters.values()]
    assert torch.autograd.gradcheck(apply, (x, *values))


@pytest.mark.parametrize("bases", MIXED)
def test_fewer_modes_are_the_lowest_ones(bases):
    grid, modes = (16,) * len(bases), (8,) * len(bases)
    layer = layer_of(bases, grid, modes)
    x = torch.randn(2, 2, *grid)
    layer.n_modes = few = (4,) * len(bases)
    found = layer(x)
    small = layer_of(bases, grid, few)
    small.bias = layer.bias
    starts = [f.index(g[0]) for f, g in zip(layer.frequencies, small.frequencies, strict=True)]
    cut = [slice(a, a + len(g)) for a, g in zip(starts, small.frequencies, strict=True)]
    small.copy_weight(layer.weight[:, :, *cut])
    torch.testing.assert_close(found, small(x), rtol=1e-5, atol=1e-5)


def test_complex_rows_of_any_kind_count_their_conjugates():
    """Rows exp(2 pi i f x) on points x of any distance: waves of the kept frequencies pass."""
    torch.manual_seed(0)
    x = torch.rand(24, dtype=torch.double).sort().values

    def waves(n, inverse, modes, **_):
        f = torch.tensor(list(modes), dtype=torch.double)
        f = torch.cat((-f.flip(0)[:-1], f))  # both signs, as the analysis has to tell them apart
        B = torch.exp(2j * torch.pi * torch.outer(x, f))
        rows = torch.linalg.pinv(B)[len(modes) - 1 :]
        matrix = B[:, len(modes) - 1 :] if inverse else rows
        return Dense.from_matrix(matrix)

    layer = MonarchSpectralConv(1, 1, (8,), grid=(24,), transform=waves, basis="complex")
    assert layer.kinds == ("half",)
    layer.copy_weight(torch.ones(1, 1, 5, dtype=torch.cfloat))
    torch.nn.init.zeros_(layer.bias)
    u = (1 + torch.cos(2 * torch.pi * 3 * x + 0.4) + torch.sin(8 * torch.pi * x)).float()
    torch.testing.assert_close(layer(u[None, None])[0, 0], u, rtol=0, atol=2e-3)
    with pytest.raises(ValueError, match="basis='complex' works on the grid it is made for alone"):
        layer(torch.randn(1, 1, 30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"basis": ["fourier"]}, "basis must be one for all axes or have one entry for each of"),
        ({"periodic": [True, False, True]}, "periodic must be one for all axes"),
        ({"transform": [Monarch, Monarch, Fourier]}, "transform must be one for all axes"),
        ({"basis": ["fourier", "dct"]}, "basis must be one of fourier, cosine"),
        ({"basis": ["fourier", "sine"]}, "transform of axis 1 is not that of basis='sine'"),
    ],
)
def test_what_does_not_fit_the_axes_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MonarchSpectralConv(2, 2, (4, 4), **options)
