"""The laws of every layer with a structured weight: it is `nn.Linear` with its `dense()`."""

import copy

import pytest
import torch
from torch import nn

from monarch_core import BlockDiagonalLinear, LowRankLinear, MonarchLinear, densify
from monarch_core.layers.structured import StructuredLinear

SIZES = [(7, 12, 2), (12, 7, 3), (35, 35, 5), (64, 85, 4), (161, 160, 7), (9, 9, 1), (3, 3, 3)]
KINDS = [MonarchLinear, BlockDiagonalLinear, LowRankLinear]
DTYPES = [torch.float64, torch.complex128]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=[(kind, sizes) for kind in KINDS for sizes in SIZES], ids=str)
def make(request):
    """A function that makes a layer of one kind and size."""
    kind, sizes = request.param

    def made(**options):
        return kind(*sizes, **options)

    made.kind, made.sizes = kind, sizes
    return made


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_layer_is_linear_with_its_dense_weight(make, dtype, bias):
    layer = make(dtype=dtype, bias=bias)
    n_in, n_out, _ = make.sizes
    assert isinstance(layer, StructuredLinear)
    assert layer.dense().shape == (n_out, n_in)
    assert torch.equal(layer.weight, layer.dense())
    names = [*layer.factor_names, *(["bias"] if bias else [])]
    assert list(layer.state_dict()) == names
    for batch in ((), (0,), (5,), (2, 3)):
        x = torch.randn(*batch, n_in, dtype=dtype)
        y, expected = layer(x), nn.functional.linear(x, layer.dense(), layer.bias)
        torch.testing.assert_close(y, expected)
        assert y.is_contiguous()
    linear = layer.to_linear()
    torch.testing.assert_close(linear(x), layer(x))
    assert torch.equal(linear.weight, layer.dense())
    assert repr(layer).startswith(f"{make.kind.__name__}(in_features={n_in}, out_features={n_out},")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_are_those_of_the_dense_weight(make, dtype):
    layer = make(dtype=dtype)
    x = torch.randn(4, make.sizes[0], dtype=dtype, requires_grad=True)
    grad = torch.randn(4, make.sizes[1], dtype=dtype)
    inputs = (x, *layer.parameters())
    ours = torch.autograd.grad(layer(x), inputs, grad)
    dense = nn.functional.linear(x, layer.dense(), layer.bias)
    for mine, expected in zip(ours, torch.autograd.grad(dense, inputs, grad), strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scaled_to_a_weight_the_layer_has_its_norm_and_no_other_direction(make, dtype):
    layer = make(dtype=dtype)
    before = layer.dense().detach()
    weight = torch.randn(make.sizes[1], make.sizes[0], dtype=dtype)
    assert layer.scale_to(weight) is layer
    torch.testing.assert_close(layer.dense(), before * weight.norm() / before.norm())
    assert all(factor.requires_grad for factor in layer.factors.values())
    kept = layer.dense().detach()
    layer.scale_to(torch.zeros_like(weight))
    assert torch.equal(layer.dense(), kept)


@pytest.mark.parametrize("start", ["linear", "blocks"])
def test_a_start_has_the_variance_that_it_promises(make, start):
    n_in = make.sizes[0]
    layer = make(start=start, bias=False)
    squares = []
    with torch.no_grad():
        for _ in range(1000 if n_in < 10 else 100):
            layer.reset_parameters()
            squares.append(layer.dense().square().sum(1).mean())  # E y^2 where E x^2 = 1
    expected = 1 / 3
    if start == "blocks":
        expected = 1.0
        for factor in layer.factors.values():
            d_out, d_in = factor.shape[-2:]
            expected *= min(1, d_out / d_in)
        if isinstance(layer, BlockDiagonalLinear | MonarchLinear):  # padding brings nothing
            expected *= n_in / (n_in + -n_in % layer.n_blocks)
    torch.testing.assert_close(torch.stack(squares).mean().item(), expected, rtol=0.15, atol=0)


def test_a_start_begins_with_the_bias_of_its_kind(make):
    assert make(start="blocks").bias.abs().max() == 0
    assert 0 < make(start="linear").bias.abs().max() <= make.sizes[0] ** -0.5


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float32, torch.bfloat16], ids=str)
def test_from_linear_keeps_a_weight_of_the_kind(make, dtype):
    source = make(dtype=dtype)
    linear = source.to_linear().eval()
    layer = type(source).from_linear(linear, make.sizes[2])
    assert not layer.training
    assert torch.equal(layer.bias, linear.bias)
    assert layer.bias is not linear.bias
    assert {p.dtype for p in layer.parameters()} == {dtype}
    tolerance = {"rtol": 5e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(layer.dense(), linear.weight, **tolerance)


def test_from_linear_is_the_nearest(make):
    n_in, n_out, structure = make.sizes
    linear = nn.Linear(n_in, n_out, dtype=torch.float64)
    layer = make.kind.from_linear(linear, structure)
    distance = (layer.dense() - linear.weight).square().sum()
    for gradient in torch.autograd.grad(distance, list(layer.factors.values())):
        assert gradient.abs().max() < 1e-12
    for _ in range(10):
        other = copy.deepcopy(layer)
        with torch.no_grad():
            for factor in other.factors.values():
                factor += 1e-3 * torch.randn_like(factor)
        assert (other.dense() - linear.weight).square().sum() > distance


def test_low_rank_leaves_the_last_singular_values():
    linear = nn.Linear(23, 17, dtype=torch.float64)
    layer = LowRankLinear.from_linear(linear, 5)
    sigma = torch.linalg.svdvals(linear.weight)
    torch.testing.assert_close((layer.dense() - linear.weight).norm(), sigma[5:].norm())


def test_block_diagonal_takes_the_diagonal_blocks():
    linear = nn.Linear(10, 7, dtype=torch.float64)
    expected = torch.zeros(7, 10, dtype=torch.float64)
    for rows, columns in (((0, 2), (0, 3)), ((2, 4), (3, 6)), ((4, 6), (6, 9)), ((6, 7), (9, 10))):
        block = slice(*rows), slice(*columns)
        expected[block] = linear.weight[block]
    assert torch.equal(BlockDiagonalLinear.from_linear(linear, 4).dense(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_zeros_can_learn(kind):
    linear = nn.Linear(12, 8)
    nn.init.zeros_(linear.weight)
    layer = kind.from_linear(linear, 2)
    assert not layer.dense().any()
    layer(torch.randn(3, 12)).sum().backward()
    assert any(factor.grad.any() for factor in layer.factors.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(5,), (5, 3)], ids=str)
def test_an_exported_program_takes_batches_of_any_size(kind, batch):
    layer, x = kind(12, 10, 2), torch.randn(9, *batch[1:], 12)
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(layer, (torch.randn(*batch, 12),), dynamic_shapes=dynamic)
    torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_frozen_stays_frozen(kind):
    linear = nn.Linear(12, 8)
    linear.weight.requires_grad_(False)
    layer = kind.from_linear(linear, 2)
    assert [n for n, p in layer.named_parameters() if p.requires_grad] == ["bias"]
    assert not layer.to_linear().weight.requires_grad
    linear.weight.requires_grad_(True)
    linear.bias.requires_grad_(False)
    layer = kind.from_linear(linear, 2)
    assert {n for n, p in layer.named_parameters() if p.requires_grad} == set(layer.factor_names)


def test_densify_exchanges_every_kind():
    model = nn.Sequential(*(kind(12, 12, 3) for kind in KINDS), nn.GELU())
    x = torch.randn(5, 12)
    expected = model(x)
    dense = densify(model)
    assert [type(layer) for layer in dense] == [nn.Linear] * 3 + [nn.GELU]
    torch.testing.assert_close(dense(x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_gives_what_linear_gives(kind):
    layer = kind(12, 8, 2)
    x = torch.randn(3, 24)[:, ::2]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, expected = layer(x), layer.to_linear()(x)
    assert y.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(y, expected, rtol=3e-2, atol=3e-2)


@pytest.mark.parametrize(("n_in", "n_out"), [(64, 64), (48, 96), (96, 48)])
def test_the_three_kinds_of_equal_size(n_in, n_out):
    """The sizes that the documentation calls equal."""

    def size(layer):
        return sum(factor.numel() for factor in layer.factors.values())

    n_blocks, a, s = 4, n_in // 4, n_out // 4
    monarch = size(MonarchLinear(n_in, n_out, n_blocks))
    assert size(LowRankLinear(n_in, n_out, min(n_in, n_out) // n_blocks)) == monarch
    assert n_in * n_out / (n_blocks * max(a, s) / (a + s)) == monarch
    assert size(BlockDiagonalLinear(n_in, n_out, 2)) == n_in * n_out / 2


@pytest.mark.parametrize("kind", KINDS)
def test_rate_factors_follow_their_formula(kind):
    layer = kind(48, 24, 4)
    d_in = {"L": 6, "R": 12, "D": 12, "U": 4, "V": 48}
    n = len(layer.factor_names)
    assert layer.rate_factors() == {name: 48 / d_in[name] / n for name in layer.factor_names}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LowRankLinear(3, 8, 4), "rank must be between 1 .*in_features=3 .*got 4"),
        (lambda: LowRankLinear(3, 8, 0), "rank must be a whole number .*got 0"),
        (lambda: BlockDiagonalLinear(9, 9, 4), r"n_blocks=4 blocks of 3 x 3 leave .*use 3"),
        (lambda: BlockDiagonalLinear(3, 8, 4), "smaller of in_features=3 and out_features=8"),
        (lambda: BlockDiagonalLinear(8, 0, 1), "out_features must be a whole number"),
        (lambda: LowRankLinear(8, 8, 2, dtype=torch.int64), "dtype must be real or complex"),
        (lambda: MonarchLinear(8, 8, start="normal"), "start must be one of linear, blocks, got"),
        (lambda: LowRankLinear(8, 8, 2)(torch.zeros(2, 7)), r"in_features=8 .* shape \(2, 7\)"),
        (lambda: BlockDiagonalLinear(8, 8)(torch.zeros(8).double()), "D: torch.float32"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
