"""The kernel computes what the products of torch compute, and steps aside where it cannot."""

import shutil
import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel import operator, reference
from monarch_core.layers.kernel.operator import available, switched_off
from monarch_core.layers.spectral_product import spectral_product

COMPILER = shutil.which("c++") or shutil.which("g++")
pytestmark = pytest.mark.usefixtures("clean_cache")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="no C++ compiler on Linux"
)
CASES = [  # batch, channels, heads, grid, kept frequencies
    (1, 1, 1, (4, 4), (1, 1)),
    (2, 3, 1, (8, 10), (4, 3)),
    (3, 20, 2, (16, 16), (8, 5)),
    (3, 5, 5, (15, 85), (6, 9)),
    (1, 33, 3, (31, 64), (31, 33)),
    (5, 16, 4, (85, 32), (24, 16)),
    (1, 1, 1, (4,), (1,)),
    (3, 6, 3, (133,), (20,)),
    (2, 70, 1, (600,), (17,)),
]

NEEDED = [  # gradients of x, W, bias, rows
    (True, True, True, True),
    (True, False, False, False),
    (False, True, False, False),
    (False, False, True, False),
    (True, True, True, False),
]


def rows_of(heads, grid, modes):
    return [torch.randn(heads, 2 * m, n) / n**0.5 for m, n in zip(modes, grid, strict=True)]


def double(tensors):
    return [None if t is None else t.detach().double().requires_grad_() for t in tensors]


@needs_compiler
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_torch(machine, case, bias):
    batch, channels, heads, grid, modes = case
    torch.manual_seed(0)
    out = 2 * heads
    W = torch.randn(2, *modes, channels, out)
    tensors = [
        torch.randn(batch, channels, *grid),
        W,
        torch.randn(out, *[1] * len(grid)) if bias else None,
        *rows_of(heads, grid, modes),
        *rows_of(heads, grid, modes),
    ]
    tensors = [t if t is None else t.requires_grad_() for t in tensors]
    exact = double(tensors)
    grad = torch.randn(batch, out, *grid)
    results = []
    for x, W, b, *rows in (tensors, exact):
        y = spectral_product(x, W, b, rows[: len(grid)], rows[len(grid) :])
        leaves = [t for t in (x, W, b, *rows) if t is not None]
        gradients = torch.autograd.grad(y, leaves, grad.to(y.dtype))
        results.append([y, *gradients])
    assert len(results[0]) == len(results[1]) == 3 + 2 * len(grid) + bias
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).norm() < 2e-6 * theirs.norm()


TWO_AXES, ONE_AXIS = ((8, 10), (4, 3)), ((18,), (5,))


def arguments(batch=2, in_channels=3, out_channels=4, heads=1, grid=(8, 10), modes=(4, 3)):
    """Return x, W, bias and the rows of both directions."""
    torch.manual_seed(0)
    x, W = torch.randn(batch, in_channels, *grid), torch.randn(2, *modes, in_channels, out_channels)
    rows = [*rows_of(heads, grid, modes), *rows_of(heads, grid, modes)]
    return [x, W, torch.randn(out_channels, *[1] * len(grid)), *rows]


def operator_of(x):
    monarch = torch.ops.monarch
    return monarch.spectral_product if x.dim() == 4 else monarch.spectral_product_1d


def product(x, *others, keep=True):
    return operator_of(x)(x, *others, keep=keep)


@needs_compiler
@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 1), (3, 17, 5), (20, 32, 16), (2, 4, 20)],
    ids="batch{0[0]}-{0[1]}to{0[2]}".format,
)
@pytest.mark.parametrize(("grid", "modes"), [TWO_AXES, ONE_AXIS], ids=["two_axes", "one_axis"])
def test_the_operators_compute_what_the_reference_computes(machine, sizes, grid, modes):
    x, W, _, *rows = given = arguments(*sizes, 1, grid, modes)
    found = product(*given)
    expected = reference.product(*(t.double() for t in given), keep=True)
    assert len(found) == 5
    close = {"rtol": 1e-4, "atol": 1e-4}
    for ours, theirs in zip(found[:3], expected, strict=False):  # what lies between is padded
        torch.testing.assert_close(ours.double(), theirs, **close)
    grad = torch.randn_like(found[0])
    for needed in NEEDED:
        ours = torch.ops.monarch.spectral_product_backward(grad, x, W, rows, found[1:], needed)
        theirs = reference.gradients(
            *(t.double() for t in (grad, x, W)), [R.double() for R in rows], expected[1:], needed
        )
        torch.testing.assert_close([g.double() for g in ours], theirs, rtol=1e-4, atol=1e-3)


@needs_compiler
@pytest.mark.parametrize("needed", NEEDED)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("grid", "modes"), [TWO_AXES, ONE_AXIS], ids=["two_axes", "one_axis"])
def test_torch_finds_nothing_wrong_with_the_operators(bias, needed, grid, modes):
    x, W, b, *rows = arguments(grid=grid, modes=modes)
    keep = needed[3]
    given = x, W, b if bias else None, *rows
    torch.library.opcheck(operator_of(x), given, {"keep": keep})
    y, *kept = product(*given, keep=keep)
    torch.library.opcheck(
        torch.ops.monarch.spectral_product_backward, (y.sin(), x, W, rows, kept, needed)
    )


@needs_compiler
def test_the_operators_know_shapes_without_numbers():
    given = arguments()
    expected = product(*given)
    found = product(*(t.to("meta") for t in given))
    assert all(t.is_meta for t in found)
    assert [t.shape for t in found] == [t.shape for t in expected]


@pytest.fixture
def calls(monkeypatch):
    """Return a list of the calls of the compiled library, by name."""
    names, call = [], operator._call

    def counted(name, *given):
        names.append(name)
        call(name, *given)

    monkeypatch.setattr(operator, "_call", counted)
    return names


FORWARD, BACKWARD = "spectral_product", "spectral_product_backward"


@needs_compiler
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, forward mode
@pytest.mark.parametrize("grid", [(8, 10), (18,)])
def test_every_mode_of_torch_takes_the_kernel(calls, grid):
    layer = MonarchSpectralConv(2, 3, [4] * len(grid), grid=grid)
    x = torch.randn(5, 2, *grid)

    def loss(x):
        return layer(x).sin().sum()

    def made(expected, compute):
        calls.clear()
        compute()
        assert calls == expected

    leaf = x.clone().requires_grad_()
    made([FORWARD], lambda: layer(x))
    made([FORWARD, BACKWARD], lambda: loss(leaf).backward())
    # Gradients that may be differentiated come from the formula.
    made([FORWARD], lambda: torch.autograd.grad(loss(leaf), leaf, create_graph=True))
    # That of the fields alone is a product too.
    made([FORWARD, FORWARD], lambda: torch.func.grad(loss)(x))
    made([FORWARD, FORWARD], lambda: torch.func.jvp(layer, (x,), (x,)))
    made([FORWARD], lambda: torch.vmap(layer)(x.unsqueeze(1)))  # all samples at once
    made([FORWARD, FORWARD], lambda: torch.vmap(torch.func.grad(loss))(x.unsqueeze(1)))
    made([], lambda: torch.vmap(layer)(x[:0].unsqueeze(1)))
    made([], lambda: layer.to("meta")(x.to("meta")))


@needs_compiler
def test_rows_that_learn_outside_of_a_transform_have_their_gradient():
    x, W, bias, *rows = arguments()

    def product(scale):
        # Inside, nothing says that the rows depend on what is differentiated outside.
        y, _ = torch.func.vjp(
            lambda x: spectral_product(x, W, bias, [scale * R for R in rows[:2]], rows[2:]), x
        )
        return y

    scale = torch.tensor(1.5, requires_grad=True)
    y = spectral_product(x, W, bias, [scale * R for R in rows[:2]], rows[2:])
    [expected] = torch.autograd.grad(y, scale, y.sin().detach())
    y, pull = torch.func.vjp(product, scale.detach())
    with torch.no_grad():
        torch.testing.assert_close(pull(y.sin())[0], expected)


@needs_compiler
@pytest.mark.parametrize("grid", [(16, 20), (4200,)])
def test_several_threads_give_what_one_gives(machine, grid):
    layer = MonarchSpectralConv(5, 6, [8] * len(grid), grid=grid)
    x = torch.randn(3, 5, *grid)
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 64):
            torch.set_num_threads(threads)
            layer.zero_grad()
            y = layer(x)
            y.square().sum().backward()
            results.append([y, *(p.grad.clone() for p in layer.parameters())])
    finally:
        torch.set_num_threads(before)
    for several in results[1:]:
        torch.testing.assert_close(results[0], several, rtol=1e-5, atol=1e-4)


@needs_compiler
@pytest.mark.parametrize("learn", ["both", "forward", "none"])
@pytest.mark.parametrize("needs_x", [True, False])
@pytest.mark.parametrize("grid", [(8, 10), (18,)])
def test_gradients_that_are_not_needed_are_not_returned(learn, needs_x, grid):
    layer = MonarchSpectralConv(2, 3, [4] * len(grid), grid=grid, learn=learn)
    x = torch.randn(2, 2, *grid, requires_grad=needs_x)
    results = []
    for kernel in (True, False):
        layer.zero_grad()
        x.grad = None
        y = layer(x) if kernel else _without_kernel(layer, x)
        y.sin().sum().backward()
        results.append([y, x.grad, *(p.grad for p in layer.parameters())])
    torch.testing.assert_close(*results)


def _without_kernel(layer, x):
    with switched_off():
        return layer(x)


@needs_compiler
@pytest.mark.parametrize("grid", [(8, 10), (18,)])
def test_a_sample_that_is_not_finite_stays_alone(machine, grid):
    layer = MonarchSpectralConv(3, 3, [4] * len(grid), grid=grid)
    x = torch.randn(3, 3, *grid)
    expected = layer(x)
    x[1, :, 2] = torch.nan
    y = layer(x)
    assert y[1].isnan().all()
    torch.testing.assert_close(y[::2], expected[::2])


@needs_compiler
def test_fields_in_any_layout_are_taken():
    layer = MonarchSpectralConv(3, 3, (4, 6), grid=(8, 10))
    x = torch.randn(2, 3, 8, 10)
    torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), layer(x))
    torch.testing.assert_close(layer(x[:, :, ::1].flip(0).flip(0)[1:]), layer(x[1:]))


def test_only_what_the_kernel_can_do_is_given_to_it():
    x = torch.zeros(1, 1, 2, 2)
    assert not available(x.double())
    assert not available(x, None, torch.zeros(1, dtype=torch.float64))
    assert not available(x[0, 0])
    assert not available(x[..., None])
    assert not available(x[:0])
    assert not available(x.to("meta"))
    with FakeTensorMode() as mode:
        assert not available(mode.from_tensor(x))
    with switched_off():
        assert not available(x)


@needs_compiler
def test_a_traced_program_computes_what_the_layer_computes():
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10)).requires_grad_(False)
    program = make_fx(layer)(torch.randn(2, 2, 8, 10))
    x = torch.randn(2, 2, 8, 10)
    torch.testing.assert_close(program(x), layer(x))


@needs_compiler
def test_memory_in_any_order_is_read_and_written_right():
    torch.manual_seed(0)
    W = torch.randn(2, 4, 3, 2, 3)
    rows = [*rows_of(1, (8, 10), (4, 3)), *rows_of(1, (8, 10), (4, 3))]
    for order in ("as it is", "transposed"):
        turned = [R.mT.contiguous().mT if order == "transposed" else R for R in rows]
        turned = [R.detach().requires_grad_() for R in turned]
        x = torch._neg_view(-torch.arange(2.0 * 2 * 80).view(2, 2, 8, 10)).requires_grad_()
        y = spectral_product(x, W, None, turned[:2], turned[2:])
        gradients = torch.autograd.grad(y.sin().sum(), [x, *turned])
        if order == "as it is":
            expected = [y, *gradients]
    torch.testing.assert_close([y, *gradients], expected)
    nothing = torch._efficientzerotensor(y.shape)
    y = spectral_product(x, W, None, turned[:2], turned[2:])
    assert not any(g.any() for g in torch.autograd.grad(y, [x, *turned], nothing))


@needs_compiler
def test_the_gradient_of_the_bias_keeps_its_digits_on_large_grids():
    layer = MonarchSpectralConv(1, 1, (4, 4), grid=(512, 500))
    y = layer(torch.zeros(1, 1, 512, 500))
    y.backward(torch.full_like(y, 0.1))
    exact = float(torch.tensor(0.1)) * 512 * 500
    assert layer.bias.grad.item() == pytest.approx(exact, rel=1e-6)
