"""The kernel computes what the products of torch compute, and steps aside where it cannot."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel import fused, operator, reference
from monarch_core.layers.kernel import build as kernel_library
from monarch_core.layers.spectral_product import spectral_product

COMPILER = shutil.which("c++") or shutil.which("g++")
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
]


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def clean_cache(cache_home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    kernel_library.kernel_library.cache_clear()
    yield
    kernel_library.kernel_library.cache_clear()


@pytest.fixture(params=["native", "haswell"])
def machine(request, monkeypatch):
    """Compile for this machine, and for one with vectors of eight numbers where it is one too."""
    if request.param == "haswell":
        if platform.machine() != "x86_64" or "avx2" not in _cpu_flags():
            pytest.skip("no AVX2")
        flags = [flag.replace("native", "haswell") for flag in kernel_library.FLAGS]
        monkeypatch.setattr(kernel_library, "FLAGS", flags)
    assert operator.available(torch.zeros(1, 1, 2, 2))


def _cpu_flags():
    return Path("/proc/cpuinfo").read_text()


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
        torch.randn(out, 1, 1) if bias else None,
        *rows_of(heads, grid, modes),
        *rows_of(heads, grid, modes),
    ]
    tensors = [t if t is None else t.requires_grad_() for t in tensors]
    exact = double(tensors)
    grad = torch.randn(batch, out, *grid)
    results = []
    for x, W, b, A1, A2, B1, B2 in (tensors, exact):
        y = spectral_product(x, W, b, [A1, A2], [B1, B2])
        leaves = [t for t in (x, W, b, A1, A2, B1, B2) if t is not None]
        gradients = torch.autograd.grad(y, leaves, grad.to(y.dtype))
        results.append([y, *gradients])
    assert len(results[0]) == len(results[1]) == 7 + bias
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).norm() < 2e-6 * theirs.norm()


@needs_compiler
@pytest.mark.parametrize("adjoint", ["none", "first", "second"])
@pytest.mark.parametrize(("rows", "depth", "cols"), [(1, 1, 1), (3, 17, 5), (20, 32, 16)])
def test_channels_are_mixed_as_by_torch(machine, adjoint, rows, depth, cols):
    a = torch.randn(2, 3, 2, *((depth, rows) if adjoint == "first" else (rows, depth)))
    b = torch.randn(2, 3, 2, *((cols, depth) if adjoint == "second" else (depth, cols)))
    expected = reference.mix(a.double(), b.double(), adjoint)
    torch.testing.assert_close(fused.mix(a, b, adjoint).double(), expected, rtol=1e-5, atol=1e-5)


@needs_compiler
def test_several_threads_give_what_one_gives(machine):
    layer = MonarchSpectralConv(5, 6, (8, 8), grid=(16, 20))
    x = torch.randn(3, 5, 16, 20)
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
def test_gradients_that_are_not_needed_are_not_returned(learn, needs_x):
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10), learn=learn)
    x = torch.randn(2, 2, 8, 10, requires_grad=needs_x)
    results = []
    for kernel in (True, False):
        layer.zero_grad()
        x.grad = None
        y = layer(x) if kernel else _without_kernel(layer, x)
        y.sin().sum().backward()
        results.append([y, x.grad, *(p.grad for p in layer.parameters())])
    torch.testing.assert_close(*results)


def _without_kernel(layer, x):
    with operator.switched_off():
        return layer(x)


@needs_compiler
def test_a_sample_that_is_not_finite_stays_alone(machine):
    layer = MonarchSpectralConv(3, 3, (4, 6), grid=(8, 10))
    x = torch.randn(3, 3, 8, 10)
    expected = layer(x)
    x[1, :, 2, 3] = torch.nan
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
    assert not operator.available(x.double())
    assert not operator.available(x, None, torch.zeros(1, dtype=torch.float64))
    assert not operator.available(x[0])
    assert not operator.available(x[:0])
    assert not operator.available(x.to("meta"))
    with operator.switched_off():
        assert not operator.available(x)


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


@needs_compiler
def test_the_source_has_no_warnings(tmp_path):
    command = [
        COMPILER,
        *kernel_library.FLAGS,
        "-Wall",
        "-Wextra",
        "-Werror",
        "-c",
        str(kernel_library.SOURCE),
    ]
    run = subprocess.run(
        [*command, "-o", str(tmp_path / "fused.o")], capture_output=True, text=True, env=os.environ
    )
    assert run.returncode == 0, run.stderr
