"""How numbers are written, in tables, captions and sentences alike."""

import math
import re
from collections.abc import Sequence

from monarch_core.report.read.untrusted import finite
from monarch_core.report.statistics import Change, Spread

NOT_AVAILABLE = "n/a"
NOT_FINITE = "not finite"
BRIEF = 3  # digits at a glance


def number(value: float | None, n_digits: int = 4) -> str:
    """Write a number with the given count of significant digits; `n/a` if it is none."""
    if finite(value) is None or value is None:
        return NOT_AVAILABLE
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{n_digits - 1}e}"
    return f"{value:.{max(0, n_digits - 1 - _magnitude(value))}f}"


def mean_and_error(spread: Spread, n_digits: int | None = None) -> str:
    """Write `mean ± standard error`, the mean alone for a single value, `n/a` for none.

    Where a value is not finite there is no mean, and that is what is written.

    The error has one digit, or two if it starts with a one; the mean ends where the error ends,
    though not before its third digit.

    Args:
        spread: the values.
        n_digits: digits of a value without an error, for a glance; by default four. Beside an
            error, which then has one digit, there is at most one more.
    """
    n_measured = spread.n + spread.n_not_finite
    if spread.n_not_finite:
        share = f" in {spread.n_not_finite} of {n_measured} seeds" if n_measured > 1 else ""
        return f"{NOT_FINITE}{share}"
    missing = f" ({spread.n} of {spread.n + spread.n_missing} seeds)" if spread.n_missing else ""
    mean, error = spread.mean, spread.standard_error
    if mean is None:
        return NOT_AVAILABLE
    if error is None:
        return number(mean, n_digits or 4) + missing
    if error == 0:
        return f"{number(mean, n_digits or 4)} ± 0{missing}"
    largest = max(abs(mean), error)
    if not 1e-3 <= largest < 1e6:
        return f"{mean:.2e} ± {error:.0e}{missing}"
    is_finer = n_digits is None and error < 2 * 10 ** _magnitude(error)
    wanted = -_magnitude(error) + is_finer
    least, most = 2 - _magnitude(largest), (n_digits or 5) - _magnitude(largest)
    decimals = max(0, min(max(wanted, least), most))
    smallest = f"{error:.0e}" if n_digits is None else f"{error:.1g}"
    shown = f"{error:.{decimals}f}" if decimals >= wanted else smallest
    return f"{mean:.{decimals}f} ± {shown}{missing}"


def difference(found: Change | None, metric: str, *, brief: bool = False) -> str:
    """Write a change with its standard error: in percent, or in the unit of the metric.

    For a glance it has one digit less where it has more than two and the error is not lost.
    """
    if found is None:
        return ""
    scale, decimals, unit = _scaled(found, metric)
    if found.value == 0:
        return f"0{unit}"
    value, error = scale * found.value, found.standard_error
    is_large = found.kind != "relative" or abs(value) >= 9.95
    if brief and is_large and (error is None or scale * error >= 0.5 * 10 ** (1 - decimals)):
        decimals -= 1
    spread = "" if error is None else f" ± {scale * error:.{decimals}f}"
    return f"{round(value, decimals) + 0.0:+.{decimals}f}{unit}{spread}"


def size_of_change(found: Change, value: float, metric: str) -> str:
    """Write the size of a change, or of an end of its interval, without its sign.

    Percent have no decimals from ten on.
    """
    scale, decimals, unit = _scaled(found, metric)
    if found.kind == "relative" and scale * abs(value) >= 9.95:
        decimals = 0
    return f"{scale * abs(value):.{decimals}f}{unit}"


def _scaled(found: Change, metric: str) -> tuple[float, int, str]:
    """Return the factor, the decimals and the unit with which a change is written."""
    if found.kind == "relative":
        return 100.0, 1, " %"
    unit = metric_unit(metric)
    return (1.0, 2, f" {unit}") if unit else (1.0, 4, "")


def with_half_width(found: Spread, decimals: int) -> str:
    """Write a mean difference with half the width of its 95 % interval, if it has one."""
    if found.mean is None:
        return NOT_FINITE
    half_width = found.half_width
    width = "" if half_width is None else f" ± {half_width:.{decimals}f}"
    return f"{found.mean:+.{decimals}f}{width}"


def metric_label(metric: str) -> str:
    """Return the name of a metric in words."""
    return metric.replace("_", " ").replace("/", ", ")


def metric_unit(metric: str) -> str:
    """Return the unit of a metric that its name does not spell out, empty if it has none."""
    return "dB" if "snr" in metric or metric.endswith("_db") else ""


def metric_heading(metric: str) -> str:
    """Return the name of a metric in words with its unit, for axes and headings."""
    unit = metric_unit(metric)
    return f"{metric_label(metric)} ({unit})" if unit else metric_label(metric)


def common_title(titles: Sequence[str]) -> tuple[str, list[str]]:
    """Split titles into the words with which all begin, and what each says beyond them.

    The cut is never inside brackets. Without a common beginning the first part is empty.
    """
    if len(set(titles)) == 1:
        return titles[0], [""] * len(titles)
    words = [title.split() for title in titles]
    n_common = 0
    while all(len(own) > n_common and own[n_common] == words[0][n_common] for own in words):
        n_common += 1
    beginning = words[0][:n_common]
    while " ".join(beginning).count("(") > " ".join(beginning).count(")"):
        beginning.pop()
    return " ".join(beginning), [" ".join(own[len(beginning) :]) for own in words]


def count(value: float | None) -> str:
    """Write a count with thousands separated."""
    return NOT_AVAILABLE if value is None else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """Write a duration given in seconds."""
    if value is None:
        return NOT_AVAILABLE
    if value < 120:
        return f"{number(value, 3)} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(value: float | None) -> str:
    """Write a size given in bytes; 1 MB is 1e6 bytes."""
    if value is None:
        return NOT_AVAILABLE
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def commit(name: str) -> str:
    """Write a commit with twelve of its forty digits, and whether its code had changes."""
    return re.sub(r"^([0-9a-f]{12})[0-9a-f]{28}(?=$|-)", r"\1", name) or "none recorded"


def plural(n: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))
