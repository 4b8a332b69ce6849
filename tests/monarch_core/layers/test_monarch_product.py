"""The training step of a Monarch product: what the plain formula gives, in any mode of torch."""

from pathlib import Path

import pytest
import torch
from programs import COMPILER, run_program
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

from monarch_core import MonarchLinear
from monarch_core.layers import monarch_product
from monarch_core.layers.monarch_product import formula, multiply

# torch scripts its own formulas of forward mode when they are first needed.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
# n_in, n_out, n_blocks: with and without padding, and blocks whose rows N divides or not
SIZES = [(12, 12, 2), (7, 12, 2), (12, 7, 3), (35, 35, 5), (64, 85, 4), (85, 64, 4), (9, 9, 1)]
SIZES += [(3, 3, 3), (10, 2, 2)]
NAMES = ("x", "L", "R", "bias")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def in_pieces(monkeypatch):
    monkeypatch.setattr(monarch_product, "PIECE_ROWS", 4)


def tensors(n_in, n_out, n_blocks, rows=6, learn=NAMES, dtype=torch.float64):
    layer = MonarchLinear(n_in, n_out, n_blocks, dtype=dtype)
    values = (torch.randn(rows, n_in, dtype=dtype), layer.L, layer.R, layer.bias)
    pairs = zip(NAMES, values, strict=True)
    return [value.detach().requires_grad_(name in learn) for name, value in pairs]


def first_gradients(function, given, n_out, grad):
    y = function(*given, n_out)
    leaves = [t for t in given if t is not None and t.requires_grad]
    return y, *torch.autograd.grad(y, leaves, grad)


@pytest.mark.parametrize("rows", [0, 1, 4, 6, 11])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_gradients_are_those_of_the_formula(sizes, rows, in_pieces):
    given, grad = tensors(*sizes, rows), torch.randn(rows, sizes[1], dtype=torch.float64)
    strided = [given[0].detach().mT.contiguous().mT.requires_grad_(), *given[1:3], None]
    for values, g in ((given, grad), (strided, grad[:1, :1].expand(rows, sizes[1]))):
        ours, expected = (first_gradients(f, values, sizes[1], g) for f in (multiply, formula))
        assert ours[0].is_contiguous()
        torch.testing.assert_close(ours, expected)
    with torch.no_grad():
        assert torch.equal(multiply(*given, sizes[1]), multiply(*given, sizes[1]))
        torch.testing.assert_close(multiply(*given, sizes[1]), formula(*given, sizes[1]))


@pytest.mark.parametrize("learn", [("x",), ("L",), ("R",), ("bias",), ("x", "L"), ("R", "bias")])
def test_only_what_is_needed_is_computed(learn, in_pieces, monkeypatch):
    given, grad = tensors(12, 8, 2, 6, learn), torch.randn(6, 8, dtype=torch.float64)
    expected = first_gradients(formula, given, 8, grad)
    y = multiply(*given, 8)
    products = []
    for name in ("bmm", "baddbmm_"):
        owner = torch if name == "bmm" else torch.Tensor
        plain = getattr(owner, name)
        counted = lambda *a, f=plain: products.append(f) or f(*a)  # noqa: E731
        monkeypatch.setattr(owner, name, counted)
    leaves = [t for t in given if t.requires_grad]
    torch.testing.assert_close((y, *torch.autograd.grad(y, leaves, grad)), expected)
    each = {"x": 1, "L": 1, "R": 1, "bias": 0}
    to_first = "x" in learn or "R" in learn
    assert len(products) == 2 * (sum(each[name] for name in learn) + to_first)


def test_a_training_step_keeps_the_input_and_what_is_between_the_factors():
    kept = []
    given = tensors(12, 8, 2)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        multiply(*given, 8)
    assert [t.data_ptr() for t in kept[:4]] == [t.data_ptr() for t in given]
    assert sum(t.numel() for t in kept[4:]) == 6 * 8
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        multiply(*tensors(12, 8, 2, learn=("x", "R")), 8)
    assert len(kept) == 5 + 4


@pytest.mark.parametrize("sizes", SIZES[:4], ids=str)
def test_second_derivatives(sizes, in_pieces):
    given = tensors(*sizes)

    def product(*values):
        return multiply(*values, sizes[1])

    assert torch.autograd.gradcheck(product, given, fast_mode=True, check_forward_ad=True)
    assert torch.autograd.gradcheck(product, given, fast_mode=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(product, given, fast_mode=True)


def test_the_memory_of_an_input_that_was_written_to_is_not_used():
    given = tensors(12, 8, 2, learn=("L", "R", "bias"))
    y = multiply(*given, 8)
    given[0].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_and_functional_calls(reentrant, in_pieces):
    layer = MonarchLinear(12, 7, 2).double()
    x = torch.randn(3, 5, 12, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())
    expected = torch.autograd.grad(layer(x).sin().sum(), (x, *parameters.values()))
    y = checkpoint(layer, x, use_reentrant=reentrant)
    y.sin().sum().backward()
    torch.testing.assert_close([t.grad for t in (x, *parameters.values())], list(expected))

    def loss(values, x):
        return functional_call(layer, values, (x,)).sin().sum()

    torch.testing.assert_close(list(grad(loss)(parameters, x).values()), list(expected[1:]))
    each = vmap(grad(loss), (None, 0))(parameters, x.detach())
    torch.testing.assert_close([g.sum(0) for g in each.values()], list(expected[1:]))


def test_backward_under_autocast_keeps_the_precision(in_pieces):
    given, grad = tensors(12, 8, 2, 20, dtype=torch.float32), torch.randn(20, 8)
    expected = first_gradients(multiply, given, 8, grad)
    y = multiply(*given, 8)
    with torch.autocast("cpu", torch.bfloat16):
        gradients = torch.autograd.grad(y, given, grad)
    assert all(torch.equal(g, e) for g, e in zip(gradients, expected[1:], strict=True))


def test_a_compiler_sees_the_formula():
    """In a program of its own, since the shape checks of the tests cannot be compiled."""
    finished = run_program(Path(__file__), imports=COMPILER)
    assert finished.returncode == 0, finished.stderr


def compiled_steps():
    layer = MonarchLinear(12, 7, 2).double()
    program = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for rows in (5, 3):
        x = torch.randn(rows, 12, dtype=torch.float64, requires_grad=True)
        leaves = (x, *layer.parameters())
        steps = [torch.autograd.grad(call(x).sin().sum(), leaves) for call in (program, layer)]
        torch.testing.assert_close(*steps)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), layer(x))


if __name__ == "__main__":
    compiled_steps()
