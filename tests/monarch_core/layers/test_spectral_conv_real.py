"""`MonarchSpectralConv` with transforms that are real before learning: cosine and sine."""

from functools import partial

import pytest
import scipy.fft
import torch

from monarch_core import MonarchSpectralConv
from monarch_core.layers.resample import interpolation_matrix
from monarch_core.transforms import Monarch

STARTS = ["cosine", "sine"]
FORWARD = {"cosine": scipy.fft.dctn, "sine": scipy.fft.dstn}
INVERSE = {"cosine": scipy.fft.idctn, "sine": scipy.fft.idstn}
CASES = [((15,), (6,)), ((12, 10), (6, 4)), ((8, 9, 10), (4, 4, 6))]


def layer_of(start, grid, modes, channels=(2, 3), seed=0, **options):
    torch.manual_seed(seed)
    transform = partial(Monarch, start=start, rank=2)
    return MonarchSpectralConv(
        *channels, modes, grid=grid, transform=transform, basis=start, **options
    )


def basis(start, n, k):
    """Return column k of the inverse transform: a cosine or sine on cell centres."""
    x = (torch.arange(n) + 0.5) / n
    return torch.cos(torch.pi * k * x) if start == "cosine" else torch.sin(torch.pi * (k + 1) * x)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("grid", "modes"), CASES)
def test_it_is_scipys_transform_with_real_weights(start, grid, modes):
    layer = layer_of(start, grid, modes)
    kept = layer.weight.shape[2:]
    assert not layer.weight.imag.any()
    x = torch.randn(2, 2, *grid)
    axes = tuple(range(2, x.ndim))
    x_hat = torch.from_numpy(FORWARD[start](x.numpy(), type=2, axes=axes, norm="ortho"))
    low = (slice(None), slice(None), *map(slice, kept))
    y_hat = torch.zeros(2, 3, *grid)
    y_hat[low] = torch.einsum("bc...,co...->bo...", x_hat[low], layer.weight.real)
    y = torch.from_numpy(INVERSE[start](y_hat.detach().numpy(), type=2, axes=axes, norm="ortho"))
    torch.testing.assert_close(layer(x), y + layer.bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("modes", [(8,), (7,), (6, 8), (4, 6, 5)])
def test_it_has_the_modes_and_the_numbers_of_the_fourier_layer(modes):
    fourier = MonarchSpectralConv(2, 3, modes, grid=(16,) * len(modes))
    real = layer_of("cosine", (16,) * len(modes), modes)
    assert real.mode_weight.numel() == fourier.mode_weight.numel()
    assert real.frequencies[:-1] == [range(m) for m in modes[:-1]]
    assert real.frequencies[-1] == range(2 * len(fourier.frequencies[-1]))
    assert real.n_modes == [len(f) for f in real.frequencies]


def identity_weights(layer):
    eye = torch.eye(layer.in_channels, dtype=torch.complex64)
    shape = layer.weight.shape
    layer.copy_weight(eye.reshape(*eye.shape, *[1] * (len(shape) - 2)).expand(shape))
    torch.nn.init.zeros_(layer.bias)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(("grid", "modes"), CASES)
def test_with_identity_weights_it_projects_on_the_kept_modes(start, grid, modes):
    layer = layer_of(start, grid, modes, channels=(2, 2))
    identity_weights(layer)
    once = layer(torch.randn(2, 2, *grid))
    torch.testing.assert_close(layer(once), once, rtol=1e-5, atol=1e-5)
    for n, kept, A, B in zip(
        grid, layer.frequencies, layer.forward_transforms, layer.inverse_transforms, strict=True
    ):
        P = B.dense(torch.complex128) @ A.dense(torch.complex128)
        torch.testing.assert_close(P @ P, P, rtol=1e-5, atol=1e-6)
        assert P.trace().real.item() == pytest.approx(len(kept), abs=1e-4)
        assert not P.imag.any()
        assert len(P) == n


@pytest.mark.parametrize("start", STARTS)
def test_with_identity_weights_band_limited_fields_pass_and_higher_ones_vanish(start):
    n, m = 20, 6
    layer = layer_of(start, (n, n), (m, m), channels=(1, 1))
    identity_weights(layer)
    last = 2 * (m // 2 + 1)
    for k_1 in range(n):
        for k_2 in (0, 1, last - 1, last, n - 1):
            mode = torch.outer(basis(start, n, k_1), basis(start, n, k_2))[None, None]
            expected = mode if k_1 < m and k_2 < last else torch.zeros_like(mode)
            torch.testing.assert_close(layer(mode), expected, rtol=1e-5, atol=1e-5)


def test_a_trained_layer_is_the_formula_without_the_conjugate_half():
    layer = layer_of("cosine", (12, 10), (6, 4))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    x = torch.randn(2, 2, 12, 10)
    A1, A2 = (t.dense() for t in layer.forward_transforms)
    B1, B2 = (t.dense() for t in layer.inverse_transforms)
    X = torch.einsum("fx,gy,bcxy->bcfg", A1, A2, x.to(torch.cfloat))
    Y = torch.einsum("bcfg,cofg->bofg", X, layer.weight)
    v = torch.einsum("xf,yg,bofg->boxy", B1, B2, Y).real
    torch.testing.assert_close(layer(x), v + layer.bias, rtol=1e-5, atol=1e-5)


def test_weights_start_with_the_variance_of_the_fourier_layer():
    torch.manual_seed(0)
    x = torch.randn(8, 16, 32, 32)
    outputs = [
        layer(x) - layer.bias
        for layer in (
            layer_of("cosine", (32, 32), (16, 16), channels=(16, 16)),
            MonarchSpectralConv(16, 16, (16, 16), grid=(32, 32)),
        )
    ]
    ratio = outputs[0].std() / outputs[1].std()
    assert ratio.item() == pytest.approx(1.0, abs=0.1)


def test_fewer_modes_are_the_lowest_ones():
    layer = layer_of("sine", (16, 16), (8, 8))
    x = torch.randn(1, 2, 16, 16)
    layer.n_modes = (4, 4)
    few = layer(x)
    layer.n_modes = (8, 8)
    with torch.no_grad():
        layer.mode_weight[:, 4:] = 0
        layer.mode_weight[:, :, 6:] = 0
    torch.testing.assert_close(few, layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("other", [(12, 10), (21, 16), (32, 30)])
def test_on_another_grid_an_untrained_layer_is_that_grids_own(start, other):
    layer, own = layer_of(start, (16, 15), (6, 4)), layer_of(start, other, (6, 4))
    x = torch.randn(2, 2, *other)
    torch.testing.assert_close(layer(x), own(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("start", STARTS)
def test_a_trained_layer_is_one_operator_on_all_grids(start):
    layer = layer_of(start, (16,), (6,))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    # Below the Nyquist frequency of both grids a sum over cell centres is one integral.
    x = [sum(basis(start, n, k) / (k + 1) for k in range(12)).expand(1, 2, n) for n in (16, 32)]
    coarse, fine = (layer(x_n) for x_n in x)
    D = interpolation_matrix(16, 32, start).float()
    torch.testing.assert_close(fine, (coarse - layer.bias) @ D.mT + layer.bias)


@pytest.mark.parametrize(
    ("start", "stated", "message"),
    [
        ("cosine", "fourier", "cannot be made for basis='fourier': modes must be distinct indices"),
        ("fourier", "cosine", "is not that of basis='cosine' before learning"),
        ("sine", "cosine", "forward transform of axis 0 is not that of basis='cosine'"),
        ("hadamard", "cosine", "name the basis that it starts from, or basis=None"),
        ("identity", "sine", "is not that of basis='sine' before learning: its rows are .*% off"),
        ("random", "cosine", "is not that of basis='cosine' before learning"),
        ("cosine", "dct", "basis must be one of fourier, cosine, sine, complex, None, got 'dct'"),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_the_option_must_say_what_the_transform_is(start, stated, message, order):
    if order == 1 and "cannot be made" in message:
        message = "is not that of basis='fourier' before learning"
    transform = partial(Monarch, start=start, rank=2)
    with pytest.raises(ValueError, match=message):
        MonarchSpectralConv(2, 2, (4,) * order, transform=transform, basis=stated)


def test_each_transform_is_looked_at():
    made = []

    def wrong_once(n, **options):
        made.append(n)
        start = "sine" if len(made) == 4 else "cosine"
        return Monarch(n, start=start, **options)

    with pytest.raises(ValueError, match="the inverse transform of axis 1 is not that of"):
        MonarchSpectralConv(2, 2, (4, 4), transform=wrong_once, basis="cosine")
    with pytest.raises(ValueError, match="must take 16 values to 10, got 16 to 16; transform must"):
        MonarchSpectralConv(
            2, 2, (8,), transform=lambda n, **_: Monarch(n, start="sine"), basis="sine", grid=(16,)
        )


@pytest.mark.parametrize("start", ["hadamard", "identity", "random", "sine"])
def test_rows_of_no_basis_serve_the_grid_they_are_made_for(start):
    torch.manual_seed(0)
    transform = partial(Monarch, start=start)
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 16), transform=transform, basis=None)
    x = torch.randn(2, 2, 8, 16)
    A1, A2 = (t.dense() for t in layer.forward_transforms)
    B1, B2 = (t.dense() for t in layer.inverse_transforms)
    X = torch.einsum("fx,gy,bcxy->bcfg", A1, A2, x.to(torch.cfloat))
    Y = torch.einsum("bcfg,cofg->bofg", X, layer.weight)
    v = torch.einsum("xf,yg,bofg->boxy", B1, B2, Y).real
    torch.testing.assert_close(layer(x), v + layer.bias, rtol=1e-5, atol=1e-5)
    with pytest.raises(
        ValueError, match=r"basis=None works on the grid .* alone, got 12 points in the place of 8"
    ):
        layer(torch.randn(2, 2, 12, 16))
    with pytest.raises(ValueError, match="got 20 points in the place of 16; bring the fields"):
        layer(x, output_shape=(8, 20))


@pytest.mark.parametrize("start", STARTS)
def test_more_modes_than_in_use_have_the_weights_of_both_signs(start):
    fourier = MonarchSpectralConv(2, 3, (4, 4), max_n_modes=(6, 5), grid=(16, 16))
    real = layer_of(start, (16, 16), (4, 4), max_n_modes=(6, 5))
    assert real.mode_weight.numel() == fourier.mode_weight.numel()
    assert real.weight.shape[2:] == (6, 10)


def test_modes_beyond_the_grid_are_refused():
    with pytest.raises(ValueError, match="a grid of 8 points cannot hold 10 modes on axis 1"):
        layer_of("cosine", (16, 8), (8, 8))
