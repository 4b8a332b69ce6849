"""The figure of what transforms learned: some of their rows, and all of them in frequency."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from monarch_core.report.compare.groups import Group
from monarch_core.report.render.style import (
    Drawing,
    Look,
    clipped,
    looks,
    png_of,
    styled,
)
from monarch_core.runs.artifacts import Basis

_MOST = 4  # groups in one figure
_WIDTH, _HEIGHT = 9.6, 3.1  # inches of the panels of one group
_FLOOR_DB = -40.0  # where the colour scale of the spectra ends
_START = "#8A8A8A"


def basis_figure(
    groups: Sequence[Group], bases: Sequence[Basis], colours: Mapping[str, str]
) -> tuple[list[Drawing], list[str]]:
    """Draw the learned transform of every group beside its start.

    Args:
        groups: the groups to draw.
        bases: the basis of the first seed of each group, all with the same key.
        colours: colour of every transform.

    Returns:
        the figure, and a note on groups that it leaves out.
    """
    faces = looks(groups, colours)[:_MOST]
    with styled():
        figure = Figure(figsize=(_WIDTH, _HEIGHT * len(faces)))
        for place, (look, basis) in enumerate(zip(faces, bases, strict=False)):
            _draw(figure, 1 - (place + 1) / len(faces), 1 / len(faces), basis, look)
        left_out = len(groups) - len(faces)
        notes = [f"the learned basis: {left_out} of {len(groups)} groups are not drawn"]
        caption = (
            "Of the transform that moved farthest, first seed. Left: rows whose start has the "
            "given frequency, real part, each on a line of its own. Right: every row in "
            "frequency, |A F⁻¹|; the DFT is one bright point per row."
        )
        title = "What the transforms learned, beside their start"
        return [Drawing(bases[0].figure, title, caption, png_of(figure), wide=True)], notes * (
            left_out > 0
        )


def _draw(figure: Figure, bottom: float, height: float, basis: Basis, look: Look) -> None:
    """Draw one basis into a part of the figure, whose places are laid out by hand.

    A layout that is computed takes several times as long to draw, and all of these are alike.
    """
    low, high = bottom + 0.16 * height, bottom + 0.82 * height
    grid = figure.add_gridspec(
        1, 3, width_ratios=(1.4, 1, 1), wspace=0.2, left=0.055, right=0.925, bottom=low, top=high
    )
    rows, start, learned = (figure.add_subplot(grid[0, place]) for place in range(3))
    bar = figure.add_axes((0.935, low, 0.01, high - low))
    _rows(rows, basis, look)
    _spectrum(start, basis.start_spectrum, basis)
    drawn = _spectrum(learned, basis.spectrum, basis)
    is_dft = _is_dft(basis.start_spectrum)
    start.set_ylabel("row, by frequency at the start")
    start.set_title("all rows, start, the DFT" if is_dft else "all rows, start", fontsize=9.5)
    learned.set_title("all rows, learned", fontsize=9.5)
    scale = figure.colorbar(drawn, cax=bar)
    scale.set_label("dB of the largest at the start", fontsize=8)
    scale.outline.set_visible(False)
    title = clipped(f"{look.label}: {basis.title}", 110)
    figure.text(0.5, bottom + 0.93 * height, title, ha="center", fontsize=10.5, color=look.colour)


def _rows(axes: Axes, basis: Basis, look: Look) -> None:
    """Draw rows below each other, the start in grey."""
    both = np.concatenate([basis.rows.ravel(), basis.start_rows.ravel()])
    finite = np.abs(both[np.isfinite(both)])
    distance = 2.3 * (float(finite.max(initial=0.0)) or 1.0)
    places = -distance * np.arange(len(basis.rows))
    points = np.linspace(0.0, 1.0, basis.rows.shape[1], endpoint=False)
    for rows, colour, name in (
        (basis.start_rows, _START, "start"),
        (basis.rows, look.colour, "learned"),
    ):
        lines = axes.plot(points, (places[:, None] + rows).T, color=colour, lw=1.2)
        lines[0].set_label(name)
    axes.set_yticks(places, [f"{frequency:.0f}" for frequency in basis.shown])
    axes.set(xlabel="place, lengths of the axis", ylabel="frequency at the start (cycles)")
    axes.set_ylim(places[-1] - 0.55 * distance, 0.85 * distance)
    axes.legend(loc="upper left", ncols=2, borderaxespad=0.1)
    axes.set_title("some rows, real part", fontsize=9.5)


def _is_dft(spectrum: Float[np.ndarray, "n_rows n_frequencies"]) -> bool:
    """Tell whether each row has a single frequency of its own."""
    if min(spectrum.shape) < 2 or not np.isfinite(spectrum).all():
        return False
    second, largest = np.sort(spectrum, axis=1)[:, -2:].T
    peaks = spectrum.argmax(axis=1)
    return bool((second < 1e-3 * largest).all()) and len(set(peaks)) == len(peaks)


def _spectrum(
    axes: Axes, image: Float[np.ndarray, "n_rows n_frequencies"], basis: Basis
) -> AxesImage:
    largest = float(np.nanmax(basis.start_spectrum, initial=0.0)) or 1.0
    with np.errstate(divide="ignore"):
        decibels = 20 * np.log10(np.maximum(image / largest, 10 ** (1.5 * _FLOOR_DB / 20)))
    first, last = float(basis.frequencies[0]), float(basis.frequencies[-1])
    if not last > first:
        last = first + 1.0
    drawn = axes.imshow(
        decibels, aspect="auto", interpolation="nearest", cmap="viridis", vmin=_FLOOR_DB, vmax=0.0,
        origin="lower", extent=(first - 0.5, last + 0.5, -0.5, len(image) - 0.5),
    )  # fmt: skip
    axes.grid(visible=False)
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_xlabel("frequency (cycles)")
    return drawn
