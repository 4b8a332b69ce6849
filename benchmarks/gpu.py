"""All that is to be known of a GPU in one call of 25 minutes: `python -m benchmarks.gpu`.

A piece writes its result, `gpu_<piece>.json`, when it is done, and a second call goes on with what
is missing. A piece for which the time is too short is left out, and said to be. Tables of all are
in `speed.md` beside them; those of the runs come from `monarch-report OUT/paper_1e-3`. Options are
key=value:

    python -m benchmarks.gpu out=runs/gpu minutes=25
    python -m benchmarks.gpu out=runs/tiny size=tiny device=cpu epochs=2 seeds=0

Errors of the kernels, layers, networks, memory, bfloat16 and compiled networks take about 12
minutes together, most of it for compilers; trainings at the published size take the rest, those of
one viscosity after the other, all seeds of both transforms side by side. Their data are made on the
GPU before: about 1, 3 and 10 minutes for 1e-3, 1e-4 and 1e-5 on an H200, by the number of steps.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.options import GPU_TITLES, Options
from benchmarks.report import write_report
from benchmarks.rows import Row
from benchmarks.suites import gpu
from data_scripts.command_line import config_from_arguments
from monarch_core.layers.kernel.operator import available
from monarch_core.runs.files import write_text
from monarch_core.training.devices import describe_device

PREFIX = "gpu_"
# Minutes that each piece is expected to take on an H200, or that it needs at least.
MINUTES = {
    "check": 1.5,
    "layer": 2.5,
    "network": 2.0,
    "memory": 0.5,
    "bfloat16": 1.0,
    "compiled": 4.0,
    "paper_1e-3": 3.0,
    "paper_1e-4": 5.0,
    "paper_1e-5": 12.0,
}
RESERVE = 0.5  # minutes at the end, for runs to stop and tables to be written


@dataclass
class GpuOptions:
    """What to measure, and how long.

    Attributes:
        out: folder of the results.
        minutes: after which no piece starts, and trainings stop.
        pieces: which to run, in this order, separated by commas.
        size: "full", or "tiny" to see that all works.
        device: "cuda", or "cpu" for the tiny size.
        rounds: repetitions of each contender.
        calls: in each repetition.
        epochs: of the trainings at the published size, which has 500.
        seeds: of them, separated by commas.
        data: folder of their data.
    """

    out: str = "runs/gpu"
    minutes: float = 25.0
    pieces: str = ",".join(MINUTES)
    size: str = "full"
    device: str = "cuda"
    rounds: int = 9
    calls: int = 10
    epochs: int = 50
    seeds: str = "0,1,2"
    data: str = "data"

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be measured."""
        for piece in self.names:
            if piece not in MINUTES:
                raise ValueError(f"pieces must be among {', '.join(MINUTES)}, got {piece!r}")
        if self.size not in gpu.SIZES:
            raise ValueError(f"size must be one of {', '.join(gpu.SIZES)}, got {self.size!r}")
        if self.device not in ("cuda", "cpu"):
            raise ValueError(f"device must be cuda or cpu, got {self.device!r}")
        if self.device == "cpu" and self.size != "tiny":
            raise ValueError(f"device=cpu is for size=tiny, got size={self.size}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device=cuda, but torch finds no GPU; use size=tiny device=cpu")
        if not self.minutes > 0:
            raise ValueError(f"minutes must be positive, got {self.minutes:g}")
        self.measuring()  # checks rounds and calls

    @property
    def names(self) -> list[str]:
        """The pieces, one by one."""
        return self.pieces.split(",")

    def measuring(self) -> Options:
        """Return the options of the suites."""
        suites = "layer,network,memory,bfloat16"  # others measure a CPU
        return Options(suites=suites, device=self.device, rounds=self.rounds, calls=self.calls)


def main() -> int:
    """Run what is missing; return 0 if all is there then, 1 if not, 2 for a wrong option."""
    begin = time.monotonic()
    try:
        options = config_from_arguments(GpuOptions, None, __doc__ or "")
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    out = Path(options.out)
    left_out = []
    for name in options.names:
        path = out / f"{PREFIX}{name}.json"
        left = options.minutes - (time.monotonic() - begin) / 60 - RESERVE
        if path.is_file():
            _say(f"{name}: there already")
        elif left < (MINUTES[name] if options.size == "full" else 0):
            left_out.append(f"{name} (needs {MINUTES[name]:g} minutes, {left:.1f} are left)")
        elif not _run(name, path, options, left):
            left_out.append(f"{name} (not finished)")
    if any((out / f"{title}.json").is_file() for title in GPU_TITLES):
        page = out / "speed.md"
        page.unlink(missing_ok=True)  # which has no place for pieces that are new
        write_report(out, page)
        _say(f"tables: {page}")
    for text in left_out:
        _say(f"left out: {text}; the same command goes on")
    return 1 if left_out else 0


def _run(name: str, path: Path, options: GpuOptions, minutes: float) -> bool:
    """Run a piece and write its result; False, with the reason said, where there is none."""
    begin = time.monotonic()
    piece = _pieces(options, minutes)[name]
    try:
        rows = piece()
    except Exception:  # the pieces after it are worth having
        traceback.print_exc()
        return False
    seconds = time.monotonic() - begin
    _say(f"{name}: {seconds:.0f} s")
    if rows is None:
        return False
    fields = torch.zeros(1, 1, 2, 2, device=options.device)
    result = {
        "device": describe_device(fields.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "calls": options.calls,
        "kernel": available(fields),
        "seconds": seconds,
        "rows": rows,
    }
    write_text(path, json.dumps(result, indent=1) + "\n")
    return True


def _pieces(options: GpuOptions, minutes: float) -> dict[str, Callable[[], list[Row] | None]]:
    """Return the pieces by name, those that can be stopped with the time that they may take."""
    sizes, measuring = gpu.SIZES[options.size], options.measuring()
    suites = (gpu.check, gpu.layer, gpu.network, gpu.memory, gpu.bfloat16, gpu.compiled)
    found: dict[str, Callable[[], list[Row] | None]] = {
        suite.__name__: partial(suite, measuring, sizes) for suite in suites
    }
    settings = (
        f"dataset.data_dir={options.data}",
        f"fit.epochs={options.epochs}",
        f"fit.accelerator={options.device}",
    )
    for name in MINUTES:
        kind, _, viscosity = name.partition("_")
        if kind == "paper":
            folder = Path(options.out) / name
            given = (folder, sizes, viscosity, options.seeds, settings, minutes)
            found[name] = partial(gpu.paper, *given)
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
