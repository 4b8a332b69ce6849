"""Compiled programs call the kernel, in both passes; exported ones have torch's operators alone.

In a program of its own, since the shape checks of the tests cannot be compiled.
"""

import copy
import warnings
from pathlib import Path

import torch
from programs import COMPILER, run_program

from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel import operator

FORWARD, BACKWARD = "spectral_product", "spectral_product_backward"
called = []


def test_compiled_programs_call_the_kernel():
    finished = run_program(Path(__file__), imports=COMPILER)
    assert finished.returncode == 0, finished.stderr


def count_calls():
    call = operator._call

    def counted(name, *given):
        called.append(name)
        call(name, *given)

    operator._call = counted


def calls(compute):
    """Return what is computed, and the calls of the kernel if there is one here."""
    called.clear()
    result = compute()
    return result, list(called)


def made(learn="both", **options):
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 3, (4, 6), grid=(8, 10), learn=learn, **options)
    return layer, torch.randn(2, 2, 8, 10)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def compiled(function, **options):
    torch.compiler.reset()
    return torch.compile(function, backend="aot_eager", fullgraph=True, **options)


def training(learn, bias):
    layer, x = made(learn, bias=bias)
    program = compiled(copy.deepcopy(layer))
    results = []
    for module in (layer, program):
        leaf = x.clone().requires_grad_()
        y, forward = calls(lambda m=module, x=leaf: m(x))
        _, backward = calls(lambda y=y: y.sin().sum().backward())
        if operator.available(x):
            assert (forward, backward) == ([FORWARD], [BACKWARD])
        gradients = [p.grad for p in module.parameters() if p.requires_grad]
        assert all(g is not None for g in gradients)
        results.append([y.detach(), leaf.grad, *gradients])
    close(*results)


def inference():
    layer, x = made()
    program = compiled(layer)
    with torch.no_grad():
        y, forward = calls(lambda: program(x))
        close(y, layer(x))
    assert forward == [FORWARD] * operator.available(x)


def any_batch():
    layer, _ = made()
    torch.compiler.reset()
    graphs = []

    def keep(graph, example):
        graphs.append(graph)
        return graph

    program = torch.compile(layer, backend=keep, fullgraph=True, dynamic=True)
    for batch in (7, 5, 11):  # of no other size, which torch takes for the same
        x = torch.randn(batch, 2, 8, 10)
        close(program(x), layer(x))
    assert len(graphs) == 1


def transforms():
    layer, x = made()

    def loss(x):
        return layer(x).sin().sum()

    def of_each(x):
        return layer(x.unsqueeze(0)).squeeze(0)

    close(compiled(torch.func.grad(loss))(x), torch.func.grad(loss)(x))
    y, forward = calls(lambda: compiled(torch.vmap(of_each))(x))
    close(y, layer(x))
    assert forward == [FORWARD] * operator.available(x)


def exported():
    layer, x = made()
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export itself
        program = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},))
    assert "monarch" not in str(program.graph)
    module = program.module()
    for other in (x, torch.randn(5, 2, 8, 10)):
        close(module(other), layer(other))


if __name__ == "__main__":
    count_calls()
    for learn in ("both", "inverse", "none"):
        training(learn, bias=learn != "inverse")
    inference()
    any_batch()
    transforms()
    exported()
