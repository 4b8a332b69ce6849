"""The one place where numbers are averaged: over seeds, over scans, and between two groups."""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from monarch_core.report.read.untrusted import finite

# What the names of metrics say about their direction; the first list wins ("snr" before "error").
_HIGHER = ("psnr", "ssim", "snr", "accuracy", "correlation", "f1")
_LOWER = (
    "error",
    "errors",
    "loss",
    "perplexity",
    "byte",
    "flops",
    "mse",
    "mae",
    "l1",
    "l2",
    "h1",
    "residual",
    "distance",
    "seconds",
    "time",
)


@dataclass(frozen=True)
class Spread:
    """A quantity over seeds, or over scans.

    What diverged is not left out of a mean: where one value is not finite there is none.

    Attributes:
        mean: mean of the values, None without any, or where one of them is not finite.
        standard_error: s / sqrt(n) with s the sample standard deviation (n - 1 in the
            denominator), None for fewer than two values, or without a mean.
        n: how many values are finite numbers.
        n_missing: how many were not measured.
        n_not_finite: how many are NaN, infinite, or too large to be squared.
    """

    mean: float | None
    standard_error: float | None
    n: int
    n_missing: int = 0
    n_not_finite: int = 0

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % confidence interval of the mean, None without an error.

        half_width = t standard_error, with t the 97.5 % quantile of Student's distribution with
        n - 1 degrees of freedom.
        """
        error = self.standard_error
        return None if error is None else _student(self.n) * error


@dataclass(frozen=True)
class Change:
    """A metric of one group against the same metric of its control.

    Attributes:
        kind: "relative": value = mean / mean of control - 1, dimensionless; "difference": value =
            mean - mean of control, in the unit of the metric.
        value: the change.
        standard_error: its standard error, None with a single seed on either side.
        half_width: half the width of its 95 % confidence interval (Student's t), likewise.
        n: the smaller number of seeds of the two groups.
        paired: the two groups have the same seeds, and the error is that of the paired values.
        verdict: "ahead", "behind", "level" (equal, or zero lies in the 95 % confidence interval
            of Student's t) or "unknown" when the name of the metric does not say whether higher is
            better. With a single seed there is no interval, and the sign decides.
    """

    kind: Literal["relative", "difference"]
    value: float
    standard_error: float | None
    half_width: float | None
    n: int
    paired: bool
    verdict: Literal["ahead", "behind", "level", "unknown"]


def spread(values: Sequence[float | None]) -> Spread:
    """Return mean and standard error of values, None standing for one that was not measured.

    mean = sum(x_i) / n                                            (1)
    standard_error = sqrt(sum((x_i - mean)^2) / (n - 1)) / sqrt(n)  (2)
    """
    measured = [value for value in values if value is not None]
    numbers = [float(value) for value in measured if finite(value) is not None]
    n, n_missing = len(numbers), len(values) - len(measured)
    n_not_finite = len(measured) - n
    if n == 0 or n_not_finite:
        return Spread(None, None, n, n_missing, n_not_finite)
    centre = math.fsum(numbers) / n  # (1)
    if n == 1:
        return Spread(centre, None, 1, n_missing)
    variance = math.fsum((number - centre) ** 2 for number in numbers) / (n - 1)
    return Spread(centre, math.sqrt(variance / n), n, n_missing)  # (2)


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value; infinity and NaN go through."""
    return float(np.mean(values))


def means_within(values: Iterable[tuple[Hashable, float]]) -> list[float]:
    """Return the mean of the values that share a key, in the order of the keys.

    What belongs together is averaged first, as the echoes of a scan before the scans.
    """
    shared: dict[Hashable, list[float]] = {}
    for key, value in values:
        shared.setdefault(key, []).append(value)
    return [mean(same) for same in shared.values()]


def paired_difference(own: Sequence[float], control: Sequence[float]) -> Spread:
    """Return mean and standard error of own - control, element by element.

    Raises:
        ValueError: the lengths differ or are zero.
    """
    if len(own) != len(control) or not len(own):
        raise ValueError(
            f"paired values are needed, got {len(own)} and {len(control)} of the control; measure "
            "both on the same"
        )
    return spread([a - b for a, b in zip(own, control, strict=True)])


def band(
    values: Float[np.ndarray, "n_seeds n_points"],
) -> tuple[Float[np.ndarray, "n_points"], ...]:
    """Return mean, smallest and largest of the seeds at every point; NaN where one of them is."""
    return values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def change(
    values: Sequence[float | None],
    control: Sequence[float | None],
    *,
    metric: str,
    same_seeds: bool,
) -> Change | None:
    """Return how a metric differs from that of the control.

    Metrics where higher is better (pSNR in dB, SSIM) are compared by their difference d, all others
    by the ratio r - 1, with x the values, c those of the control, a bar for the mean:

        d = mean(x) - mean(c)                                          (1)
        r = mean(x) / mean(c)                                          (2)
        se(d) = se(x_i - c_i)                     with the same seeds   (3)
        se(r) = se(x_i - r c_i) / |mean(c)|       with the same seeds   (4)

    Without the same seeds the two errors are independent and add in squares. (4) is the usual
    first-order error of a ratio of means (Cochran, Sampling Techniques, 1977, chapter 6). The
    interval of the verdict has n - 1 degrees of freedom, with n the smaller number of seeds.

    Args:
        values: the metric of each run of the group.
        control: the metric of each run of the control.
        metric: its name, which tells its direction.
        same_seeds: the i-th run of both has the same seed, for all i.

    Returns:
        None if either side has no mean, or the control's mean is zero and a ratio is asked for.
    """
    x, c = spread(values), spread(control)
    if x.mean is None or c.mean is None:
        return None
    direction = higher_is_better(metric)
    relative = direction is not True
    if relative and c.mean == 0:
        return None
    scale = x.mean / c.mean if relative else 1.0  # (2)
    unit = abs(c.mean) if relative else 1.0
    value = scale - 1 if relative else x.mean - c.mean  # (1)
    paired = same_seeds and x.n_missing == c.n_missing == 0
    if paired:
        scaled = [scale * number for number in control if number is not None]
        own = [number for number in values if number is not None]
        error = paired_difference(own, scaled).standard_error  # (3), (4)
    elif x.standard_error is None or c.standard_error is None:
        error = None
    else:
        error = math.hypot(x.standard_error, scale * c.standard_error)
    error = None if error is None else error / unit
    interval = None if error is None else error * _student(min(x.n, c.n))
    return Change(
        kind="relative" if relative else "difference",
        value=value,
        standard_error=error,
        half_width=interval,
        n=min(x.n, c.n),
        paired=paired,
        verdict=_verdict(
            value * math.copysign(1, c.mean) if relative else value, interval, direction
        ),
    )


def higher_is_better(metric: str) -> bool | None:
    """Tell from the name of a metric whether higher is better; None if the name does not say."""
    name = metric.lower()
    if any(part in name for part in _HIGHER):
        return True
    tokens = name.replace("/", "_").replace("-", "_").split("_")
    if any(token.endswith(part) for token in tokens for part in _LOWER):
        return False
    return None


def _student(n: int) -> float:
    """Return the 97.5 % quantile of Student's distribution for a mean of n values."""
    return float(stdtrit(n - 1, 0.975))


def _verdict(
    value: float, interval: float | None, direction: bool | None
) -> Literal["ahead", "behind", "level", "unknown"]:
    if direction is None:
        return "unknown"
    if value == 0 or (interval is not None and abs(value) <= interval):
        return "level"
    return "ahead" if (value > 0) == direction else "behind"
