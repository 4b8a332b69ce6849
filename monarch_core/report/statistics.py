"""Mean and standard error over seeds, and the change between two groups of runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from monarch_core.report.read.untrusted import finite

# What the names of metrics say about their direction; the first list wins ("snr" before "error").
_HIGHER = ("psnr", "ssim", "snr", "accuracy", "correlation")
_LOWER = (
    "error",
    "loss",
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
    """A quantity over seeds.

    A run that diverged is not left out of a mean: where one value is not finite there is none.

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


@dataclass(frozen=True)
class Change:
    """A metric of one group against the same metric of its control.

    Attributes:
        kind: "relative": value = mean / mean of control - 1, dimensionless; "difference": value =
            mean - mean of control, in the unit of the metric.
        value: the change.
        standard_error: its standard error, None with a single seed on either side.
        paired: the two groups have the same seeds, and the error is that of the paired values.
        verdict: "ahead", "behind", "level" (equal, or zero lies in the 95 % confidence interval
            of Student's t) or "unknown" when the name of the metric does not say whether higher is
            better. With a single seed there is no interval, and the sign decides.
    """

    kind: Literal["relative", "difference"]
    value: float
    standard_error: float | None
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
    mean = math.fsum(numbers) / n  # (1)
    if n == 1:
        return Spread(mean, None, 1, n_missing)
    variance = math.fsum((number - mean) ** 2 for number in numbers) / (n - 1)
    return Spread(mean, math.sqrt(variance / n), n, n_missing)  # (2)


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
        pairs = zip(values, control, strict=True)
        differences = [a - scale * b for a, b in pairs if a is not None and b is not None]
        error = spread(differences).standard_error  # (3), (4)
    elif x.standard_error is None or c.standard_error is None:
        error = None
    else:
        error = math.hypot(x.standard_error, scale * c.standard_error)
    error = None if error is None else error / unit
    interval = None if error is None else error * float(stdtrit(min(x.n, c.n) - 1, 0.975))
    return Change(
        kind="relative" if relative else "difference",
        value=value,
        standard_error=error,
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


def _verdict(
    value: float, interval: float | None, direction: bool | None
) -> Literal["ahead", "behind", "level", "unknown"]:
    if direction is None:
        return "unknown"
    if value == 0 or (interval is not None and abs(value) <= interval):
        return "level"
    return "ahead" if (value > 0) == direction else "behind"
