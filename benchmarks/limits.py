"""What a machine allows a spectral layer: operations and bytes of its products, ceilings."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from monarch_core.layers.kernel.reference import matrix_product

SQUARE = 1024  # of the matrix product that stands for the peak
LARGE = 2**24  # numbers in an array beyond every cache
ROUNDS = 15


@dataclass(frozen=True)
class Product:
    """A real matrix product (rows x inner) (inner x columns), done `count` times.

    An analysis multiplies a small matrix by the fields, a synthesis its transpose, and the gradient
    of the matrix contracts the columns: three orders of the same numbers.
    """

    rows: int
    inner: int
    columns: int
    count: int

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * self.rows * self.inner * self.columns * self.count


def transform_products(grid: Sequence[int], modes: int, channels: int, batch: int) -> list[Product]:
    """Return the products of one analysis, the last axis first; `reference` describes them.

    `modes` are 2 m signed frequencies on the first axes and m + 1 on the last one.
    """
    kept = [*[2 * modes] * (len(grid) - 1), modes + 1]
    products = []
    for axis in reversed(range(len(grid))):
        columns = batch * channels * math.prod((*grid[:axis], *kept[axis + 1 :]))
        parts = 1 if axis == len(grid) - 1 else 2
        products.append(Product(2 * kept[axis], grid[axis], columns, parts))
    return products


def step_work(
    grid: Sequence[int], modes: int, channels: int, batch: int, *, learned: bool
) -> tuple[float, float]:
    """Return operations and bytes of a training step, float32.

    Forward and backward each analyse and synthesise; learning contracts both once more. Channels
    are mixed by three complex products per frequency. The bytes are those that no cache saves: the
    field, the result and their gradients once, the field once more for the gradient of the
    transforms, the weights, and the spectra on their way through the products.
    """
    products = transform_products(grid, modes, channels, batch)
    passes = 6 if learned else 4
    frequencies = (modes + 1) * (2 * modes) ** (len(grid) - 1)
    mixing = 3 * 8 * frequencies * batch * channels**2
    weights = 3 * 2 * frequencies * channels**2
    spectra = 6 * 2 * frequencies * batch * channels
    operations = passes * sum(p.operations for p in products) + mixing
    fields = (5 if learned else 4) * batch * channels * math.prod(grid)
    numbers = fields + weights + spectra
    return operations, 4 * numbers


def product_seconds(
    grid: Sequence[int], modes: int, channels: int, batch: int, *, learned: bool
) -> float:
    """Return the time of the transforms' products alone, called one after the other.

    Synthesis and analysis are done twice in a step, and learning adds two gradients.
    """
    total = 0.0
    for p in transform_products(grid, modes, channels, batch):
        M, Z = torch.randn(p.rows, p.inner), torch.randn(p.columns, p.inner)
        X = torch.randn(p.rows, p.columns)
        analysis = _seconds(partial(matrix_product, M, Z.mT))
        synthesis = _seconds(partial(torch.mm, X.mT, M))
        gradient = _seconds(partial(matrix_product, X, Z)) if learned else 0.0
        total += 2 * p.count * (analysis + synthesis + gradient)
    return total


def measure_ceilings() -> dict[str, float]:
    """Return what this machine does at best: products in operations, copies in bytes per second."""
    ceilings = {}
    for dtype, name in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        a, b = (torch.randn(SQUARE, SQUARE).to(dtype) for _ in "ab")
        seconds = _seconds(partial(torch.mm, a, b))
        ceilings[f"matrix product, {name}"] = 2 * SQUARE**3 / seconds
    source, target = torch.randn(LARGE), torch.empty(LARGE)
    size = 2 * LARGE * source.element_size()
    ceilings["copy"] = size / _seconds(lambda: target.copy_(source))
    ceilings["copy into new memory"] = size / _seconds(source.clone)
    return ceilings


def _seconds(run: Callable[[], object]) -> float:
    """Return the shortest of a few times."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)
