"""Our FNO compiles without a graph break and computes the same, forward and backward.

The backend traces both passes and needs no C++ compiler. The comparison runs as a program of its
own, since the shape checks of the tests cannot be compiled.
"""

import copy
import warnings
from pathlib import Path

import torch
from programs import COMPILER, run_program

from monarch_core import MonarchSpectralConv, prepared
from pde.models.channels_last import FNO
from pde.models.roll_out import RollOut


def test_compiled_equals_eager_in_values_and_gradients():
    finished = run_program(Path(__file__), imports=COMPILER)
    assert finished.returncode == 0, finished.stderr


class Twice(torch.nn.Module):
    """A network applied to itself, with its matrices computed once."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        network = prepared(self.network)
        return network(network(x))


def compare(learn, rolled_out=False):
    torch.manual_seed(0)
    conv = MonarchSpectralConv.configured(grid=(8, 12), learn=learn)
    network = FNO((4, 6), 2, 2, 4, n_layers=1, lifting_channels=5, conv_module=conv)
    eager = RollOut(network, n_steps=6) if rolled_out else Twice(network)
    model = copy.deepcopy(eager)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 2, 8, 12)
    y, expected = compiled(x), eager(x)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    for output in (y, expected):
        output.square().sum().backward()
    parameters = dict(model.named_parameters())
    for name, parameter in eager.named_parameters():
        grad, reference = parameters[name].grad, parameter.grad
        assert (reference is not None) == parameter.requires_grad, name
        assert (grad is not None) == parameter.requires_grad, name
        if parameter.requires_grad:
            scale = reference.abs().max().item()
            torch.testing.assert_close(grad, reference, rtol=1e-4, atol=1e-5 * scale)


def compare_for_good():
    """A network whose matrices were made beforehand, compiled and exported."""
    torch.manual_seed(0)
    conv = MonarchSpectralConv.configured(grid=(8, 12))
    network = FNO((4, 6), 2, 1, 4, n_layers=1, conv_module=conv)
    x = torch.randn(2, 2, 8, 12)
    with torch.no_grad():
        view = RollOut(prepared(network), n_steps=3)
        expected = RollOut(network, n_steps=3)(x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch.export itself
            exported = torch.export.export(view, (x,)).module()
        for program in (torch.compile(view, backend="aot_eager", fullgraph=True), exported):
            torch.testing.assert_close(program(x), expected, rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    compare_for_good()
    compare("both")
    compare("both", rolled_out=True)
    compare("none")
