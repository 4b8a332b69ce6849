"""Rows of a table of measurements: a case, a contender, and its times."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmarks import contenders
from benchmarks.options import Options
from benchmarks.timing import compare

Row = dict[str, Any]
T = TypeVar("T")


def compared(facts: Row, runs: Mapping[str, Callable[[], object]], options: Options) -> list[Row]:
    """Time the contenders of one case, whose `facts` stand in each of its rows."""
    timings = compare(runs, rounds=options.rounds, calls=options.calls)
    return [{**facts, "contender": name, **asdict(timing)} for name, timing in timings.items()]


def time_modules(
    modules: Mapping[str, nn.Module], x: Tensor, facts: Row, options: Options, passes: Sequence[str]
) -> list[Row]:
    """Time the passes of some modules on `x`: "forward", and "training", which adds backward."""
    rows = []
    for name in passes:
        make: Callable[..., Callable[[], object]] = getattr(contenders, name)
        runs = {key: make(module.to(x.device), x) for key, module in modules.items()}
        rows += compared({**facts, "pass": name}, runs, options)
    return rows


def in_new_process(
    environment: Mapping[str, str], threads: int, function: Callable[..., T], *arguments: object
) -> T:
    """Return what a function returns in a process of its own, started with some more variables."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with ProcessPoolExecutor(
            1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,)
        ) as pool:
            return pool.submit(function, *arguments).result()
    finally:
        os.environ.clear()
        os.environ.update(before)
