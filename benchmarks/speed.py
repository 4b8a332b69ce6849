"""Speed of spectral layers and networks against the FFT: `python -m benchmarks.speed`.

Every comparison warms up, then times its contenders in turn, round by round, in one process with
one number of threads; ratios are taken within a round. Options are key=value:

    python -m benchmarks.speed out=runs/speed threads=1 rounds=15 suites=layer,network
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import applications, contenders, limits
from benchmarks.timing import Timing, compare
from data_scripts.command_line import config_from_arguments
from monarch_core.layers.kernel import operator
from monarch_core.training.devices import (
    describe_device,
    peak_memory_bytes,
    reset_peak_memory,
)
from monarch_core.transforms import Monarch

LAYERS = [  # grid, modes, channels, batch
    *[((n,), 16, 64, batch) for n in (1024, 8192) for batch in (20, 1)],
    *[((64, 64), 12, channels, batch) for channels in (20, 32, 64) for batch in (20, 1)],
    *[((128, 128), modes, 32, 20) for modes in (12, 32)],
    *[((256, 256), modes, 32, 4) for modes in (12, 32)],
    ((64, 64, 40), 8, 20, 4),
]
NETWORKS = [(20, (64, 64), 12, 20), (32, (64, 64), 12, 20), (32, (64, 64), 12, 1)]
SLICES = ((512, 160), (320, 320))
FACTORS = (64, 128, 256, 320, 512, 1024)
SWEEP = [((n, n), m) for n in (32, 64, 128) for m in (4, 8, 12, 16, 24, 32, 48, 64) if 2 * m <= n]
BARS = [case for case in LAYERS if case[-1] == 20]
CPU_SUITES = ("kept", "avx2", "ceilings", "roofline", "threads")
SUITES = (
    "layer",
    "kept",
    "avx2",
    "ceilings",
    "roofline",
    "factors",
    "network",
    "threads",
    "memory",
    "bfloat16",
    "sweep",
    "sense",
    "data",
)
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


@dataclass
class Options:
    """What to measure.

    Attributes:
        out: folder of the results.
        suites: which to run, separated by commas.
        threads: CPU threads.
        rounds: repetitions of each contender.
        device: cpu or cuda.
    """

    out: str = "runs/speed"
    suites: str = ",".join(SUITES)
    threads: int = 1
    rounds: int = 15
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown suite or too few rounds for quartiles."""
        for suite in self.suites.split(","):
            if suite not in SUITES:
                raise ValueError(f"suites must be among {', '.join(SUITES)}, got {suite!r}")
        refused = [suite for suite in CPU_SUITES if suite in self.suites.split(",")]
        if self.device != "cpu" and refused:
            raise ValueError(
                f"{', '.join(refused)} measure the CPU, got device={self.device}; use "
                "device=cpu, or leave them out of suites"
            )
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds}")


Row = dict[str, Any]


def layer(
    options: Options,
    cases: Sequence[tuple[tuple[int, ...], int, int, int]] = LAYERS,
    passes: Sequence[str] = ("forward", "training"),
) -> list[Row]:
    """Spectral layers alone, forward and forward with backward."""
    rows = []
    for grid, modes, channels, batch in cases:
        torch.manual_seed(0)
        modules = contenders.layers(channels, grid, modes)
        x = torch.randn(batch, channels, *grid, device=options.device, requires_grad=True)
        facts = {"grid": list(grid), "modes": modes, "channels": channels, "batch": batch}
        rows += _time_modules(modules, x, facts, options, passes)
    return rows


def kept(options: Options) -> list[Row]:
    """Training steps of layers in a process whose C library keeps freed memory (glibc)."""
    return _rows_in_process(f"layer({options!r}, speed.BARS, ('training',))", options, KEEP_MEMORY)


def avx2(options: Options) -> list[Row]:
    """Training steps of layers in a process without AVX-512."""
    return _rows_in_process(f"layer({options!r}, speed.BARS, ('training',))", options, AVX2)


def ceilings(options: Options) -> list[Row]:
    """Ceilings of the machine."""
    return [
        {"what": name, "rate": 1e-9 * rate, "unit": "GFLOP/s" if "product" in name else "GB/s"}
        for name, rate in limits.measure_ceilings().items()
    ]


def roofline(options: Options) -> list[Row]:
    """Training steps against the time that operations and bytes need at the ceilings.

    The ceilings are the best that is seen before any of the cases.
    """
    rows = []
    peak = bandwidth = 0.0
    for case in BARS:
        top = limits.measure_ceilings()
        peak = max(peak, top["matrix product, float32"])
        bandwidth = max(bandwidth, top["copy"])
        timed = {row["contender"]: row for row in layer(options, [case], ("training",))}
        facts = dict(zip(("grid", "modes", "channels", "batch"), case, strict=True))
        for transforms in ("frozen", "learned"):
            learned = transforms == "learned"
            operations, size = limits.step_work(*case, learned=learned)
            rows.append(
                {
                    **facts,
                    "transforms": transforms,
                    "GFLOP": 1e-9 * operations,
                    "MB": 1e-6 * size,
                    "products_ms": 1e3 * limits.product_seconds(*case, learned=learned),
                    "measured_ms": timed[f"ours, {transforms}"]["milliseconds"],
                    "fft_ms": timed["torch.fft"]["milliseconds"],
                    "ratio": timed[f"ours, {transforms}"]["ratio"],
                }
            )
    for row in rows:
        row["bound_ms"] = max(1e12 * row["GFLOP"] / peak, 1e9 * row["MB"] / bandwidth)
        row["ratio_at_the_bound"] = row["fft_ms"] / row["bound_ms"]
    return rows


def factors(options: Options) -> list[Row]:
    """A Monarch transform by its factors and multiplied out, forward and backward.

    `cost` is the `FACTORED_COST` with which the cost model gives the measured ratio; the factors
    win where it is below n / (p + q).
    """
    rows = []
    for n in FACTORS:
        ways = {way: Monarch(n, apply=way).to(options.device) for way in ("multiplied", "factored")}
        x = torch.randn(256, n, dtype=torch.cfloat, device=options.device, requires_grad=True)
        timed = compare(
            {way: contenders.training(module, x) for way, module in ways.items()},
            rounds=options.rounds,
        )
        p, q = ways["factored"].block_sizes
        rows.append(
            {
                "n": n,
                "blocks": [p, q],
                **{f"{way}_ms": t.milliseconds for way, t in timed.items()},
                "cost": n / (p + q) / timed["factored"].ratio,
                "auto": "factored" if Monarch(n).factored else "multiplied",
            }
        )
    return rows


def network(options: Options, passes: Sequence[str] = ("forward", "training")) -> list[Row]:
    """Whole networks, forward and forward with backward."""
    rows = []
    for width, grid, modes, batch in NETWORKS:
        torch.manual_seed(0)
        modules = contenders.networks(width, grid, modes)
        x = torch.randn(batch, 10, *grid, device=options.device)
        facts = {"grid": list(grid), "modes": modes, "channels": width, "batch": batch}
        rows += _time_modules(modules, x, facts, options, passes)
    return rows


def threads(options: Options) -> list[Row]:
    """Training steps of whole networks with one thread and with two, each in a process."""
    rows = []
    for count in (1, 2):
        own = replace(options, threads=count)
        timed = _rows_in_process(f"network({own!r}, ('training',))", own)
        rows += [{"threads": count, **row} for row in timed]
    return rows


def sweep(options: Options) -> list[Row]:
    """Where the FFT wins: the layer's training step against kept modes and grid."""
    rows = []
    for grid, modes in SWEEP:
        torch.manual_seed(0)
        modules = contenders.layers(20, grid, modes)
        for left_out in ("neuralop", "learned, no kernel"):
            modules.pop(left_out)
        x = torch.randn(20, 20, *grid, device=options.device, requires_grad=True)
        facts = {"grid": list(grid), "modes": modes, "channels": 20, "batch": 20}
        rows += _time_modules(modules, x, facts, options, passes=("training",))
    return rows


def bfloat16(options: Options) -> list[Row]:
    """Training steps under autocast against float32, and how far the outputs differ."""
    rows = []
    for width, grid, modes, batch in NETWORKS:
        torch.manual_seed(0)
        model = contenders.networks(width, grid, modes)["ours, learned"].to(options.device)
        x = torch.randn(batch, 10, *grid, device=options.device)
        runs = {
            "float32": contenders.training(model, x),
            "bfloat16": contenders.training(model, x, torch.bfloat16),
        }
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16):
            low = model(x).float()
        with torch.no_grad():
            exact = model(x)
        facts = {
            "grid": list(grid),
            "modes": modes,
            "channels": width,
            "batch": batch,
            "pass": "training",
            "relative_difference": ((low - exact).norm() / exact.norm()).item(),
        }
        rows += _rows(facts, compare(runs, rounds=options.rounds))
    return rows


def memory(options: Options) -> list[Row]:
    """Peak memory of a training step beyond the weights, each network in a process of its own."""
    rows = []
    for width, grid, modes, batch in NETWORKS[:2]:
        peaks = {
            name: _peak_of(name, width, grid, modes, batch, options)
            for name in contenders.networks(width, grid, modes)
        }
        for name, peak in peaks.items():
            rows.append(
                {
                    "grid": list(grid),
                    "modes": modes,
                    "channels": width,
                    "batch": batch,
                    "contender": name,
                    "peak_bytes": peak,
                    "share": peak / peaks["neuralop"],
                }
            )
    return rows


def sense(options: Options) -> list[Row]:
    """Zero-filled SENSE, and the data-consistency step with its gradient, of one slice, 8 coils."""
    rows = []
    for grid in SLICES:
        for name, make in (
            ("zero-filled", applications.zero_filled_sense),
            ("data consistency, training", applications.data_consistency),
        ):
            runs = make(grid, coils=8, device=options.device)
            facts = {"grid": list(grid), "coils": 8, "pass": name}
            rows += _rows(facts, compare(runs, rounds=options.rounds))
    return rows


def data(options: Options) -> list[Row]:
    """Seconds per Navier-Stokes trajectory of 50 time units: the published recipe, and ours."""
    seconds = applications.navier_stokes_seconds(1e-3, 64)
    return [{"contender": name, "seconds": value} for name, value in seconds.items()]


def _time_modules(
    modules: dict[str, torch.nn.Module],
    x: torch.Tensor,
    facts: Row,
    options: Options,
    passes: Sequence[str] = ("forward", "training"),
) -> list[Row]:
    rows = []
    for name in passes:
        make: Callable[..., Any] = getattr(contenders, name)
        runs = {key: make(module.to(x.device), x) for key, module in modules.items()}
        rows += _rows({**facts, "pass": name}, compare(runs, rounds=options.rounds))
    return rows


def _rows(facts: Row, timings: dict[str, Timing]) -> list[Row]:
    return [{**facts, "contender": name, **asdict(t)} for name, t in timings.items()]


def _peak_of(
    name: str, width: int, grid: tuple[int, ...], modes: int, batch: int, options: Options
) -> int:
    case = f"{name!r}, {width}, {grid}, {modes}, {batch}, {options.device!r}"
    return int(_in_process(f"print(speed.peak_memory({case}))", options))


def _rows_in_process(
    call: str, options: Options, environment: Mapping[str, str] | None = None
) -> list[Row]:
    """Return the rows of a suite of this module, called in a process of its own."""
    rows: list[Row] = json.loads(
        _in_process(f"print(json.dumps(speed.{call}))", options, environment)
    )
    return rows


def _in_process(code: str, options: Options, environment: Mapping[str, str] | None = None) -> str:
    """Return the last line that `code` prints in a process of its own."""
    start = "import json, torch; from benchmarks import speed; from benchmarks.speed import Options"
    command = f"{start}; torch.set_num_threads({options.threads}); {code}"
    run = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()[-1]


def peak_memory(
    name: str, width: int, grid: tuple[int, ...], modes: int, batch: int, device: str
) -> int:
    """Return the bytes that training steps take beyond what the process held before."""
    model = contenders.networks(width, grid, modes)[name].to(device)
    small = torch.randn(1, 10, *(n // 2 for n in grid), device=device)
    contenders.training(model, small)()  # libraries and their workspaces are loaded now
    x = torch.randn(batch, 10, *grid, device=device)
    reset_peak_memory(torch.device(device))
    before = peak_memory_bytes(torch.device(device))
    for _ in range(3):
        contenders.training(model, x)()
    return peak_memory_bytes(torch.device(device)) - before


def main() -> None:
    """Run the suites and write `<suite>.json`, each with the machine it was measured on."""
    options = config_from_arguments(Options, None, __doc__ or "")
    torch.set_num_threads(options.threads)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    machine = {
        "device": describe_device(torch.device(options.device)),
        "threads": options.threads,
        "torch": torch.__version__,
        "rounds": options.rounds,
        "kernel": operator.available(torch.zeros(1, 1, 2, 2)),
    }
    for suite in options.suites.split(","):
        rows = globals()[suite](options)
        path = out / f"{suite}.json"
        path.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")
        for row in rows:
            facts = " ".join(f"{key}={value}" for key, value in row.items())
            sys.stdout.write(f"{suite} {facts}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
