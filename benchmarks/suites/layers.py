"""Spectral layers alone."""

from collections.abc import Sequence

import torch

import monarch_core
from benchmarks import contenders
from benchmarks.options import Options
from benchmarks.rows import Row, in_new_process, time_modules
from monarch_core.layers.fourier_product import fft_is_cheaper

Case = tuple[tuple[int, ...], int, int, int]  # grid, modes, channels, batch
PASSES = ("forward", "training")
LAYERS: list[Case] = [
    *[((n,), 16, 64, batch) for n in (1024, 8192) for batch in (20, 1)],
    *[((64, 64), 12, channels, batch) for channels in (20, 32, 64) for batch in (20, 1)],
    *[((128, 128), modes, 32, 20) for modes in (12, 32)],
    *[((256, 256), modes, 32, 4) for modes in (12, 32)],
    ((64, 64, 40), 8, 20, 4),
]
BARS = [case for case in LAYERS if case[-1] == 20]
SINGLES = [case for case in LAYERS if case[-1] == 1]
SWEEP: list[Case] = [
    ((n, n), m, 20, 20) for n in (32, 64, 128) for m in (4, 8, 12, 16, 24, 32, 48, 64) if 2 * m <= n
]
FIXED: list[Case] = [
    ((n,), modes, channels, batch)
    for n in (1024, 8192)
    for channels, batch in ((20, 8), (64, 1))
    for modes in (16, 64, 256)
]
# By default the C library gives large freed blocks back, and new ones cost a page fault per page.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31),
    "MALLOC_TOP_PAD_": str(2**28),
}
# Libraries and kernel as on a processor that has AVX2 and no AVX-512.
AVX2 = {
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "CXX": "g++ -mno-avx512f",
}


def layer(
    options: Options,
    cases: Sequence[Case] | None = None,
    passes: Sequence[str] = PASSES,
    without: Sequence[str] = (),
) -> list[Row]:
    """Layers, forward and forward with backward; by default all cases and all contenders."""
    rows = []
    for grid, modes, channels, batch in LAYERS if cases is None else cases:
        torch.manual_seed(0)
        modules = contenders.layers(channels, grid, modes)
        for name in without:
            modules.pop(name, None)
        x = torch.randn(batch, channels, *grid, device=options.device, requires_grad=True)
        facts = {"grid": list(grid), "modes": modes, "channels": channels, "batch": batch}
        rows += time_modules(modules, x, facts, options, passes)
    return rows


def fixed(options: Options) -> list[Row]:
    """Training steps of a layer that stays the DFT, and which way it takes by itself (`auto`)."""
    rows = []
    for grid, modes, channels, batch in FIXED:
        torch.manual_seed(0)
        modules = contenders.fixed_layers(channels, grid, modes)
        x = torch.randn(batch, channels, *grid, device=options.device, requires_grad=True)
        way = "FFT" if fft_is_cheaper(x, grid[0], modes + 1) else "products"
        facts = {"grid": list(grid), "modes": modes, "channels": channels, "batch": batch}
        rows += time_modules(modules, x, {**facts, "auto": way}, options, ("training",))
    return rows


def single(options: Options) -> list[Row]:
    """Inference of one sample, also by a view of the learned layer whose matrices are made once."""
    rows = []
    for grid, modes, channels, batch in SINGLES:
        torch.manual_seed(0)
        modules = contenders.layers(channels, grid, modes)
        modules.pop("learned, no kernel", None)
        learned = modules["ours, learned"].to(options.device)
        with torch.no_grad():
            modules["ours, prepared"] = monarch_core.prepared(learned)
        x = torch.randn(batch, channels, *grid, device=options.device)
        facts = {"grid": list(grid), "modes": modes, "channels": channels, "batch": batch}
        rows += time_modules(modules, x, facts, options, ("forward",))
    return rows


def kept(options: Options) -> list[Row]:
    """Training steps in a process whose C library keeps freed memory (glibc)."""
    return in_new_process(KEEP_MEMORY, options.threads, layer, options, BARS, ("training",))


def avx2(options: Options) -> list[Row]:
    """Training steps in a process without AVX-512."""
    return in_new_process(AVX2, options.threads, layer, options, BARS, ("training",))


def sweep(options: Options) -> list[Row]:
    """Where the FFT wins: the layer's training step against kept modes and grid."""
    return layer(options, SWEEP, ("training",), without=("neuralop", "learned, no kernel"))
