"""Dense layers exchanged in any model: what is found, what it computes, what is told of it."""

import logging
from copy import deepcopy

import pytest
import torch
from neuralop.layers.spectral_convolution import SpectralConv
from torch import nn

from monarch_core import MonarchLinear, densify, exchange_linear, monarchize
from monarch_core.adapters.fused import Projections


class Attention(nn.Module):
    """Fused as timm has it: q | k | v, each of all heads."""

    def __init__(self, width=12, name="qkv", bias=True):
        super().__init__()
        self.name = name
        self.add_module(name, nn.Linear(width, 3 * width, bias))
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = getattr(self, self.name)(x).chunk(3, -1)
        return self.proj(torch.softmax(q @ k.mT, -1) @ v)


class OfGPTBigCode(Attention):
    """Fused as q, k, v of the first head, then of the second."""


OfGPTBigCode.__module__ = "transformers.models.gpt_bigcode.modeling_gpt_bigcode"


def monarch(n_blocks):
    return lambda linear: MonarchLinear.from_linear(linear, n_blocks)


def shapes(model):
    return {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}


def discarded(W, n_blocks):
    """The singular values that slices of rank h / N leave, slice by slice."""
    N = n_blocks
    s, a = W.shape[0] // N, W.shape[1] // N
    rank = min(a, s) // N
    squares = 0.0
    for m in range(N):
        for b in range(N):
            sigma = torch.linalg.svdvals(W[m::N, b::N].double())
            squares += sigma[rank:].square().sum()
    return (squares.sqrt() / W.double().norm()).item()


@pytest.mark.parametrize("name", ["qkv", "Wqkv", "in_proj", "c_attn", "to_qkv"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_projection_of_a_fused_layer_is_one_of_its_own(name, bias):
    torch.manual_seed(0)
    model = Attention(16, name, bias)
    whole, x, before = getattr(model, name), torch.randn(2, 5, 16), shapes(model)
    done = exchange_linear(model, monarch(4))
    assert [layer.name for layer in done] == [f"{name}.q", f"{name}.k", f"{name}.v", "proj"]
    fused = getattr(model, name)
    for part, rows in zip(fused.children(), whole.weight.chunk(3), strict=True):
        nearest = nn.Linear(16, 16, bias=False)
        nearest.weight.data = rows.data
        torch.testing.assert_close(part.dense(), MonarchLinear.from_linear(nearest, 4).dense())
    torch.testing.assert_close(fused(x), nn.functional.linear(x, fused.weight, fused.bias))
    y = model(x)
    densify(model)
    assert shapes(model) == before
    assert type(getattr(model, name)) is nn.Linear
    torch.testing.assert_close(model(x), y)


@pytest.mark.parametrize(
    "model", [Attention(16, "query_key_value"), OfGPTBigCode(16, "c_attn"), Attention(16, "fc")]
)
def test_what_lies_head_by_head_or_is_of_another_name_stays_in_one_piece(model):
    done = exchange_linear(model, monarch(4))
    assert [layer.name for layer in done] == [model.name, "proj"]
    assert isinstance(getattr(model, model.name), MonarchLinear)


def test_further_names_are_split_and_known_ones_left_in_one_piece():
    model = nn.ModuleList([Attention(16, "mine"), Attention(16, "qkv")])
    done = exchange_linear(model, monarch(4), fused={"mine": 3, "qkv": 1}, exclude="*.proj")
    assert [layer.name for layer in done] == ["0.mine.q", "0.mine.k", "0.mine.v", "1.qkv"]
    with pytest.raises(ValueError, match="48 outputs does not hold 5 projections"):
        exchange_linear(nn.ModuleList([Attention(16, "mine")]), monarch(4), fused={"mine": 5})


def test_one_projection_may_stay_dense():
    torch.manual_seed(0)
    model = Attention(16)
    q = model.qkv.weight[:16].clone()
    x, before = torch.randn(2, 5, 16), shapes(model)
    exchange_linear(model, monarch(4), exclude=["*.q", "proj"])
    assert [type(part) for part in model.qkv.children()] == [
        nn.Linear,
        MonarchLinear,
        MonarchLinear,
    ]
    torch.testing.assert_close(model.qkv.q.weight, q)
    y = model(x)
    assert shapes(densify(model)) == before
    torch.testing.assert_close(model(x), y)


@pytest.mark.parametrize("n_blocks", [2, 4])
@pytest.mark.parametrize(("n_in", "n_out"), [(32, 32), (32, 96), (64, 32)])
def test_the_residual_is_what_the_projection_discards(n_blocks, n_in, n_out):
    torch.manual_seed(0)
    linear = nn.Linear(n_in, n_out)
    (layer,) = exchange_linear(nn.Sequential(linear), monarch(n_blocks))
    assert layer.residual == pytest.approx(discarded(linear.weight, n_blocks), rel=1e-5)
    assert (layer.in_features, layer.out_features) == (n_in, n_out)
    assert layer.n_before == n_in * n_out + n_out
    assert layer.n_after == min(n_in, n_out) * (n_in + n_out) // n_blocks + n_out


def test_the_norm_of_a_large_weight_in_half_precision_is_a_number():
    linear = nn.Linear(256, 256)
    with torch.no_grad():
        linear.weight.fill_(300)  # a norm of 76,800, and float16 ends at 65,504
    told = []
    model = monarchize(nn.Sequential(linear).half(), keep_norm=True, report=told.extend)
    assert told[0].residual < 1e-2
    expected = torch.full((256, 256), 300.0).half()
    torch.testing.assert_close(model[0].dense(), expected, rtol=1e-2, atol=0)


def test_the_residual_of_one_projection_is_its_own():
    torch.manual_seed(0)
    model = Attention(16)
    with torch.no_grad():  # v is a Monarch matrix already
        model.qkv.weight[32:] = MonarchLinear(16, 16, 4).dense()
    rows = model.qkv.weight.chunk(3)
    done = exchange_linear(model, monarch(4), include="qkv")
    residuals = [layer.residual for layer in done]
    assert residuals[:2] == pytest.approx([discarded(W, 4) for W in rows[:2]], rel=1e-5)
    assert residuals[2] < 1e-6


def test_what_was_exchanged_prints_as_a_table_and_is_logged(caplog):
    model = nn.ModuleDict({"a": nn.Linear(8, 8), "small": nn.Linear(8, 3)})
    told = []
    with caplog.at_level(logging.INFO, logger="monarch_core.adapters.exchange"):
        assert monarchize(model, report=told.append) is model
    (layers,) = told
    lines = str(layers).splitlines()
    assert lines[0].split()[:3] == ["layer", "before", "after"]
    assert lines[1].split()[:7] == ["a", "Linear", "MonarchLinear", "8", "8", "72", "40"]
    assert lines[-1].split() == ["1", "layers", "72", "40"]
    assert str(layers) in caplog.text


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), ["body.0.qkv", "body.0.proj", "body.1.qkv", "body.1.proj", "head"]),
        ("body.0", (), ["body.0.qkv", "body.0.proj"]),
        (["*.proj", "head"], (), ["body.0.proj", "body.1.proj", "head"]),
        ((), "head", ["body.0.qkv", "body.0.proj", "body.1.qkv", "body.1.proj"]),
        ("body", ["body.1", "*.proj"], ["body.0.qkv"]),
        ("body.?.q*", (), ["body.0.qkv", "body.1.qkv"]),
    ],
)
def test_layers_are_chosen_by_patterns_of_their_names(include, exclude, expected):
    model = nn.ModuleDict(
        {"body": nn.Sequential(Attention(16), Attention(16)), "head": nn.Linear(16, 16)}
    )
    done = exchange_linear(model, monarch(4), include=include, exclude=exclude, fused={"qkv": 1})
    assert [layer.name for layer in done] == expected  # in the order of the model


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_matches_nothing_tells_the_nearest_names(option):
    model = nn.ModuleDict({"encoder": Attention(16), "norm": nn.LayerNorm(16)})
    before = deepcopy(model.state_dict())
    for pattern in ("encoder.prj", "norm", "*.q_proj"):
        with pytest.raises(ValueError, match=rf"{option}=.*matches no layer.*encoder\.proj"):
            exchange_linear(model, monarch(4), **{option: pattern})
    torch.testing.assert_close(model.state_dict(), before)


def test_a_layer_that_says_too_little_is_refused_and_the_model_stays():
    model = Attention(16)
    made = iter([MonarchLinear(16, 16), nn.Linear(16, 16)])
    with pytest.raises(ValueError, match=r"returned a Linear for qkv\.k, which has no dense"):
        exchange_linear(model, lambda linear: next(made))
    assert type(model.qkv) is type(model.proj) is nn.Linear
    with pytest.raises(ValueError, match="the model is a Linear itself"):
        exchange_linear(nn.Linear(8, 8), monarch(2))


def test_none_leaves_a_layer():
    model = Attention(16)
    done = exchange_linear(model, lambda linear: None)
    assert done == []
    assert type(model.qkv) is type(model.proj) is nn.Linear


def test_tied_layers_stay_and_what_stands_twice_is_exchanged_once():
    model = nn.Module()
    model.wte, model.lm_head = nn.Embedding(16, 16), nn.Linear(16, 16, bias=False)
    model.lm_head.weight = model.wte.weight
    model.a = model.b = nn.Linear(16, 16)
    done = exchange_linear(model, monarch(4))
    assert [layer.name for layer in done] == ["a"]
    assert model.lm_head.weight is model.wte.weight
    assert model.a is model.b
    assert isinstance(model.a, MonarchLinear)


@pytest.mark.parametrize("weight", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_what_is_frozen_in_a_fused_layer_stays_frozen(weight, bias):
    model = Attention(16).eval()
    model.qkv.weight.requires_grad_(weight)
    model.qkv.bias.requires_grad_(bias)
    monarchize(model)
    learned = {name: p.requires_grad for name, p in model.qkv.named_parameters()}
    expected = {"L": weight, "R": weight, "bias": bias}
    assert all(value == expected[name.split(".")[1]] for name, value in learned.items())
    assert len(learned) == 9
    assert not any(module.training for module in model.modules())
    densify(model)
    assert model.qkv.weight.requires_grad == weight
    assert model.qkv.bias.requires_grad == bias
    assert not model.qkv.training


def test_gradients_of_fused_projections_are_those_of_the_dense_layer():
    torch.manual_seed(0)
    model, x = Attention(16).double(), torch.randn(2, 5, 16).double()
    twin = deepcopy(model)
    exchange_linear(model, monarch(1))
    for each in (model, twin):
        each(x).square().sum().backward()
    fused = model.qkv
    assert isinstance(fused, Projections)
    for part, rows in zip(fused.children(), twin.qkv.weight.grad.chunk(3), strict=True):
        torch.testing.assert_close(part.L.grad[0], rows @ part.R[0].mT)


def test_a_spectral_convolution_is_told_beside_linear_layers():
    model = nn.Sequential(SpectralConv(2, 3, (4, 4)), nn.Linear(8, 8))
    told = []
    monarchize(model, report=told.extend)
    assert [(layer.name, layer.after) for layer in told] == [
        ("0", "MonarchSpectralConv"),
        ("1", "MonarchLinear"),
    ]
    assert told[0].residual is None
    assert told[0].n_after == sum(p.numel() for p in model[0].parameters())


def test_on_the_meta_device_sizes_are_there_and_numbers_not():
    with torch.device("meta"):
        model = Attention(16)
    model.qkv.weight.requires_grad_(False)
    told = []
    monarchize(model, report=told.extend)
    assert all(p.is_meta for p in model.parameters())
    assert [layer.residual for layer in told] == [None] * 4
    assert not model.qkv.k.L.requires_grad
    assert model.qkv.k.bias.requires_grad
    monarchize(real := Attention(16))
    assert shapes(model) == shapes(real)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn], ids=str)
def test_quantised_weights_stay(dtype):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    quantised = model[0].weight.detach().mul(100).to(dtype)
    model[0].weight = nn.Parameter(quantised, requires_grad=False)
    monarchize(model)
    assert [type(layer) for layer in model] == [nn.Linear, MonarchLinear]


def test_a_weight_that_is_not_finite_is_named():
    model = nn.ModuleDict({"one": nn.Linear(8, 8), "two": nn.Linear(8, 8)})
    model["two"].weight.data[3, 4] = torch.inf
    with pytest.raises(ValueError, match="the weight of two has NaN or infinite entries"):
        monarchize(model)
    assert type(model["one"]) is nn.Linear
