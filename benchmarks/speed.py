"""Speed of spectral layers and networks against the FFT: `python -m benchmarks.speed`.

Every comparison warms up, then times its contenders in turn, round by round, in one process with
one number of threads; ratios are taken within a round. Options are key=value:

    python -m benchmarks.speed out=runs/speed threads=1 rounds=15 suites=layer,network
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.options import Options
from benchmarks.rows import Row
from benchmarks.suites import dense_layers, layers, machine, networks, uses
from data_scripts.command_line import config_from_arguments
from monarch_core.layers.kernel.operator import available
from monarch_core.training.devices import describe_device

SUITES: dict[str, Callable[[Options], list[Row]]] = {
    "layer": layers.layer,
    "fixed": layers.fixed,
    "single": layers.single,
    "kept": layers.kept,
    "avx2": layers.avx2,
    "ceilings": machine.ceilings,
    "roofline": machine.roofline,
    "factors": machine.factors,
    "network": networks.network,
    "network_avx2": networks.network_avx2,
    "threads": networks.threads,
    "memory": networks.memory,
    "bfloat16": networks.bfloat16,
    "sweep": layers.sweep,
    "linear": dense_layers.linear,
    "block": dense_layers.block,
    "step": dense_layers.step,
    "sense": uses.sense,
    "data": uses.data,
}


def main() -> int:
    """Run the suites and write `<suite>.json`, each with its machine; return the exit status."""
    try:
        options = config_from_arguments(Options, None, __doc__ or "")
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    torch.set_num_threads(options.threads)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "device": describe_device(torch.device(options.device)),
        "threads": options.threads,
        "torch": torch.__version__,
        "rounds": options.rounds,
        "kernel": available(torch.zeros(1, 1, 2, 2)),
    }
    for suite in options.names:
        rows = SUITES[suite](options)
        path = out / f"{suite}.json"
        path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
        for row in rows:
            facts = " ".join(f"{key}={value}" for key, value in row.items())
            sys.stdout.write(f"{suite} {facts}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
