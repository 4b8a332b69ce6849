"""Layers exchanged: what a model computes stays, exactly or as nearly as the structure allows."""

import subprocess
import sys
import warnings
from copy import deepcopy
from functools import partial

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv
from neuralop.models import FNO
from torch import nn

from monarch_core import Dense, Monarch, MonarchLinear, MonarchSpectralConv, densify, monarchize
from monarch_core.adapters.neuralop.release import counts_both_signs
from pde.models import channels_last


def sizes(model):
    return sum(p.numel() for p in model.parameters())


def learn(model, x, steps=3):
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("size", [16, 24])
def test_there_and_back_a_monarch_layer_stays_what_it_is(size):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, size), nn.GELU(), nn.Linear(size, 9))
    x = torch.randn(5, 12)
    sparse = monarchize(model, n_blocks=3)
    assert sparse is model
    assert [type(layer) for layer in model] == [MonarchLinear, nn.GELU, MonarchLinear]
    y = model(x)
    dense = densify(model)
    assert [type(layer) for layer in dense] == [nn.Linear, nn.GELU, nn.Linear]
    torch.testing.assert_close(dense(x), y)
    torch.testing.assert_close(monarchize(dense, n_blocks=3)(x), y)


def test_one_block_is_the_dense_layer():
    model = nn.Sequential(nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 3))
    x = torch.randn(5, 12)
    torch.testing.assert_close(model(x), monarchize(model, n_blocks=1)(x))


def test_a_model_for_training_from_scratch_keeps_the_norms_of_its_weights():
    model = nn.Sequential(nn.Linear(24, 35), nn.ReLU(), nn.Linear(35, 24))
    norms = [layer.weight.norm() for layer in (model[0], model[2])]
    nearest = monarchize(deepcopy(model))
    monarchize(model, keep_norm=True)
    for layer, near, norm in zip(model[::2], nearest[::2], norms, strict=True):
        assert near.dense().norm() < 0.9 * norm
        torch.testing.assert_close(layer.dense(), near.dense() * norm / near.dense().norm())
    with torch.device("meta"):
        empty = nn.Sequential(nn.Linear(24, 35))
    assert monarchize(empty, keep_norm=True)[0].L.is_meta


@pytest.mark.parametrize("keep_norm", [False, True])
def test_a_layer_that_starts_at_zero_learns(keep_norm):
    """As the last ones of many networks do: zero times zero would have no gradient for good."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 35), nn.ReLU(), nn.Linear(35, 24))
    nn.init.zeros_(model[2].weight)
    monarchize(model, keep_norm=keep_norm)
    x, y = torch.randn(2, 50, 24)
    assert not model[2].dense().any()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_fewer_blocks_are_nearer():
    torch.manual_seed(0)
    linear = nn.Linear(32, 32)
    distances = [
        (monarchize(linear, n_blocks=n).dense() - linear.weight).norm().item() for n in (2, 4, 8)
    ]
    assert distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize(("grid", "n_modes"), [((16,), (8,)), ((16, 12), (8, 6))])
def test_a_trained_fno_computes_the_same_with_learnable_transforms(grid, n_modes):
    torch.manual_seed(0)
    model = FNO(n_modes, 1, 1, hidden_channels=6, n_layers=2)
    x = torch.randn(2, 1, *grid)
    learn(model, x)
    y = model(x)
    conv_module = MonarchSpectralConv.configured(grid=grid)
    swapped = monarchize(model, conv_module=conv_module)
    torch.testing.assert_close(swapped(x), y, rtol=1e-4, atol=1e-5)
    convs = [m for m in swapped.modules() if isinstance(m, MonarchSpectralConv)]
    assert len(convs) == 2
    learn(swapped, x)
    y = swapped(x)
    assert all(p.grad is not None for conv in convs for p in conv.parameters())
    dense = densify(swapped)
    assert not any(isinstance(m, Monarch) for m in dense.modules())
    torch.testing.assert_close(dense(x), y, rtol=1e-4, atol=1e-5)


def test_spectral_options_come_along():
    torch.manual_seed(0)
    most = 8 if counts_both_signs() else 5
    conv = SpectralConv(2, 3, (8, 8), max_n_modes=(8, most), bias=False)
    conv.n_modes = (4, 6)
    layer = monarchize(conv, conv_module=MonarchSpectralConv.configured(grid=(16, 16)))
    assert layer.bias is None
    for grid in ((16, 16), (20, 24)):
        x = torch.randn(2, 2, *grid)
        torch.testing.assert_close(layer(x), conv(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("factorization", ["tucker", "cp", "tt"])
def test_factorised_weights_keep_their_factors(factorization, separable):
    torch.manual_seed(0)
    conv = SpectralConv(
        4, 4, (8, 6), factorization=factorization, rank=0.4, separable=separable, bias=False
    )
    layer = monarchize(conv, conv_module=MonarchSpectralConv.configured(grid=(16, 16)))
    x = torch.randn(2, 4, 16, 16)
    torch.testing.assert_close(layer(x), conv(x), rtol=1e-4, atol=1e-5)
    shapes = [[p.shape for p in weight.parameters()] for weight in (layer.mode_weight, conv.weight)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("modes", [(8, 8), (16, 12)])
@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5, 2.0])
def test_layers_that_change_the_resolution_compute_the_same(factor, modes):
    """On even grids; neuralop cuts or fills the end of the spectrum, where f < 0 stands."""
    if counts_both_signs() and factor > 1 and modes == (16, 12):
        pytest.skip("neuralop after 2.0 drops the imaginary part of the highest frequency")
    torch.manual_seed(0)
    conv = SpectralConv(2, 3, modes, resolution_scaling_factor=factor)
    x = torch.randn(2, 2, 16, 12)
    for grid in ((16, 12), (32, 24)):
        layer = monarchize(conv, conv_module=MonarchSpectralConv.configured(grid=grid))
        torch.testing.assert_close(layer(x), conv(x), rtol=1e-5, atol=1e-5)
        out = (20, 6)
        torch.testing.assert_close(layer(x, out), conv(x, out), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("inverse", [False, True])
def test_a_transform_becomes_its_matrix(heads, inverse):
    torch.manual_seed(0)
    transform = Monarch(12, modes=range(-3, 4), heads=heads, inverse=inverse, dtype=torch.float64)
    transform.L.data += 0.1 * torch.randn_like(transform.L)
    dense = densify(transform)
    assert isinstance(dense, Dense)
    x = torch.randn(3, 4, transform.n_in, dtype=torch.cdouble)
    y = torch.randn(3, 4, transform.n_out, dtype=torch.cdouble)
    torch.testing.assert_close(dense(x), transform(x))
    torch.testing.assert_close(dense.adjoint(y), transform.adjoint(y))


def test_what_learns_and_what_does_not_stays():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8, dtype=torch.float64)).eval()
    model[0].weight.requires_grad_(False)
    for change in (partial(monarchize, n_blocks=2), densify):
        change(model)
        learned = [{p.requires_grad for _, p in layer.named_parameters()} for layer in model]
        assert learned == [{False, True}, {True}]
        assert [layer.bias.requires_grad for layer in model] == [True, True]
        assert [next(layer.parameters()).dtype for layer in model] == [torch.float32, torch.float64]
        assert not any(layer.training for layer in model)
    frozen = densify(Monarch(8, frozen=True))
    assert not frozen.weight.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_a_layer_that_reads_the_weight_of_its_parts_goes_on(training):
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
    monarchize(model, n_blocks=2)
    x = torch.randn(2, 3, 8)
    expected = densify(deepcopy(model)).train(training)(x)
    with torch.no_grad():
        torch.testing.assert_close(model.train(training)(x), expected)


def test_a_frozen_convolution_stays_frozen_in_its_dtype():
    conv = SpectralConv(2, 2, (4, 4)).double().requires_grad_(False)
    layer = monarchize(conv, conv_module=MonarchSpectralConv.configured(grid=(8, 8)))
    assert not any(p.requires_grad for p in layer.parameters())
    assert layer.bias.dtype == layer.mode_weight.dtype == torch.float32  # as its complex weight
    torch.testing.assert_close(layer.bias, conv.bias.float())


def test_tied_spectral_weights_stay_tied():
    a, b = SpectralConv(2, 2, (4, 4)), SpectralConv(2, 2, (4, 4))
    b.weight = a.weight
    model = nn.Sequential(a, b, SpectralConv(2, 2, (4, 4)))
    monarchize(model)
    assert [type(layer) for layer in model] == [SpectralConv, SpectralConv, MonarchSpectralConv]
    first, second = MonarchLinear(8, 8), MonarchLinear(8, 8)
    second.L = first.L
    assert all(isinstance(m, MonarchLinear) for m in densify(nn.Sequential(first, second)))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of inductor itself
def test_what_is_compiled_by_itself_or_normed_stays():
    compiled = torch.compile(nn.Linear(8, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        normed = nn.utils.weight_norm(nn.Linear(8, 8))
    model = monarchize(nn.Sequential(compiled, normed))
    assert type(model[0]._orig_mod) is type(model[1]) is nn.Linear


def test_random_numbers_go_on_as_before():
    torch.manual_seed(0)
    monarchize(nn.Sequential(nn.Linear(8, 8), SpectralConv(2, 2, (4, 4))))
    after = torch.rand(3)
    torch.manual_seed(0)
    nn.Sequential(nn.Linear(8, 8), SpectralConv(2, 2, (4, 4)))
    torch.testing.assert_close(after, torch.rand(3))


def test_what_cannot_be_swapped_is_left_alone():
    class Reached(nn.Linear):
        pass

    tied = nn.Linear(8, 8)
    embedding = nn.Embedding(8, 8)
    tied.weight = embedding.weight
    twice = nn.Linear(8, 8)
    layers = [Reached(8, 8), nn.Linear(8, 3), embedding, tied, twice, twice, nn.Linear(8, 8)]
    model = nn.ModuleDict({str(i): layer for i, layer in enumerate(layers)})
    monarchize(model, select=lambda name, layer: name != "6")
    assert [type(layer) for layer in model.values()] == [
        Reached,
        nn.Linear,
        nn.Embedding,
        nn.Linear,
        MonarchLinear,
        MonarchLinear,
        nn.Linear,
    ]
    assert model["4"] is model["5"]


@pytest.mark.parametrize(
    ("conv", "options", "message"),
    [
        (SpectralConv(2, 2, (4, 4), complex_data=True), {}, "complex_data"),
        (SpectralConv(2, 2, (8, 8)), {"grid": (4, 4)}, "cannot hold"),
        (
            SpectralConv(2, 2, (4, 4), resolution_scaling_factor=2, fft_norm="backward"),
            {},
            "depends on its fft_norm, got 'backward'",
        ),
        (
            SpectralConv(2, 2, (4, 4)),
            {"basis": "cosine", "transform": partial(Monarch, start="cosine")},
            "with basis=.cosine. the new layer does not compute",
        ),
    ],
)
def test_a_refused_layer_leaves_the_model_as_it_was(conv, options, message):
    model = nn.Sequential(nn.Linear(8, 8), conv)
    with pytest.raises(ValueError, match=message):
        monarchize(model, conv_module=MonarchSpectralConv.configured(**options))
    assert [type(layer) for layer in model] == [nn.Linear, SpectralConv]


def learns(module):
    return {name: p.requires_grad for name, p in module.named_parameters()}


@pytest.mark.parametrize("learn", ["both", "forward", "inverse", "none"])
@pytest.mark.parametrize("weight", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bind", [MonarchSpectralConv.configured, partial])
def test_what_is_frozen_stays_frozen_and_nothing_else(learn, weight, bias, bind):
    conv = SpectralConv(2, 2, (4, 4))
    conv.weight.requires_grad_(weight)
    conv.bias.requires_grad_(bias)
    options = {"grid": (8, 8), "learn": learn}
    bound = bind(**options) if bind is not partial else partial(MonarchSpectralConv, **options)
    swapped = monarchize(nn.Sequential(conv), conv_module=bound)
    expected = {
        "mode_weight": weight,
        "bias": bias,
        "forward_transforms": weight and learn in ("both", "forward"),
        "inverse_transforms": weight and learn in ("both", "inverse"),
    }
    for stage in (swapped, densify(swapped)):
        found = {name.split(".")[1]: value for name, value in learns(stage).items()}
        assert found == expected
        by_name = learns(stage)
        assert all(by_name[name] == expected[name.split(".")[1]] for name in by_name)


def test_a_transform_made_frozen_stays_frozen_in_a_layer_that_learns():
    conv_module = MonarchSpectralConv.configured(transform=partial(Monarch, frozen=True))
    layer = densify(monarchize(SpectralConv(2, 2, (4,)), conv_module=conv_module))
    assert learns(layer) == {
        "mode_weight": True,
        "bias": True,
        "forward_transforms.0.weight": False,
        "inverse_transforms.0.weight": False,
    }


@pytest.mark.parametrize("factors", [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_learns_where_its_parts_did(factors, bias):
    layer = MonarchLinear(8, 8)
    for parameter, value in zip((layer.L, layer.R, layer.bias), (*factors, bias), strict=True):
        parameter.requires_grad_(value)
    assert learns(densify(layer)) == {"weight": any(factors), "bias": bias}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": False}, "is bound with bias=False, and is called with bias=True; leave bias out"),
        ({"resolution_scaling_factor": 2}, "is bound with resolution_scaling_factor=2, and is"),
        ({"max_n_modes": (6, 4)}, r"is bound with max_n_modes=\(6, 4\), and is called with"),
        ({"basis": None, "transform": partial(Monarch, start="identity")}, "with basis=None"),
    ],
)
def test_options_with_which_it_would_compute_something_else_are_refused(options, message):
    model = nn.Sequential(nn.Linear(8, 8), SpectralConv(2, 2, (4, 4)))
    before = {name: p.clone() for name, p in model.named_parameters()}
    with pytest.raises(ValueError, match=message):
        monarchize(model, conv_module=partial(MonarchSpectralConv, **options))
    assert [type(layer) for layer in model] == [nn.Linear, SpectralConv]
    torch.testing.assert_close(dict(model.named_parameters()), before)


def test_a_bias_that_was_not_there_is_refused():
    conv_module = MonarchSpectralConv.configured(bias=True)
    with pytest.raises(ValueError, match="with bias=True, and is called with bias=False; leave"):
        monarchize(SpectralConv(2, 2, (4, 4), bias=False), conv_module=conv_module)


@pytest.mark.parametrize("learned", [True, False])
def test_a_network_of_ours_that_reads_the_weights_of_its_layers_goes_on(learned):
    torch.manual_seed(0)
    conv = MonarchSpectralConv.configured(grid=(8, 8)) if learned else SpectralConv
    model = channels_last.FNO((4, 4), 2, 1, 8, n_layers=2, projection_channels=8, conv_module=conv)
    x = torch.randn(2, 2, 8, 8)
    before, exact = model(x), monarchize(deepcopy(model), n_blocks=1)
    torch.testing.assert_close(exact(x), before, rtol=1e-4, atol=1e-5)
    sparse = monarchize(model, n_blocks=2)
    assert all(isinstance(skip, MonarchLinear) for skip in sparse.skips)
    y = sparse(x)
    assert 0 < (y - before).norm() < before.norm()
    y.square().sum().backward()
    assert all(p.grad is not None for p in sparse.parameters())
    torch.testing.assert_close(densify(sparse)(x), y, rtol=1e-4, atol=1e-5)


def test_a_model_without_layers_of_neuralop_needs_none_of_it():
    code = """
import sys, torch
from torch import nn
from monarch_core import monarchize, densify, MonarchLinear
from monarch_core.layers import SpectralConv
model = nn.Sequential(nn.Linear(8, 8), SpectralConv(2, 2, 4))
assert isinstance(monarchize(model, n_blocks=2)[0], MonarchLinear)
densify(model)
assert not [name for name in sys.modules if name.split(".")[0] == "neuralop"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
