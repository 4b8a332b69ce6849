"""`MonarchSpectralConv` against the FFT: the same layer before learning, and exact gradients."""

from functools import partial

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv
from neuralop.models import FNO

from monarch_core import MonarchSpectralConv
from monarch_core.transforms import Dense, Fourier, Monarch

TRANSFORMS = {
    "monarch": Monarch,
    "heads": partial(Monarch, heads=2),
    "rank": partial(Monarch, rank=2),
    "frozen": partial(Monarch, frozen=True),
    "dense": Dense,
    "fourier": Fourier,
}
CASES = [
    ((64,), (16,)),
    ((64,), (64,)),
    ((32, 20), (12, 8)),
    ((12, 12), (12, 12)),
    ((16, 12, 20), (6, 8, 10)),
]


def fft_layer(x, weight, bias, grid_modes):
    """Equations (1) to (3) of the layer with the FFT, for any parity of the grid."""
    grid = x.shape[2:]
    axes = tuple(range(2, x.ndim))
    X = torch.fft.rfftn(x, dim=axes)
    Y = torch.zeros(len(x), weight.shape[1], *X.shape[2:], dtype=X.dtype)
    kept = weight.shape[2:]
    frequencies = [torch.arange(-(m // 2), m - m // 2) for m in kept[:-1]]
    index = torch.meshgrid(*frequencies, torch.arange(kept[-1]), indexing="ij")
    where = (slice(None), slice(None), *(f % n for f, n in zip(index, grid, strict=True)))
    Y[where] = torch.einsum("bc...,co...->bo...", X[where], weight)
    return torch.fft.irfftn(Y, s=grid, dim=axes) + bias


def pair(grid, modes, transform=Monarch, seed=0, **options):
    torch.manual_seed(seed)
    fft = SpectralConv(4, 6, modes)
    torch.manual_seed(seed)
    monarch = MonarchSpectralConv(4, 6, modes, grid=grid, transform=transform, **options)
    return fft, monarch


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(("grid", "modes"), CASES)
def test_before_learning_it_is_neuralops_layer(grid, modes, transform):
    fft, monarch = pair(grid, modes, transform)
    x = torch.randn(3, 4, *grid)
    torch.testing.assert_close(monarch(x), fft(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(monarch.weight, fft.weight.to_tensor().detach())


@pytest.mark.parametrize("grid", [(15,), (9, 15), (8, 9, 7)])
def test_odd_grids_are_what_the_formula_says(grid):
    _, monarch = pair(grid, tuple(n // 2 for n in grid))
    x = torch.randn(2, 4, *grid)
    expected = fft_layer(x, monarch.weight, monarch.bias, grid)
    torch.testing.assert_close(monarch(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("grid", [(32, 32), (24, 40), (13, 64)])
@pytest.mark.parametrize("bound", [None, (16, 24)])
def test_another_grid_is_reached_by_interpolation(grid, bound):
    torch.manual_seed(0)
    layer = MonarchSpectralConv(4, 6, (8, 6), grid=bound)
    x = torch.randn(2, 4, *grid)
    expected = fft_layer(x, layer.weight, layer.bias, grid)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_a_trained_layer_commutes_with_refinement_of_smooth_fields():
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 3, (6, 6), grid=(16, 16))
    perturb(layer)
    coarse = band_limited(2, 2, 16)
    fine = torch.fft.irfftn(pad_spectrum(torch.fft.rfftn(coarse, dim=(2, 3)), 48) * 9, s=(48, 48))
    assert relative(layer(fine)[..., ::3, ::3], layer(coarse)) < 1e-5


def band_limited(batch, channels, n, cutoff=3):
    x_hat = torch.zeros(batch, channels, n, n // 2 + 1, dtype=torch.complex64)
    x_hat[..., :cutoff, :cutoff] = torch.randn(batch, channels, cutoff, cutoff, dtype=torch.cfloat)
    return torch.fft.irfftn(x_hat, s=(n, n))


def pad_spectrum(x_hat, n):
    out = torch.zeros(*x_hat.shape[:2], n, n // 2 + 1, dtype=x_hat.dtype)
    half = x_hat.shape[-2] // 2
    out[..., :half, : x_hat.shape[-1] - 1] = x_hat[..., :half, :-1]
    out[..., -half + 1 :, : x_hat.shape[-1] - 1] = x_hat[..., -half + 1 :, :-1]
    return out


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def perturb(module, size=0.1):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += size * torch.randn_like(parameter)


@pytest.mark.parametrize("n_new", [24, 11])
def test_what_fourier_rows_learn_of_fields_that_are_not_periodic_is_interpolated_in_cosines(n_new):
    torch.manual_seed(0)
    options = {"transform": Dense, "periodic": False}
    layers = [MonarchSpectralConv(2, 3, (6,), grid=(n,), **options) for n in (16, n_new)]
    layers[1].copy_weight(layers[0].weight)
    layers[1].bias = layers[0].bias
    x = torch.randn(2, 2, n_new)
    torch.testing.assert_close(layers[0](x), layers[1](x), rtol=1e-5, atol=1e-5)  # untrained
    change = torch.randn(2, 4, 5)  # forward and inverse: frequencies by cosines
    for layer, n in zip(layers, (16, n_new), strict=True):
        centres = (torch.arange(n) + 0.5) / n
        rows = change @ torch.cos(torch.pi * torch.arange(5)[:, None] * centres) / n**0.5
        with torch.no_grad():
            for transform, added in zip(
                (layer.forward_transforms[0], layer.inverse_transforms[0]),
                (rows[0], rows[1].mT),
                strict=True,
            ):
                parameter = next(transform.parameters())
                parameter[..., 0] += added.reshape(parameter.shape[:-1])
    torch.testing.assert_close(layers[0](x), layers[1](x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transform", [Monarch, partial(Monarch, heads=2), Dense])
def test_a_trained_layer_is_the_formula(transform):
    """Equations (1) to (3) spelled out in complex numbers, after the parameters have moved."""
    _, layer = pair((12, 10), (6, 8), transform)
    perturb(layer)
    x = torch.randn(2, 4, 12, 10)
    A1, A2 = (t.dense().reshape(t.heads, t.n_out, t.n_in) for t in layer.forward_transforms)
    B1, B2 = (t.dense().reshape(t.heads, t.n_out, t.n_in) for t in layer.inverse_transforms)
    of_in = [m.repeat_interleave(4 // len(m), 0) for m in (A1, A2)]
    of_out = [m.repeat_interleave(6 // len(m), 0) for m in (B1, B2)]
    X = torch.einsum("cfx,cgy,bcxy->bcfg", *of_in, x.to(torch.cfloat))
    Y = torch.einsum("bcfg,cofg->bofg", X, layer.weight)
    s = torch.full((5,), 2.0)
    s[0] = 1.0
    v = torch.einsum("oxf,oyg,bofg,g->boxy", *of_out, Y, s.to(torch.cfloat)).real
    torch.testing.assert_close(layer(x), v + layer.bias, rtol=1e-5, atol=1e-5)


def test_gradients_of_every_parameter_in_double_precision():
    torch.manual_seed(0)
    transform = partial(Monarch, heads=2, dtype=torch.float64)
    layer = MonarchSpectralConv(2, 2, (2, 4), grid=(4, 6), transform=transform).double()
    perturb(layer)
    names, parameters = zip(*layer.named_parameters(), strict=True)
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)

    def of_everything(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(of_everything, (x, *parameters))


@pytest.mark.parametrize(("grid", "modes"), [((32,), (16,)), ((16, 20), (8, 10))])
def test_a_network_with_untrained_monarch_is_the_network_with_the_fft(grid, modes):
    options = {"n_modes": modes, "in_channels": 3, "out_channels": 1, "hidden_channels": 8}
    torch.manual_seed(0)
    fft = FNO(**options)
    torch.manual_seed(0)
    monarch = FNO(**options, conv_module=MonarchSpectralConv.configured(grid=grid))
    x, y = torch.randn(2, 3, *grid), torch.randn(2, 1, *grid)
    outputs = [network(x) for network in (fft, monarch)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-5, atol=1e-5)
    for output in outputs:
        (output - y).square().sum().backward()
    gradients = dict(monarch.named_parameters())
    compared = 0
    for name, parameter in fft.named_parameters():
        if name.endswith("convs.weight.tensor") or ".weight.tensor" in name:
            conv = monarch.get_submodule(name.removesuffix(".weight.tensor"))
            pairs = torch.view_as_real(parameter.grad).movedim((-1, 0, 1), (0, -2, -1))
            grad = conv.mode_weight.grad
        else:
            pairs, grad = parameter.grad, gradients[name].grad
        torch.testing.assert_close(grad, pairs, rtol=1e-4, atol=1e-5 * pairs.abs().max().item())
        compared += 1
    assert compared == len(list(fft.parameters()))


@pytest.mark.parametrize(
    ("learn", "forward", "inverse"),
    [
        ("both", True, True),
        ("forward", True, False),
        ("inverse", False, True),
        ("none", False, False),
    ],
)
def test_which_transforms_learn(learn, forward, inverse):
    layer = MonarchSpectralConv(2, 2, (4, 4), learn=learn)
    assert all(p.requires_grad == forward for p in layer.forward_transforms.parameters())
    assert all(p.requires_grad == inverse for p in layer.inverse_transforms.parameters())


def test_fewer_modes_is_a_smaller_weight():
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 2, (8, 8), grid=(16, 16))
    x = torch.randn(1, 2, 16, 16)
    layer.n_modes = (4, 6)
    weight = layer.weight[:, :, 2:6, :4]
    expected = fft_layer(x, weight, layer.bias, (16, 16))
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_autocast_runs_and_is_near():
    _, layer = pair((16, 16), (8, 8))
    x = torch.randn(2, 4, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = layer(x)
    assert relative(low.float(), layer(x)) < 2e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"complex_data": True}, "does not offer complex_data=True"),
        ({"factorization": "svd"}, "factorization='svd' with rank=0.5 is none that tltorch makes"),
        ({"index_set": "cross"}, "does not offer index_set='cross'"),
        ({"fno_block_precision": "half"}, "use torch.autocast"),
        ({"learn": "some"}, "learn must be one of both"),
        ({"grid": (16,)}, "grid must be 2 whole numbers"),
        ({"grid": (16, 6)}, "a grid of 6 points cannot hold 8 modes on axis 1"),
        ({"transform": partial(Monarch, block_sizes=(3, 5))}, "block_sizes must multiply to n"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        MonarchSpectralConv(4, 4, (8, 8), **options)


def test_a_refusal_leaves_the_layer_as_it_was():
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 8))
    x, weight = torch.randn(1, 2, 8, 8), layer.weight.clone()
    before = layer(x)
    with pytest.raises(ValueError, match="keep fewer"):
        layer.n_modes = (2, 8)
    with pytest.raises(ValueError, match="the weight must be complex"):
        layer.copy_weight(torch.zeros(1, 1, 1, 1, dtype=torch.cfloat))
    assert layer.n_modes == [4, 3]
    torch.testing.assert_close(layer.weight, weight, rtol=0, atol=0)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=0)


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match=r"heads must divide .* 6 channels of the inverse"):
        MonarchSpectralConv(4, 6, (4,), transform=partial(Monarch, heads=4))


@pytest.mark.parametrize("periodic", [True, False])
def test_a_fixed_fft_follows_the_precision_of_the_layer(periodic):
    options = {"grid": (8,), "transform": Fourier, "periodic": periodic}
    layer = MonarchSpectralConv(2, 2, (4,), **options).double()
    x = torch.randn(1, 2, 8, dtype=torch.float64)
    assert layer(x).dtype == torch.float64
    assert layer(torch.randn(1, 2, 12, dtype=torch.float64)).dtype == torch.float64
