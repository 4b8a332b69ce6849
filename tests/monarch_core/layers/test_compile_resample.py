"""On another grid than its own a layer compiles and exports too, whatever was computed before.

In a program of its own, since the shape checks of the tests cannot be compiled.
"""

from pathlib import Path

import torch
from programs import COMPILER, run_program

from monarch_core import MonarchSpectralConv


def test_compiled_and_exported_equal_eager_on_another_grid():
    finished = run_program(Path(__file__), imports=COMPILER)
    assert finished.returncode == 0, finished.stderr


def compare(periodic):
    torch.manual_seed(0)
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 8), periodic=periodic)
    x = torch.randn(1, 2, 12, 9)
    programs = (
        torch.export.export(layer, (x,)).module(),
        torch.compile(layer, backend="aot_eager", fullgraph=True),
    )
    outputs = [program(x) for program in programs]
    for output in outputs:
        torch.testing.assert_close(output, layer(x), rtol=1e-4, atol=1e-5)
    layer(x).sum().backward()


if __name__ == "__main__":
    compare(periodic=True)
    compare(periodic=False)
