"""How the figures look: one colour per transform, the same in all of them."""

import io
import itertools
import math
import textwrap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from monarch_core.report.compare.groups import Group, transform_ranks

# Okabe & Ito's palette, which colour-blind readers can tell apart (jfly.uni-koeln.de/color, 2008):
# blue is the control, light blue does not learn, red and green learn, each once.
_BY_RANK = (("#0072B2",), ("#56B4E9",), ("#D55E00", "#009E73"), ())
_OTHERS = ("#CC79A7", "#E69F00", "#8C6D31", "#6A51A3", "#7F7F7F")
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DOTS_PER_INCH = 140

TRUTH_COLOUR = "#000000"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LEGEND_LINE = 0.19  # height in inches
NARROW = 5.4  # width in inches of a figure that shares its row on the page
AXES_HEIGHT = 3.4  # height in inches of such a figure without its legend

_SETTINGS: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "figure.facecolor": "white",
    "text.parse_math": False,  # names come from others; a dollar sign is a dollar sign
}


@dataclass(frozen=True)
class Drawing:
    """A figure, drawn.

    Attributes:
        key: name of its file, without ending.
        title: what it shows, for readers who do not see it.
        caption: what was averaged, which scales were used.
        png: the image.
        wide: it needs the whole width of the page.
    """

    key: str
    title: str
    caption: str
    png: bytes
    wide: bool = False


@dataclass(frozen=True)
class Look:
    """How one group is drawn within one figure.

    Attributes:
        label: its name in the legend.
        colour: colour of its transform.
        place: how many groups of the same transform come before it in the figure.
    """

    label: str
    colour: str
    place: int

    @property
    def dash(self) -> str:
        """Line style that tells groups of the same transform apart."""
        return _DASHES[self.place % len(_DASHES)]

    @property
    def marker(self) -> str:
        """Marker that tells groups of the same transform apart."""
        return _MARKERS[self.place % len(_MARKERS)]

    def dash_of(self, line: int) -> str:
        """Return the line style of the n-th line of this group on the same axes."""
        return _DASHES[(self.place + line) % len(_DASHES)]


def palette(groups: Iterable[Group]) -> dict[str, str]:
    """Return the colour of every transform, the same in all figures of a report."""
    ranks = transform_ranks(groups)
    own, others = [iter(colours) for colours in _BY_RANK], itertools.cycle(_OTHERS)
    names = sorted(ranks, key=lambda name: (ranks[name], name))
    return {name: next(own[ranks[name][0]], None) or next(others) for name in names}


def looks(groups: Sequence[Group], colours: Mapping[str, str]) -> list[Look]:
    """Return how each group is drawn; models are named where there is more than one."""
    several = len({group.model for group in groups}) > 1
    places: dict[str, int] = {}
    result = []
    for group in groups:
        place = places.get(group.transform, 0)
        places[group.transform] = place + 1
        label = f"{group.model}, {group.name}" if several else group.name
        result.append(Look(label, colours[group.transform], place))
    return result


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that keeps its labels apart by itself."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.06))


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures have the look of the report."""
    return matplotlib.rc_context(_SETTINGS)


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # crowded, but drawn
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def clipped(text: str, n_letters: int = 100) -> str:
    """Return a text without its middle if it is longer than a figure has room for."""
    if len(text) <= n_letters:
        return text
    half = n_letters // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def wrapped(text: str, width: int = 58) -> str:
    """Break a text into lines that fit a figure."""
    return "\n".join(textwrap.wrap(text, width)) or text


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend of the axes below them, where it hides no data, and make room for it."""
    handles, names = axes.get_legend_handles_labels()
    labels = [clipped(name) for name in names]
    if not labels:
        return
    longest = max(map(len, labels))
    n_columns = max(1, min(len(labels), int(figure.get_figwidth() * 13 // (longest + 6))))
    n_lines = math.ceil(len(labels) / n_columns)
    figure.set_figheight(figure.get_figheight() + _LEGEND_LINE * n_lines)
    figure.legend(handles, labels, loc="outside lower left", ncols=n_columns, handlelength=2.4)


def set_scale(axes: Axes, *, x: str = "linear", y: str = "linear") -> None:
    """Set the scales; an axis without a positive value stays linear.

    Over less than two decades the ticks are plain numbers, since powers of ten would be too few.
    """
    for scale, name in ((x, "x"), (y, "y")):
        drawn = [np.asarray(getattr(line, f"get_{name}data")(), float) for line in axes.get_lines()]
        values = np.concatenate([*drawn, np.empty(0)])
        values = values[values > 0]
        if scale != "log" or not values.size:
            continue
        axes.set(**{f"{name}scale": "log"})
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_minor_formatter(NullFormatter())
        if values.max() < 100 * values.min():
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter("{x:g}")
        else:
            axis.set_major_formatter(FuncFormatter(_power))


def _power(value: float, _: object) -> str:
    """Write a power of ten as such, with raised digits; what is near one as a plain number."""
    exponent = round(math.log10(value))
    if abs(exponent) <= 2:
        return f"{value:g}"
    return "10" + str(exponent).translate(_RAISED)
