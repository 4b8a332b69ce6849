"""Scans as scanners and toolboxes leave them: the border between reading a format and using it.

Every reader gives a `MeasuredScan`, whose slices are read one at a time. A converter makes a
training scan of it and demands what a ground truth needs; a reconstruction takes it as it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex

from data_scripts.mri.centred_fft import ifft_centred, resize_centred
from data_scripts.mri.kspace_findings import Finding, line_findings
from data_scripts.mri.schema import ScanShape

REPAIR = "repair the file or leave it out"
CHUNK_BYTES = 1 << 28  # of a 3-D scan that are held in memory at a time

SliceReader = Callable[[int], Complex[np.ndarray, "echoes coils kx ky"]]
MapReader = Callable[[int], Complex[np.ndarray, "coils ky kz"]]
HeaderFindings = Callable[[Bool[np.ndarray, "kx ky"]], Sequence[Finding]]
# Where in (echo, coil, y, z) some readouts belong, the readouts (x first), of how many averages
# they are one.
Piece = tuple[tuple[Any, Any, Any, Any], Complex[np.ndarray, "x *rest"], int]

NON_CARTESIAN = (
    "only Cartesian samples are read here; grid or reconstruct the scan with a toolbox that has a "
    "non-uniform FFT: mrpro, deepinv, or sigpy (sigpy.nufft, sigpy.mri.app.SenseRecon with coord=)"
)


def no_findings() -> list[Finding]:
    """Return nothing, as readers do that see no more than the slices."""
    return []


@dataclass(frozen=True)
class MeasuredScan:
    """A Cartesian scan in a file.

    Attributes:
        path: the file.
        kind: its format, in words.
        shape: of the images; the grid may be smaller than that of `read`, whose oversampling is
            then to be removed in image space.
        read: k-space of a slice, centred, orthonormal, in the unit of the file, zero where nothing
            was measured.
        echo_names: one for each echo.
        hybrid_axes: "x" if the slices are positions along the readout of a 3-D scan.
        mask: what was sampled, where the file says so.
        masks: masks that came with the scan, to choose from, by name.
        maps: maps of a slice, where they came with the scan.
        beside: further files that are read with it.
        findings: what is wrong with the scan as a whole.
        of_header: what is wrong between a header and the samples that are not zero.
        details: what else is worth keeping.
    """

    path: Path
    kind: str
    shape: ScanShape
    read: SliceReader
    echo_names: tuple[str, ...]
    hybrid_axes: str = ""
    mask: Bool[np.ndarray, "ky kz"] | None = None
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    maps: MapReader | None = None
    beside: tuple[Path, ...] = ()
    findings: Callable[[], Sequence[Finding]] = no_findings
    of_header: HeaderFindings = lambda _: ()
    details: Mapping[str, Any] = field(default_factory=dict)


def echo_numbers(n_echoes: int) -> tuple[str, ...]:
    """Return names for echoes that have none."""
    return tuple(f"echo{i + 1}" for i in range(n_echoes))


def refuse_slabs(path: Path, n_slices: int, n_z: int) -> None:
    """Raise ValueError for several 3-D volumes in one file."""
    if n_slices > 1 and n_z > 1:
        raise ValueError(
            f"{path} has {n_slices} slabs of {n_z} partitions (z); convert one of them at a time "
            "(of BART's files `bart slice 13` takes one)"
        )


class HybridSlices:
    """A 3-D scan as slices along its readout, a chunk of them in memory at a time.

    The readout is transformed to image space while the file is read, from the beginning for every
    chunk: a scan of any size is read in `CHUNK_BYTES`, and one of up to that size once.

    Args:
        path: the file, for errors.
        shape: lengths of (echo, coil, x, y, z).
        n_keep: central pixels along the readout that are kept: without the oversampling.
        pieces: reads the scan from the beginning.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int, int, int],
        n_keep: int,
        pieces: Callable[[], Iterator[Piece]],
    ) -> None:
        self._path = path
        self._echoes, self._coils, self._n_x, *grid = shape
        self._grid = (grid[0], grid[1])
        self._n_keep = n_keep
        self._pieces = pieces
        one = 8 * self._echoes * self._coils * grid[0] * grid[1]
        self._n_chunk = min(max(1, CHUNK_BYTES // one), n_keep)
        self._start = 0
        self._chunk: np.ndarray | None = None
        self._findings: list[Finding] | None = None

    def __call__(self, index: int) -> Complex[np.ndarray, "echoes coils ky kz"]:
        """Return one slice.

        Raises:
            ValueError: if values are not finite: the transform would spread them over all slices.
        """
        if self._chunk is None or not self._start <= index < self._start + len(self._chunk):
            self._load(index - index % self._n_chunk)
        assert self._chunk is not None
        return self._chunk[index - self._start].copy()  # which does not keep the chunk alive

    def findings(self) -> list[Finding]:
        """Return what is wrong with the axes of the whole scan; errors as a slice.

        A single slice may lie before one coil, whose peak then looks like that of an axis of
        k-space.
        """
        if self._findings is None:
            self._load(0)
        assert self._findings is not None
        return self._findings

    def _load(self, start: int) -> None:
        """Read the chunk from slice `start`; the first time, look at the axes too."""
        self._chunk = None  # before the next one is made
        n = min(self._n_chunk, self._n_keep - start)
        chunk = np.zeros((n, self._echoes, self._coils, *self._grid), np.complex64)
        along_x, images = np.zeros(self._n_x), np.zeros(self._n_x)
        in_plane = np.zeros(self._grid)
        for where, lines, n_averages in self._pieces():
            _require_finite(self._path, where, lines)
            hybrid = ifft_centred(lines, (0,))
            if self._findings is None:
                power = n_averages * np.square(np.abs(lines), dtype=np.float64)
                rest = tuple(range(1, lines.ndim))
                along_x += power.sum(rest)
                images += n_averages * np.square(np.abs(hybrid), dtype=np.float64).sum(rest)
                in_plane[where[2:]] += power.sum(_axes_but(where))
            chunk[(slice(None), *where)] += resize_centred(hybrid, (self._n_keep,), (0,))[
                start : start + n
            ]
        if self._findings is None:
            self._findings = [
                *line_findings(along_x, images, "readout"),
                *line_findings(in_plane.sum(1), None, "first"),
                *line_findings(in_plane.sum(0), None, "second"),
            ]
        self._start, self._chunk = start, chunk


def _axes_but(where: tuple[Any, Any, Any, Any]) -> tuple[int, ...]:
    """Return the axes of a piece that are none of y and z: x, and echo and coil where kept."""
    return tuple(range(1 + sum(isinstance(index, slice) for index in where[:2])))


def _require_finite(
    path: Path, where: tuple[Any, Any, Any, Any], lines: Complex[np.ndarray, "x *rest"]
) -> None:
    """Raise ValueError for the first value of a piece that is not finite, placed in the scan."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(lines.sum()):  # NaN and infinity survive a sum
            return
    wrong = np.argwhere(~np.isfinite(lines))
    if not len(wrong):
        return
    kx, *rest = wrong[0].tolist()
    start = [(i.start or 0) + rest.pop(0) if isinstance(i, slice) else i for i in where]
    raise ValueError(
        f"{path}: kspace holds NaN or infinity, the first at echo {start[0]}, coil {start[1]}, "
        f"kx {kx}, ky {start[2]}, kz {start[3]}; {REPAIR}"
    )
