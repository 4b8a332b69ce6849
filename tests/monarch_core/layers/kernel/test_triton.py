"""The Triton kernels compute what the products of torch compute, in Triton's interpreter."""

import itertools

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from monarch_core import MonarchSpectralConv
from monarch_core.layers import spectral_product as module
from monarch_core.layers.kernel import reference, triton_build
from monarch_core.layers.kernel.operator import available
from monarch_core.transforms import Monarch

triton = pytest.importorskip("triton", reason="Triton is not installed")
if not triton.knobs.runtime.interpret:
    pytest.skip("the kernels are compiled here, for a GPU", allow_module_level=True)
if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7):
    pytest.skip("Triton's interpreter fails with NumPy of today", allow_module_level=True)

from monarch_core.layers.kernel import triton_factors, triton_product  # noqa: E402

CASES = [  # batch, channels in, out, heads, grid, that of the result, kept frequencies
    (1, 1, 1, 1, (4, 4), (4, 4), (1, 1)),
    (2, 3, 2, 1, (9, 21), (5, 11), (3, 2)),  # more points than a tile, on the last axis
    (1, 4, 2, 2, (18, 5), (3, 19), (2, 2)),  # on the first one, and on the last of the result
    (1, 1, 1, 1, (3, 4), (17, 3), (17, 1)),  # more frequencies, and points of the result
    (1, 3, 3, 3, (2, 3), (3, 2), (1, 18)),
    (17, 1, 1, 1, (3, 2), (2, 3), (1, 1)),  # more samples
    (1, 2, 18, 1, (3, 2), (2, 3), (1, 1)),  # more channels
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """The interpreter takes its time for every program: few, and small, shall be enough."""
    monkeypatch.setattr(triton_product, "tile", lambda *_: 16)
    monkeypatch.setattr(triton_product, "MOST_SHARES", 2)
    monkeypatch.setattr(triton_factors, "COLUMNS", 8)
    monkeypatch.setattr(triton_factors, "BLOCKS", 2)


def arguments(case, dtype=torch.float32):
    batch, channels, out, heads, grid, out_grid, modes = case
    torch.manual_seed(0)
    rows = [
        torch.randn(heads, 2 * m, n) / n**0.5
        for points in (grid, out_grid)
        for m, n in zip(modes, points, strict=True)
    ]
    x, W = torch.randn(batch, channels, *grid), torch.randn(2, *modes, channels, out)
    return [t.to(dtype) for t in (x, W, torch.randn(out, 1, 1), *rows)]


def in_double(tensors):
    return [t.double() for t in tensors]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients_are_those_of_the_reference(case):
    x, W, bias, *rows = arguments(case)
    y, *kept = triton_product.product(x, W, bias, *rows, keep=True)
    exact, *exact_kept = reference.product(*in_double((x, W, bias, *rows)), keep=True)
    grad = torch.randn_like(y)
    needed = (True,) * 4
    ours = triton_product.gradients(grad, x, W, rows, kept, needed)
    given = (*in_double((grad, x, W)), in_double(rows), exact_kept, needed)
    theirs = reference.gradients(*given)
    pairs = zip((y, *kept[:2], *ours), (exact, *exact_kept[:2], *theirs), strict=True)
    for found, expected in pairs:
        assert found.shape == expected.shape
        assert (found - expected).norm() < 1e-6 * expected.norm()


def test_bfloat16_is_summed_in_float32_and_rounded_between_the_steps():
    x, W, bias, *rows = arguments(CASES[1], torch.bfloat16)
    y, *kept = triton_product.product(x, W, bias, *rows, keep=True)
    ours = triton_product.gradients(y, x, W, rows, kept, (True,) * 4)
    exact, *exact_kept = reference.product(*in_double((x, W, bias, *rows)), keep=True)
    given = (*in_double((y, x, W)), in_double(rows), exact_kept, (True,) * 4)
    for found, expected in zip((y, *ours), (exact, *reference.gradients(*given)), strict=True):
        assert found.dtype == torch.bfloat16
        assert (found - expected).norm() < 2e-2 * expected.norm()


@pytest.mark.parametrize("needed", [(True, False, True), (False, True, True), (False,) * 3])
def test_only_the_gradients_that_are_needed_are_returned(needed):
    x, W, bias, *rows = arguments(CASES[0])
    y, *kept = triton_product.product(x, W, bias, *rows, keep=False)
    assert [t.numel() for t in kept[2:]] == [0, 0]
    found = triton_product.gradients(y, x, W, rows, kept, (*needed, False))
    everything = triton_product.gradients(y, x, W, rows, kept, (True, True, True, False))
    for ours, expected in zip(found, itertools.compress(everything, needed), strict=True):
        torch.testing.assert_close(ours, expected)


def test_a_layer_learns_by_the_kernels_what_it_learns_by_torch(monkeypatch):
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 4, (2, 2), grid=(6, 10))
    x = torch.randn(2, 2, 6, 10).transpose(0, 1).requires_grad_()  # not contiguous
    leaves = [x, *layer.parameters()]
    results = []
    for functions in (triton_product, reference):
        chosen = (functions.product, functions.gradients)
        monkeypatch.setattr(module, "_functions", lambda _, chosen=chosen: chosen)
        y = layer(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), leaves)])
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def test_the_operators_say_beforehand_what_the_kernels_return():
    given = arguments(CASES[1])
    y, *kept = found = triton_product.product(*given, keep=True)
    x, W, _, *rows = given
    gradients = triton_product.gradients(y, x, W, rows, kept, (True,) * 4)
    with FakeTensorMode() as mode:
        on_gpu = [torch.empty_like(t, device="cuda") for t in map(mode.from_tensor, given)]
        said = torch.ops.monarch.spectral_product(*on_gpu, keep=True)
        assert [t.shape for t in said] == [t.shape for t in found]
        assert {t.device.type for t in said} == {"cuda"}
        x, W, _, *rows = on_gpu
        backward = torch.ops.monarch.spectral_product_backward
        said = backward(said[0], x, W, rows, said[1:], (True,) * 4)
        assert [t.shape for t in said] == [t.shape for t in gradients]


def test_a_machine_without_gpu_has_no_gpu_kernels():
    assert triton_build.gpu_kernels() is None
    with FakeTensorMode():
        assert not available(torch.empty(1, 1, 2, 2, device="cuda"))


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    "options",
    [{"n": 12, "modes": range(5)}, {"n": 15, "modes": range(3), "heads": 2}],
    ids=str,
)
def test_the_rows_of_a_monarch_matrix_and_the_gradients_of_its_factors(options, inverse):
    torch.manual_seed(0)
    transform = Monarch(**options, inverse=inverse, start="random", rank=2)
    doubled = (1, 3)
    matrix = transform.matrix()
    re, im = (matrix[0].mT, -matrix[1].mT) if inverse else matrix
    s = re.new_ones(re.shape[1], 1)
    s[slice(*doubled)] = 2
    expected = torch.cat((s * re, s * im), dim=1)
    L, R, b, k = transform.L, transform.R, transform.b, transform.k
    P, Q, *places = (R, L, k, b) if inverse else (L, R, b, k)
    given = (P.detach(), Q.detach(), *places, inverse, doubled)
    torch.testing.assert_close(triton_factors.rows(*given), expected.detach())
    grad = torch.randn_like(expected)
    found = triton_factors.gradients(grad, *given)
    torch.testing.assert_close(found, torch.autograd.grad(expected, (P, Q), grad))
