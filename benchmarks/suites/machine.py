"""What the machine allows, and what the factors of a Monarch matrix save on it."""

import torch

from benchmarks import contenders, limits
from benchmarks.options import Options
from benchmarks.rows import Row
from benchmarks.suites import layers
from benchmarks.timing import compare
from monarch_core.transforms import Monarch

FACTORS = (64, 128, 256, 320, 512, 1024)


def ceilings(_: Options) -> list[Row]:
    """The best rates that are seen."""
    return [
        {"what": name, "rate": 1e-9 * rate, "unit": "GFLOP/s" if "product" in name else "GB/s"}
        for name, rate in limits.measure_ceilings().items()
    ]


def roofline(options: Options) -> list[Row]:
    """Training steps of layers against the time that operations and bytes need at the ceilings.

    The ceilings are the best that is seen before any of the cases.
    """
    rows = []
    peak = bandwidth = 0.0
    for case in layers.BARS:
        top = limits.measure_ceilings()
        peak = max(peak, top["matrix product, float32"])
        bandwidth = max(bandwidth, top["copy"])
        timed = {row["contender"]: row for row in layers.layer(options, [case], ("training",))}
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
