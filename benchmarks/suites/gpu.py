"""What is measured on a GPU: correctness first, then layers, networks and trainings."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import contenders
from benchmarks.options import Options
from benchmarks.rows import Row, compared
from benchmarks.suites import layers, networks
from benchmarks.suites.layers import Case as LayerCase
from benchmarks.suites.networks import Case as NetworkCase
from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel.operator import available, switched_off
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.sweep import run_all

TRAINING = Path(__file__).parents[2] / "pde" / "train.py"


@dataclass(frozen=True)
class Sizes:
    """What is large on a GPU, or small enough for a test.

    Attributes:
        layers: cases of layers.
        networks: cases of networks; the first two are those of the memory.
        compiled: cases of networks that are compiled.
        overrides: of the trainings at the published size.
    """

    layers: Sequence[LayerCase]
    networks: Sequence[NetworkCase]
    compiled: Sequence[NetworkCase]
    overrides: Sequence[str]


SIZES = {
    "full": Sizes(
        layers=[
            *[((64, 64), 12, channels, 20) for channels in (20, 32, 64)],
            ((64, 64), 12, 32, 1),
            *[((n, n), modes, 32, 20) for n in (128, 256) for modes in (12, 32)],
            ((512, 512), 32, 32, 4),
        ],
        networks=[
            (20, (64, 64), 12, 20),
            (64, (128, 128), 32, 20),
            (32, (64, 64), 12, 1),
            (32, (256, 256), 32, 20),
        ],
        compiled=[(20, (64, 64), 12, 20), (64, (128, 128), 32, 20)],
        overrides=("experiment=navier_stokes_paper", "dataset.batch_size=500", "fit.n_threads=2"),
    ),
    "tiny": Sizes(
        layers=[((8, 10), 2, 3, 2)],
        networks=[(4, (8, 8), 2, 2)],
        compiled=[(4, (8, 8), 2, 2)],
        overrides=("experiment=smoke", "dataset.final_time=10"),
    ),
}


def check(options: Options, sizes: Sizes) -> list[Row]:
    """Largest relative error of value and gradients of a layer, by the kernel and by torch."""
    rows = []
    for grid, modes, channels, batch in sizes.layers:
        torch.manual_seed(0)
        n_modes = (2 * modes,) * len(grid)
        layer = MonarchSpectralConv(channels, channels, n_modes, grid=grid).to(options.device)
        x = torch.randn(batch, channels, *grid, device=options.device)
        exact = _step(copy.deepcopy(layer).double(), x.double())
        facts = {"grid": list(grid), "modes": modes, "channels": channels, "batch": batch}
        for dtype in (torch.float32, torch.bfloat16):
            with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
                ours = _step(layer, x)
                with switched_off():
                    plain = _step(layer, x)
            rows.append(
                {
                    **facts,
                    "dtype": str(dtype).removeprefix("torch."),
                    "kernel": available(x.to(dtype)),
                    "error": _error(ours, exact),
                    "error_of_torch": _error(plain, exact),
                }
            )
    return rows


def _step(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the result and the gradients of a fixed function of it."""
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    weights = torch.linspace(-1, 1, y.numel(), device=y.device, dtype=y.dtype).view_as(y)
    return [y, *torch.autograd.grad(y, [leaf, *layer.parameters()], weights)]


def _error(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    pairs = zip(found, exact, strict=True)
    return max(((a.double() - b).norm() / b.norm()).item() for a, b in pairs)


def layer(options: Options, sizes: Sizes) -> list[Row]:
    """Layers, forward and in training."""
    return layers.layer(options, sizes.layers)


def network(options: Options, sizes: Sizes) -> list[Row]:
    """Networks, forward and in training."""
    return networks.network(options, cases=sizes.networks)


def memory(options: Options, sizes: Sizes) -> list[Row]:
    """Peak memory of a training step."""
    return networks.memory(options, sizes.networks[:2])


def bfloat16(options: Options, sizes: Sizes) -> list[Row]:
    """Autocast."""
    return networks.bfloat16(options, sizes.networks)


def compiled(options: Options, sizes: Sizes) -> list[Row]:
    """Training steps, as they are and compiled, on a GPU with CUDA graphs."""
    on_gpu = options.device == "cuda"
    how: dict[str, Any] = {"mode": "reduce-overhead"} if on_gpu else {"backend": "aot_eager"}
    rows = []
    for case in sizes.compiled:
        width, grid, modes, batch = case
        torch.manual_seed(0)
        torch.compiler.reset()
        modules = contenders.networks(width, grid, modes)
        x = torch.randn(batch, 10, *grid, device=options.device)
        runs: dict[str, Callable[[], object]] = {}
        for name in ("neuralop", "ours, learned"):
            module = modules[name].to(options.device)
            runs[name] = contenders.training(module, x)
            quick = copy.deepcopy(module)
            quick.compile(dynamic=False, **how)
            runs[f"{name}, compiled"] = contenders.training(quick, x)
        facts = {"grid": list(grid), "modes": modes, "channels": width, "batch": batch}
        rows += compared({**facts, "pass": "training"}, runs, options)
    return rows


def paper(
    folder: Path, sizes: Sizes, viscosity: str, seeds: str, settings: Sequence[str], minutes: float
) -> list[Row] | None:
    """Train FFT and Monarch, all seeds side by side on one device; None: not all is finished.

    What is not finished in time goes on where it stopped when called again.
    """
    overrides = [
        *sizes.overrides,
        f"dataset.viscosity={viscosity}",
        *settings,
        "transform=fft,monarch",
        f"seed={seeds}",
    ]
    n_runs = 2 * len(seeds.split(","))
    if run_all(folder, TRAINING, overrides, n_runs, minutes) != 0:
        return None
    rows = []
    for run in map(RunFolder, sorted(folder.iterdir())):
        if not run.results.is_file():
            continue
        results = run.read_results()
        rows.append(
            {
                **{key: results[key] for key in ("transform", "seed")},
                "relative_l2": results["metrics"]["relative_l2"],
                **{key: results[key] for key in ("n_parameters", "seconds_per_epoch")},
            }
        )
    return rows
