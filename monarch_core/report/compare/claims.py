"""A change in words: how large it is, and whether it means anything."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from monarch_core.report.statistics import Change
from monarch_core.report.wording import metric_label, plural, size_of_change

Label = Literal["better", "worse", "no difference", "cannot tell", "changed", "no change to give"]


@dataclass(frozen=True)
class Claim:
    """What a change says.

    Attributes:
        label: the outcome in a word or two: "cannot tell" of a single seed, "no difference" where
            zero lies in the 95 % interval or no digit that is shown differs from zero, "changed"
            where the name of the metric does not say whether higher is better.
        text: how large the change is, such as `relative l2 53 % lower than with fft`.
        reason: what the label rests on: the interval and the number of seeds.
    """

    label: Label
    text: str
    reason: str


def claim(found: Change | None, metric: str, control: str, control_mean: float | None) -> Claim:
    """Return what a change says in words.

    Args:
        found: the change, None where a side has no mean.
        metric: name of the metric.
        control: name of what it is compared with.
        control_mean: of the metric, whose sign tells what a ratio above one means.
    """
    name = metric_label(metric)
    if found is None:
        return Claim("no change to give", f"{name}: no change to give", "a mean is missing")
    is_flipped = found.kind == "relative" and (control_mean or 1.0) < 0
    value = -found.value if is_flipped else found.value
    seeds = plural(found.n, "seed")
    if found.value == 0 and not found.half_width:
        return Claim("no difference", f"{name} equal to that with {control}", seeds)
    if _is_hidden(found, metric):
        return Claim("no difference", f"{name} as with {control} in the digits shown", seeds)
    if found.half_width is None:
        text = _text(name, value, found, metric, control)
        return Claim("cannot tell", text, "one seed: cannot tell whether this is chance")
    reason = f"95 % interval {_interval(value, found, metric)}, {seeds}"
    label, why = _LABELS[found.verdict]
    return Claim(label, _text(name, value, found, metric, control), f"{reason}{why}")


def summary(claims: Sequence[Claim]) -> str:
    """Count the outcomes in words, such as `1 better, 2 no difference`."""
    labels = [claim.label for claim in claims]
    words = {"cannot tell": "on one seed (cannot tell)"}
    return ", ".join(f"{labels.count(x)} {words.get(x, x)}" for x in get_args(Label) if x in labels)


_LABELS: dict[str, tuple[Label, str]] = {
    "ahead": ("better", ": more than the seeds explain"),
    "behind": ("worse", ": more than the seeds explain"),
    "level": ("no difference", ": zero lies in it"),
    "unknown": ("changed", ""),
}


def _text(name: str, value: float, found: Change, metric: str, control: str) -> str:
    if value == 0:
        return f"{name} equal to that with {control}"
    return f"{name} {size_of_change(found, value, metric)} {_side(value)} than with {control}"


def _interval(value: float, found: Change, metric: str) -> str:
    """Return the interval of a change, such as `45 to 61 % lower`."""
    assert found.half_width is not None
    ends = value - found.half_width, value + found.half_width
    if ends[0] * ends[1] <= 0:
        low, high = (f"{size_of_change(found, end, metric)} {_side(end)}" for end in ends)
        return f"{low} to {high}"
    near, far = sorted(ends, key=abs)
    low, high = (size_of_change(found, end, metric) for end in (near, far))
    return f"{low.removesuffix(' %').removesuffix(' dB')} to {high} {_side(value)}"


def _side(value: float) -> str:
    return "higher" if math.copysign(1, value) > 0 else "lower"


def _is_hidden(found: Change, metric: str) -> bool:
    """Return whether a change by which one side is ahead is written as zero."""
    written = size_of_change(found, found.value, metric)
    return found.verdict in ("ahead", "behind") and not set("123456789") & set(written)
