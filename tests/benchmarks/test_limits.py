"""The operations of the roofline are those that the layer does."""

import math
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import limits
from monarch_core import Monarch, MonarchSpectralConv


def operations_in_place(total, a, b, *, out_shape, **options):
    return 2 * math.prod(out_shape) * a[-1]


IN_PLACE = dict.fromkeys((torch.ops.aten.addmm_, torch.ops.aten.baddbmm_), operations_in_place)


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize(("grid", "modes"), [((18,), 3), ((12, 10), 2), ((6, 8, 10), 2)])
def test_operations_are_counted_right(grid, modes, learned):
    batch, channels = 3, 5
    # In double precision every product is one that torch counts.
    layer = MonarchSpectralConv(
        channels,
        channels,
        (2 * modes,) * len(grid),
        grid=grid,
        transform=partial(Monarch, dtype=torch.float64),
        learn="both" if learned else "none",
    ).double()
    x = torch.randn(batch, channels, *grid, dtype=torch.float64, requires_grad=True)
    with FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter:
        layer(x).sum().backward()
    operations, size = limits.step_work(grid, modes, channels, batch, learned=learned)
    assert operations == counter.get_total_flops()
    assert size > 4 * 4 * x.numel()  # x, y and their gradients at least


def test_ceilings_and_times_are_positive(monkeypatch):
    monkeypatch.setattr(limits, "SQUARE", 16)
    monkeypatch.setattr(limits, "LARGE", 64)
    ceilings = limits.measure_ceilings()
    assert list(ceilings) == [
        "matrix product, float32",
        "matrix product, bfloat16",
        "copy",
        "copy into new memory",
    ]
    assert min(ceilings.values()) > 0
    frozen, learned = (
        limits.product_seconds((8, 8), 2, 2, 2, learned=learned) for learned in (False, True)
    )
    assert min(frozen, learned) > 0
