import re

import pytest
import torch
from torch import nn

from monarch_core.layers.linear import WORTH_FACTORS_IN_CACHE, MonarchLinear
from monarch_core.transforms import monarch_multiply, prepared
from monarch_core.transforms.classes.projection import project_to_monarch

SIZES = [(7, 12, 2), (12, 7, 3), (35, 35, 5), (64, 85, 4), (85, 64, 4), (161, 160, 7), (9, 9, 1)]
SIZES += [(3, 3, 3), (10, 2, 2)]
DTYPES = [torch.float64, torch.complex128]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n_in", "n_out", "n_blocks"), SIZES)
def test_factored_equals_multiplied_out(n_in, n_out, n_blocks, dtype):
    layer = MonarchLinear(n_in, n_out, n_blocks, dtype=dtype)
    assert layer.dense().shape == (n_out, n_in)
    x = torch.randn(2, 3, n_in, dtype=dtype)
    torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.dense(), layer.bias))


@pytest.mark.parametrize("bias", [True, False])
def test_same_interface_as_linear(bias):
    layer, linear = MonarchLinear(12, 35, bias=bias), nn.Linear(12, 35, bias=bias)
    assert (layer.in_features, layer.out_features) == (12, 35)
    assert (layer.bias is None) == (linear.bias is None)
    for batch in ((), (0,), (5,), (2, 3)):
        x = torch.randn(*batch, 12)
        y = layer(x)
        assert y.shape == linear(x).shape
        assert y.dtype == linear(x).dtype
        assert y.view(-1).numel() == y.numel()
    torch.testing.assert_close(layer(torch.zeros(12)), torch.zeros(35) if not bias else layer.bias)
    assert "in_features=12, out_features=35, n_blocks=4, bias=" in repr(layer)


def test_parameter_count():
    layer = MonarchLinear(64, 64, 4, bias=False)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 2 * 64 * 64 // 4


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n_in", "n_out", "n_blocks"), SIZES)
def test_initial_output_variance_is_that_of_linear(n_in, n_out, n_blocks, dtype):
    x = torch.randn(64, n_in, dtype=dtype)

    def mean_square(layer):
        squares = []
        for _ in range(150):
            layer.reset_parameters()
            squares.append((layer(x).detach().abs() ** 2).mean(0))
        return torch.stack(squares).mean(0)

    with torch.no_grad():
        dense = mean_square(nn.Linear(n_in, n_out, bias=False, dtype=dtype))
        monarch = mean_square(MonarchLinear(n_in, n_out, n_blocks, bias=False, dtype=dtype))
    expected = 2 / 3 if dtype.is_complex else 1 / 3
    torch.testing.assert_close(dense.mean().item(), expected, rtol=0.15, atol=0)
    torch.testing.assert_close(monarch.mean().item(), expected, rtol=0.15, atol=0)
    # No output stands out, whatever the padding: every one has the same variance.
    assert monarch.min() > 0.45 * expected
    assert monarch.max() < 2 * expected


def test_initial_bias_is_that_of_linear():
    bias = MonarchLinear(25, 3000, 5).bias
    torch.testing.assert_close(bias.var().item(), 1 / 75, rtol=0.1, atol=0)
    assert bias.abs().max() <= 1 / 5


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n_in", "n_out", "n_blocks"), SIZES)
def test_from_linear_keeps_a_monarch_weight(n_in, n_out, n_blocks, dtype):
    source = MonarchLinear(n_in, n_out, n_blocks, dtype=dtype)
    linear = nn.Linear(n_in, n_out, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(source.dense())
    layer = MonarchLinear.from_linear(linear, n_blocks)
    torch.testing.assert_close(layer.dense(), linear.weight)
    x = torch.randn(4, n_in, dtype=dtype)
    torch.testing.assert_close(layer(x), linear(x))


@pytest.mark.parametrize(("n_in", "n_out", "n_blocks"), [(7, 12, 2), (85, 64, 4), (12, 12, 2)])
def test_from_linear_is_the_nearest(n_in, n_out, n_blocks):
    linear = nn.Linear(n_in, n_out, dtype=torch.float64)
    layer = MonarchLinear.from_linear(linear, n_blocks)
    distance = (layer.dense() - linear.weight).norm()
    assert 0 < distance < linear.weight.norm()
    gradients = torch.autograd.grad(distance, (layer.L, layer.R), retain_graph=True)
    assert max(gradient.abs().max() for gradient in gradients) < 1e-12
    if n_in == n_out:
        rank = n_in // n_blocks // n_blocks
        residual = project_to_monarch(linear.weight, block_sizes=(n_blocks, n_blocks), rank=rank)[2]
        torch.testing.assert_close(distance, residual)
    for _ in range(20):
        other = MonarchLinear.from_linear(linear, n_blocks)
        with torch.no_grad():
            for factor in (other.L, other.R):
                factor += 1e-3 * torch.randn_like(factor)
        assert (other.dense() - linear.weight).norm() > distance


def test_from_linear_copies_what_is_not_the_weight():
    linear = nn.Linear(12, 35, dtype=torch.float32).eval()
    layer = MonarchLinear.from_linear(linear, 2)
    assert layer.L.dtype == torch.float32
    assert not layer.training
    assert torch.equal(layer.bias, linear.bias)
    assert layer.bias.data_ptr() != linear.bias.data_ptr()
    assert MonarchLinear.from_linear(nn.Linear(12, 35, bias=False)).bias is None
    half = MonarchLinear.from_linear(nn.Linear(12, 35, dtype=torch.bfloat16))
    assert half.L.dtype == torch.bfloat16


def test_state_dict_round_trip():
    source, target = MonarchLinear(35, 12), MonarchLinear(35, 12)
    target.load_state_dict(source.state_dict())
    x = torch.randn(3, 35)
    assert set(source.state_dict()) == {"L", "R", "bias"}
    assert torch.equal(source(x), target(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n_in", "n_out", "n_blocks"), SIZES)
def test_the_product_is_that_of_monarch_multiply(n_in, n_out, n_blocks, dtype):
    """Values, gradients and second derivatives, for inputs of any strides."""
    layer = MonarchLinear(n_in, n_out, n_blocks, bias=False, dtype=dtype)
    x = torch.randn(n_in, 6, dtype=dtype).mT.requires_grad_()
    padded = nn.functional.pad(x, (0, -n_in % n_blocks))
    values = []
    for y in (layer(x), monarch_multiply(padded, layer.L, layer.R)[..., :n_out]):
        inputs = (x, layer.L, layer.R)
        first = torch.autograd.grad(y.abs().pow(4).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.abs().pow(2).sum() for g in first), inputs)
        values.append((y, *first, *second))
    for ours, expected in zip(*values, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("n_rows", [0, 1, 2000, 4000])
def test_a_prepared_layer_multiplies_out_for_small_batches(n_rows):
    layer = MonarchLinear(40, 61, 4)
    x = torch.randn(n_rows, 40)
    expected = layer(x)
    with torch.no_grad():
        view = prepared(layer)
        torch.testing.assert_close(view(x), expected)
        view.made("M").zero_()
        small = n_rows * (40 * 61 - layer.L.numel() - layer.R.numel()) < WORTH_FACTORS_IN_CACHE
        torch.testing.assert_close(view(x), layer.bias.expand(n_rows, -1) if small else expected)
    assert set(view.state_dict()) == {"L", "R", "bias"}


@pytest.mark.parametrize(("n", "made"), [(256, True), (640, False)])
def test_no_weight_is_multiplied_out_that_no_batch_is_multiplied_by(n, made):
    layer = MonarchLinear(n, n, 8)
    with torch.no_grad():
        view = prepared(layer)
        assert (view.made("M") is not None) == made
        x = torch.randn(1, n)
        torch.testing.assert_close(view(x), layer(x))


def test_a_prepared_layer_refuses_what_the_layer_refuses():
    layer = MonarchLinear(12, 8)
    with torch.no_grad():
        view = prepared(layer)
        for x in (torch.zeros(2, 7), torch.zeros(2, 12).double()):
            with pytest.raises(ValueError, match=r"x must") as refused:
                layer(x)
            with pytest.raises(ValueError, match=re.escape(str(refused.value))):
                view(x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients(dtype):
    layer = MonarchLinear(5, 4, 2, dtype=dtype)
    names, values = zip(*layer.named_parameters(), strict=True)
    x = torch.randn(2, 5, dtype=dtype, requires_grad=True)

    def apply(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), x)

    assert torch.autograd.gradcheck(apply, (x, *values))


def test_learns_a_monarch_map():
    target = MonarchLinear(12, 7, 2)
    layer = MonarchLinear(12, 7, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=2e-2)
    x = torch.randn(64, 12)
    first = None
    for _ in range(150):
        loss = (layer(x) - target(x).detach()).square().mean()
        first = loss.item() if first is None else first
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02 * first


def test_errors():
    with pytest.raises(ValueError, match="smaller of in_features=3 and out_features=8, got 4"):
        MonarchLinear(3, 8)
    with pytest.raises(ValueError, match="got 0"):
        MonarchLinear(8, 8, 0)
    with pytest.raises(ValueError, match=r"in_features=8 entries .* got shape \(2, 7\)"):
        MonarchLinear(8, 8)(torch.zeros(2, 7))


ALL_DTYPES = [
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.complex64,
    torch.int64,
]


@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weight", ALL_DTYPES[:-1], ids=str)
def test_dtypes_are_those_of_linear_or_refused_where_it_refuses(weight, bias, autocast):
    layers = [cls(12, 8, bias=bias, dtype=weight) for cls in (nn.Linear, MonarchLinear)]
    refusals = (RuntimeError, ValueError)
    for dtype in ALL_DTYPES:
        results = []
        for layer, refusal in zip(layers, refusals, strict=True):
            with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
                try:
                    y = layer(torch.ones(3, 24).to(dtype)[:, ::2])  # not contiguous
                    results.append((y.dtype, tuple(y.shape)))
                except refusal:
                    results.append("refused")
        assert results[0] == results[1], dtype


@pytest.mark.parametrize("shape", [(12,), (0, 12), (2, 0, 12), (2, 3, 12)])
def test_values_under_autocast_are_those_of_linear(shape):
    layer = MonarchLinear(12, 8, 2)
    x = torch.randn(shape)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, expected = layer(x), layer.to_linear()(x)
    assert y.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(y, expected, rtol=3e-2, atol=3e-2)
