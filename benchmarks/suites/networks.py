"""Whole networks: Fourier neural operators of equal size."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks import contenders
from benchmarks.options import Options
from benchmarks.rows import Row, compared, in_new_process, time_modules
from benchmarks.suites.layers import AVX2
from monarch_core.training.devices import peak_memory_bytes, reset_peak_memory

Case = tuple[int, tuple[int, int], int, int]  # channels, grid, modes, batch
NETWORKS: list[Case] = [
    (20, (64, 64), 12, 20),
    (32, (64, 64), 12, 20),
    (32, (64, 64), 12, 1),
]


def network(
    options: Options,
    passes: Sequence[str] = ("forward", "training"),
    cases: Sequence[Case] | None = None,
) -> list[Row]:
    """Forward, and forward with backward."""
    rows = []
    for case in NETWORKS if cases is None else cases:
        width, grid, modes, _ = case
        torch.manual_seed(0)
        modules = contenders.networks(width, grid, modes)
        rows += time_modules(modules, _frames(case, options.device), _facts(case), options, passes)
    return rows


def network_avx2(options: Options) -> list[Row]:
    """Training steps in a process without AVX-512."""
    return in_new_process(AVX2, options.threads, network, options, ("training",))


def threads(options: Options) -> list[Row]:
    """Training steps with one thread and with two, each in a process."""
    rows = []
    for count in (1, 2):
        own = replace(options, threads=count)
        timed = in_new_process({}, count, network, own, ("training",))
        rows += [{"threads": count, **row} for row in timed]
    return rows


def bfloat16(options: Options, cases: Sequence[Case] | None = None) -> list[Row]:
    """Training steps under autocast against float32, and how far the outputs differ."""
    rows = []
    for case in NETWORKS if cases is None else cases:
        width, grid, modes, _ = case
        torch.manual_seed(0)
        model = contenders.networks(width, grid, modes)["ours, learned"].to(options.device)
        x = _frames(case, options.device)
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16):
            low = model(x).float()
        with torch.no_grad():
            exact = model(x)
        difference = ((low - exact).norm() / exact.norm()).item()
        facts = {**_facts(case), "pass": "training", "relative_difference": difference}
        runs = {
            "float32": contenders.training(model, x),
            "bfloat16": contenders.training(model, x, torch.bfloat16),
        }
        rows += compared(facts, runs, options)
    return rows


def memory(options: Options, cases: Sequence[Case] | None = None) -> list[Row]:
    """Peak memory of a training step beyond the weights.

    On a CPU each network has a process of its own, whose memory is measured; on a GPU the allocator
    counts.
    """
    rows = []
    for case in NETWORKS[:2] if cases is None else cases:
        width, grid, modes, _ = case
        peaks = {}
        for name in contenders.networks(width, grid, modes):
            given = (name, case, options.device)
            if options.device == "cpu":
                peaks[name] = in_new_process({}, options.threads, peak_memory, *given)
            else:
                peaks[name] = peak_memory(*given)
        for name, peak in peaks.items():
            share = peak / peaks["neuralop"]
            rows.append({**_facts(case), "contender": name, "peak_bytes": peak, "share": share})
    return rows


def peak_memory(name: str, case: Case, device: str) -> int:
    """Return the bytes that training steps take beyond what the process held before."""
    width, grid, modes, _ = case
    model = contenders.networks(width, grid, modes)[name].to(device)
    small = torch.randn(1, 10, *(n // 2 for n in grid), device=device)
    contenders.training(model, small)()  # libraries and their workspaces are loaded now
    x = _frames(case, device)
    reset_peak_memory(torch.device(device))
    before = peak_memory_bytes(torch.device(device))
    for _ in range(3):
        contenders.training(model, x)()
    return peak_memory_bytes(torch.device(device)) - before


def _facts(case: Case) -> Row:
    width, grid, modes, batch = case
    return {"grid": list(grid), "modes": modes, "channels": width, "batch": batch}


def _frames(case: Case, device: str) -> torch.Tensor:
    _, grid, _, batch = case
    return torch.randn(batch, 10, *grid, device=device)
