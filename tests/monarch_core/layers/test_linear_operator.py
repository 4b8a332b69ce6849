"""The operator of dense layers computes what the formula does, of what it may read."""

import math
from functools import partial
from itertools import product

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import functional_call, grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from monarch_core import MonarchLinear
from monarch_core.layers import linear_operator
from monarch_core.layers.kernel import build
from monarch_core.layers.kernel.operator import is_on, switched_off
from monarch_core.layers.monarch_product import formula

pytestmark = [
    pytest.mark.skipif(not is_on(), reason="no kernel here"),
    # torch scripts its own formulas of forward mode when they are first needed.
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"),
]
SIZES = [(12, 12, 2), (7, 12, 2), (12, 7, 3), (35, 35, 5), (64, 85, 4), (250, 64, 8), (9, 9, 1)]
SIZES += [(100, 300, 16), (256, 272, 16), (3, 3, 3), (10, 2, 2), (161, 160, 3), (1700, 90, 4)]
BATCHES = [(), (1,), (3,), (7,), (64,), (3, 5), (1, 2, 2), (400,), (2, 385)]  # pieces are 384 rows


@pytest.fixture(params=[1, 2, 3])
def _threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def made(n_in, n_out, n_blocks, *batch):
    torch.manual_seed(0)
    layer = MonarchLinear(n_in, n_out, n_blocks)
    x = torch.randn(n_in, *batch).movedim(0, -1)
    return [t.detach().requires_grad_() for t in (x, layer.L, layer.R, layer.bias)]


def exactly(x, L, R, bias, n_out):
    y = formula(x.reshape(-1, x.shape[-1]), L, R, bias, n_out)
    return y.reshape(*x.shape[:-1], n_out)


def doubled(tensors):
    return [t.detach().double().requires_grad_() for t in tensors]


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_gradients_are_those_of_the_formula(sizes, batch):
    given, n_out = made(*sizes, *batch), sizes[1]
    g = torch.randn(n_out, *batch).movedim(0, -1)
    exact = doubled(given)
    expected, ours = exactly(*exact, n_out), linear_operator.product(*given, sizes[0], n_out)
    assert ours.is_contiguous()
    assert ours.shape == (*batch, n_out)
    torch.testing.assert_close(ours, expected.float())
    with torch.inference_mode():
        without = linear_operator.product(*given[:3], None, sizes[0], n_out)
        torch.testing.assert_close(without + given[3], expected.float())
        assert not without.requires_grad
    for _ in range(2):  # what is kept for the gradients is only read
        mine = torch.autograd.grad(ours, given, g, retain_graph=True)
        theirs = torch.autograd.grad(expected, exact, g.double(), retain_graph=True)
        for m, e in zip(mine, theirs, strict=True):
            assert m.is_contiguous()
            digits = {"rtol": 1e-5, "atol": 1e-6 * max(10, 3 * math.prod(batch) ** 0.5)}
            torch.testing.assert_close(m, e.float(), **digits)


@pytest.mark.parametrize("learn", list(product((True, False), repeat=4))[:-1])
def test_only_the_gradients_that_are_needed_are_there(learn):
    given = [t.detach() for t in made(12, 10, 3, 5)]
    g = torch.randn(5, 10)
    every = [t.clone().requires_grad_() for t in given]
    linear_operator.product(*every, 12, 10).backward(g)
    some = [t.clone().requires_grad_(need) for t, need in zip(given, learn, strict=True)]
    linear_operator.product(*some, 12, 10).backward(g)
    for t, full, need in zip(some, every, learn, strict=True):
        assert (t.grad is not None) == need
        assert t.grad is None or torch.equal(t.grad, full.grad)


def test_a_layer_without_a_bias_has_the_other_gradients():
    given, g = made(12, 10, 3, 5), torch.randn(5, 10)
    expected = torch.autograd.grad(linear_operator.product(*given, 12, 10), given[:3], g)
    y = linear_operator.product(*given[:3], None, 12, 10)
    assert all(map(torch.equal, torch.autograd.grad(y, given[:3], g), expected))


def test_memory_is_read_only_where_all_fits():
    x, L, R, bias = (t.detach() for t in made(12, 10, 2, 3))
    assert linear_operator.product(x, L, R, bias, 12, 10) is not None
    read = torch.ops.monarch.linear
    assert read(x, L, R, bias, 12, 10) is not None
    assert read(x, L, R, None, 12, 10) is not None
    for wrong in (
        (x, L[:, :, :2], R, bias),
        (x, L[:1], R, bias),
        (x[:, :3], L, R, bias),
        (x[:0], L, R, bias),
        (x[0, 0], L, R, bias),
        (x.double(), L, R, bias),
        (x, L.double(), R, bias),
        (x, L, R.to("meta"), bias),
        (x, L, R, bias.to("meta")),
        (x, L, R, bias[:3]),
        (x, L, R, bias[None]),
        (x, L[0], R, bias),
        (x.to_sparse(), L, R, bias),
        (torch._neg_view(x), L, R, bias),
        (torch._efficientzerotensor(3, 12), L, R, bias),
    ):
        assert read(*wrong, 12, 10) is None
    assert read(x, L, R, None, 12, 11) is None
    assert read(x, L, R, None, 12, 8) is None
    with switched_off():
        assert linear_operator.product(x, L, R, bias, 12, 10) is None
    with torch.autocast("cpu"):
        assert linear_operator.product(x, L, R, bias, 12, 10) is None


@pytest.mark.parametrize("sizes", [(12, 10, 3), (35, 35, 5)], ids=str)
def test_second_derivatives(sizes):
    given = made(*sizes, 2, 3)

    def ours_of(*tensors):
        return linear_operator.product(*tensors, *sizes[:2])

    def formula_of(*tensors):
        return exactly(*tensors, sizes[1])

    def twice(product, tensors):
        y = product(*tensors)
        first = torch.autograd.grad(y.sin().sum(), tensors, create_graph=True)
        return torch.autograd.grad(sum(f.square().sum() for f in first), tensors)

    ours, expected = twice(ours_of, given), twice(formula_of, doubled(given))
    for o, e in zip(ours, expected, strict=True):
        torch.testing.assert_close(o, e.float(), rtol=1e-4, atol=1e-4)


def test_many_gradients_at_once():
    given = made(12, 10, 2, 3)
    y = linear_operator.product(*given, 12, 10)
    several = torch.randn(4, 3, 10)
    gradients = partial(torch.autograd.grad, y, given, retain_graph=True)
    together = gradients(several, is_grads_batched=True)
    torch.testing.assert_close(vmap(gradients)(several), together)
    for i, g in enumerate(several):
        torch.testing.assert_close(tuple(t[i] for t in together), gradients(g))


def test_gradients_that_are_no_plain_numbers():
    x, L, R, bias = made(12, 10, 2, 3)
    y, g = linear_operator.product(x, L, R, bias, 12, 10), torch.randn(3, 10)
    given = (x, L, R, bias)
    expected = torch.autograd.grad(y, given, -g, retain_graph=True)
    found = torch.autograd.grad(y, given, torch._neg_view(g), retain_graph=True)
    torch.testing.assert_close(found, expected)
    nothing = torch.autograd.grad(y, given, torch._efficientzerotensor(3, 10), retain_graph=True)
    assert not any(t.any() for t in nothing)
    found = torch.autograd.grad(y, given, g[:1, :1].expand(3, 10))
    torch.testing.assert_close(found[3], 3 * g[0, 0].expand(10))


def test_transforms_of_functions_and_tracers_see_the_formula():
    layer, x = MonarchLinear(12, 10, 2), torch.randn(3, 12)
    parameters = dict(layer.named_parameters())
    expected = torch.autograd.grad(layer(x).square().sum(), parameters.values())

    def loss(parameters, x):
        return functional_call(layer, parameters, (x,)).square().sum()

    torch.testing.assert_close(list(grad(loss)(parameters, x).values()), list(expected))
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    torch.testing.assert_close([g.sum(0) for g in each.values()], list(expected))
    traced = make_fx(layer)(x)
    assert "monarch.linear" not in traced.code
    torch.testing.assert_close(traced(x), layer(x))
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, torch.ones(3, 12)))).tangent
    torch.testing.assert_close(tangent, layer(torch.ones(3, 12)) - layer.bias)


def test_what_was_written_to_is_not_used():
    given = [t.detach() for t in made(12, 10, 2, 3)]
    given[1].requires_grad_()
    y = linear_operator.product(*given, 12, 10)
    given[0].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("learn", "kept"),
    [("xLRb", "xLRz"), ("xb", "LR"), ("Rb", "xLR"), ("L", "xLRz")],
)
def test_no_more_is_kept_than_the_gradients_take(learn, kept):
    given = [
        t.detach().requires_grad_(n in learn)
        for t, n in zip(made(12, 10, 2, 3), "xLRb", strict=True)
    ]
    sizes = {"x": 36, "L": given[1].numel(), "R": given[2].numel(), "z": 30}
    found = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: found.append(t) or t, lambda t: t):
        linear_operator.product(*given, 12, 10).sum().backward()
    assert sorted(t.numel() for t in found) == sorted(sizes[name] for name in kept)


def test_hooks_may_lay_out_anew_what_is_kept():
    given, g = made(12, 10, 3, 5), torch.randn(5, 10)
    expected = torch.autograd.grad(linear_operator.product(*given, 12, 10), given, g)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t.mT.contiguous().mT):
        y = linear_operator.product(*given, 12, 10)
        assert torch.equal(
            torch.cat([f.flatten() for f in torch.autograd.grad(y, given, g)]),
            torch.cat([e.flatten() for e in expected]),
        )
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t.double()):
        y = linear_operator.product(*given, 12, 10)
        found = torch.autograd.grad(y.double(), given, g.double())
    torch.testing.assert_close(found, expected)


def test_a_mode_sees_the_backward_pass():
    layer, x, g = MonarchLinear(12, 10, 2), torch.randn(3, 12), torch.randn(3, 10)
    y = layer(x)
    traced = make_fx(lambda g: torch.autograd.grad(y, layer.L, g, retain_graph=True)[0])(g)
    other = torch.randn(3, 10)
    (expected,) = torch.autograd.grad(y, layer.L, other)
    torch.testing.assert_close(traced(other), expected)


class Tagged(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if getattr(func, "namespace", "") == "monarch":
            return NotImplemented
        return super().__torch_function__(func, types, args, kwargs or {})


def test_a_subclass_knows_the_operators_of_torch_only():
    layer, x = MonarchLinear(12, 10, 2), torch.randn(3, 12)
    torch.testing.assert_close(layer(x.as_subclass(Tagged)).as_subclass(torch.Tensor), layer(x))


def test_other_numbers_leave_the_compiler_alone(monkeypatch):
    monkeypatch.setattr(linear_operator, "_operator", None)
    for dtype in (torch.float64, torch.bfloat16, torch.complex64):
        MonarchLinear(12, 10, 2, dtype=dtype)(torch.ones(3, 12, dtype=dtype))
    MonarchLinear(12, 10, 2, device="meta")(torch.ones(3, 12, device="meta"))


def test_the_input_of_a_frozen_layer_may_be_written_over():
    layer, x = MonarchLinear(12, 10, 2), torch.randn(3, 12, requires_grad=True)
    for p in (layer.L, layer.R):
        p.requires_grad_(False)
    inner = x * 1
    y = layer(inner)
    inner.detach().zero_()
    y.sum().backward()
    torch.testing.assert_close(x.grad, layer.dense().sum(0).expand(3, 12))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints(reentrant):
    layer, x = MonarchLinear(12, 10, 2), torch.randn(3, 12, requires_grad=True)
    expected = torch.autograd.grad(layer(x).sin().sum(), [x, layer.L])
    checkpoint(layer, x, use_reentrant=reentrant).sin().sum().backward()
    torch.testing.assert_close((x.grad, layer.L.grad), expected)


def test_without_the_operator_torch_takes_over(monkeypatch, caplog, tmp_path):
    layer, x = MonarchLinear(12, 10, 2), torch.randn(3, 12)
    expected = layer(x)
    source = tmp_path / "linear_operator.cpp"
    source.write_text("#error no torch here")
    recipe = build.OPERATOR._replace(source=source)
    monkeypatch.setattr(linear_operator, "operator_library", partial(build._library, recipe))
    linear_operator._operator.cache_clear()
    try:
        assert linear_operator.product(x, layer.L, layer.R, layer.bias, 12, 10) is None
        torch.testing.assert_close(layer(x), expected)
    finally:
        monkeypatch.undo()
        linear_operator._operator.cache_clear()
    assert "linear_operator.cpp could not be compiled" in caplog.text
    assert linear_operator.product(x, layer.L, layer.R, layer.bias, 12, 10) is not None
