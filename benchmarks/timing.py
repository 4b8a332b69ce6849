"""Time several functions against each other, fairly."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Times of one contender, and its ratio to the first one, round by round.

    Attributes:
        milliseconds: median.
        spread: half the distance between the quartiles, in milliseconds.
        ratio: median over the rounds of time(first) / time(this): above 1 this one is faster.
        ratio_quartiles: first and third quartile of that ratio.
    """

    milliseconds: float
    spread: float
    ratio: float
    ratio_quartiles: tuple[float, float]


def compare(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 2, calls: int = 1
) -> dict[str, Timing]:
    """Time the contenders in turn, so that a slow moment of the machine meets all of them.

    An untimed call goes before every timed one: caches, and the freed memory that the C library
    holds, are then those that the contender leaves itself, not those of the one before it.

    Args:
        contenders: functions by name; ratios are to the first.
        rounds: how often each is timed.
        warm_up: calls of each before that.
        calls: how many are timed together, without waiting for a GPU in between, as in training.
    """
    for _ in range(warm_up):
        for run in contenders.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            run()
            _synchronize()
            begin = time.perf_counter()
            for _ in range(calls):
                run()
            _synchronize()
            times[name].append(1e3 * (time.perf_counter() - begin) / calls)
    first = next(iter(times.values()))
    result = {}
    for name, values in times.items():
        ratios = [a / b for a, b in zip(first, values, strict=True)]
        low, _, high = statistics.quantiles(values, n=4)
        r_low, r_mid, r_high = statistics.quantiles(ratios, n=4)
        result[name] = Timing(statistics.median(values), (high - low) / 2, r_mid, (r_low, r_high))
    return result


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
