"""The kernel of pointwise networks computes what the formula does, to the digits of float32."""

import pytest
import torch
from torch.nn.functional import gelu

from monarch_core.layers.kernel import pointwise
from monarch_core.layers.kernel.operator import is_on, switched_off
from monarch_core.layers.pointwise import PointwiseMLP

pytestmark = pytest.mark.skipif(not is_on(), reason="no kernel here")
SIZES = [  # in, hidden, out, batch, points
    (1, 1, 1, 1, 1),
    (3, 7, 2, 5, 17),
    (20, 128, 1, 2, 300),
    (33, 5, 9, 1, 64),
    (4, 90, 3, 2, 49),
]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_values_and_gradients_are_those_in_double_precision(sizes, threads):
    n_in, hidden, n_out, batch, points = sizes
    torch.manual_seed(0)
    mlp = PointwiseMLP(n_in, hidden, n_out)
    x = (3 * torch.randn(batch, n_in, points)).requires_grad_()
    grad = torch.randn(batch, n_out, points)
    given = [x, *mlp.parameters()]
    assert pointwise.takes(*given)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y = mlp(x)
        ours = [y, *torch.autograd.grad(y, given, grad)]
    finally:
        torch.set_num_threads(before)
    exact = x.detach().double().requires_grad_()
    y = mlp.double()(exact)
    theirs = [y, *torch.autograd.grad(y, [exact, *mlp.parameters()], grad.double())]
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).norm() < 1e-6 * other.norm()


@pytest.mark.usefixtures("machine")
def test_gelu_and_its_slope_are_right_everywhere():
    h = torch.cat((torch.linspace(-15, 15, 20_001), torch.tensor([-1e4, -0.0, 0.0, 1e-30, 1e4])))
    one, zero = torch.ones(1, 1), torch.zeros(1)
    given = h[None, None], one, zero, one, zero
    exact = h.double().requires_grad_()
    expected = gelu(exact)
    [slope] = torch.autograd.grad(expected.sum(), exact)
    found = pointwise.gradients(torch.ones_like(given[0]), *given)[0]
    size = h.abs().double().clamp(min=1e-30)
    assert ((pointwise.mlp(*given) - expected).abs() / size).max() < 1.5e-7
    assert (found - slope).abs().max() < 3e-7
    nan = torch.full_like(given[0], torch.nan)
    assert pointwise.mlp(nan, *given[1:]).isnan().all()


def test_fields_in_any_layout_are_read():
    mlp, x = PointwiseMLP(3, 5, 2), torch.randn(40, 2, 3).permute(1, 2, 0)
    grad = torch.randn(40, 2, 2).permute(1, 2, 0)
    results = []
    for field in (x, x.contiguous()):
        leaf = field.detach().requires_grad_()
        y = mlp(leaf)
        results.append([y, *torch.autograd.grad(y, [leaf, *mlp.parameters()], grad)])
    torch.testing.assert_close(*results)


def test_only_what_the_kernel_can_do_is_given_to_it():
    x, W = torch.zeros(1, 2, 3), torch.zeros(2, 2)
    assert pointwise.takes(x, W)
    assert not pointwise.takes(x.double(), W)
    assert not pointwise.takes(x, W.bfloat16())
    assert not pointwise.takes(x[:0], W)
    assert not pointwise.takes(x.to("meta"), W)
    with switched_off():
        assert not pointwise.takes(x, W)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 7, 5, 17), (33, 5, 1, 600), (20, 20, 2, 1100)])
@pytest.mark.parametrize("with_gelu", [True, False])
def test_a_map_that_is_added_is_one_in_double_precision(sizes, with_gelu):
    n_in, n_out, batch, points = sizes
    torch.manual_seed(0)
    v, W = torch.randn(batch, n_in, points), torch.randn(n_out, n_in) / n_in
    y, grad = torch.randn(2, batch, n_out, points)
    exact = [t.double().requires_grad_() for t in (y, W, v)]
    expected = exact[0] + exact[1] @ exact[2]
    value = gelu(expected) if with_gelu else expected
    wanted = torch.autograd.grad(value, exact, grad.double())
    activated = pointwise.add_product(y, W, v, with_gelu=with_gelu)  # y is pre from here on
    found = pointwise.gradients_of_product(grad, W, v, y if with_gelu else None)
    assert (activated is not None) == with_gelu
    shown = y if activated is None else activated
    for mine, theirs in zip((y, shown, *found), (expected, value, *wanted), strict=True):
        assert (mine - theirs).norm() < 1e-6 * theirs.norm()
