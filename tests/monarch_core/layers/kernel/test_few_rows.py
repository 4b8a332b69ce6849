"""The kernel for few rows computes what the formula does, and nothing that is not asked for."""

from itertools import product

import pytest
import torch

from monarch_core import MonarchLinear
from monarch_core.layers.kernel import few_rows
from monarch_core.layers.monarch_product import _is_plain, formula, multiply

pytestmark = pytest.mark.skipif(not few_rows.takes(torch.zeros(1, 1)), reason="no kernel here")
SIZES = [(12, 12, 2), (7, 12, 2), (12, 7, 3), (35, 35, 5), (64, 85, 4), (250, 64, 8), (9, 9, 1)]
SIZES += [(100, 300, 16), (3, 3, 3), (10, 2, 2), (161, 160, 3), (1700, 90, 4)]


@pytest.fixture(params=[1, 2])
def _threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def made(n_in, n_out, n_blocks, n_rows):
    torch.manual_seed(0)
    layer = MonarchLinear(n_in, n_out, n_blocks)
    x = torch.randn(n_in, n_rows).mT
    return [t.detach().requires_grad_() for t in (x, layer.L, layer.R, layer.bias)]


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("n_rows", [1, 3, 4, 7, few_rows.FEW])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_gradients_are_those_of_the_formula(sizes, n_rows):
    given, n_out = made(*sizes, n_rows), sizes[1]
    grad = torch.randn(n_out, n_rows).mT
    exact = [t.detach().double().requires_grad_() for t in given]
    expected = formula(*exact, n_out)
    ours = multiply(*given, n_out)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours, expected.float())
    with torch.no_grad():
        without = multiply(*given[:3], None, n_out)
        torch.testing.assert_close(without + given[3], expected.float())
    mine = torch.autograd.grad(ours, given, grad)
    for g, e in zip(mine, torch.autograd.grad(expected, exact, grad.double()), strict=True):
        torch.testing.assert_close(g, e.float())


def test_only_the_gradients_that_are_needed_are_there():
    given = made(12, 10, 3, 5)
    x, L, R, bias = (t.detach() for t in given)
    grad = torch.randn(5, 10)
    _, (z,) = few_rows.product(x, L, R, bias, 10, keep=True)
    every = few_rows.gradients(grad, x, L, R, z, [True] * 4)
    for needed in product((True, False), repeat=4):
        found = few_rows.gradients(grad, x, L, R, z if needed[1] else None, needed)
        for g, e, need in zip(found, every, needed, strict=True):
            assert (g is not None) == need
            assert g is None or torch.equal(g, e)


def test_memory_is_read_only_where_all_fits():
    x, L, R, bias = (t.detach() for t in made(12, 10, 2, 3))
    assert _is_plain((x, L, R, bias), 10)
    assert _is_plain((x, L, R), 10)
    for wrong in (
        (x, L[:, :, :2], R, bias),
        (x, L[:1], R, bias),
        (x[:, :3], L, R, bias),
        (x, L.double(), R, bias),
        (x, L, R.to("meta"), bias),
        (x, L, R, bias.to("meta")),
        (x, L, R, bias[:3]),
        (x, L[0], R, bias),
    ):
        assert not _is_plain(wrong, 10)
    assert not _is_plain((x, L, R), 11)
    assert not _is_plain((x, L, R), 8)


@pytest.mark.parametrize("n_rows", [3, 2 * few_rows.FEW])
def test_what_torch_negates_only_when_it_is_read(n_rows):
    x, L, R, bias = made(12, 10, 2, n_rows)
    grad = torch.randn(n_rows, 10)
    values = (x.detach().contiguous(), L, R, bias)
    later = torch._neg_view(values[0])
    torch.testing.assert_close(
        multiply(later, L, R, bias, 10), multiply(-values[0], L, R, bias, 10)
    )
    y = multiply(*values, 10)
    found = torch.autograd.grad(y, (L, R, bias), torch._neg_view(grad), retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(y, (L, R, bias), -grad))
