"""The lines of an ISMRMRD file (Inati et al. 2017): which are measured, and where they belong."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Complex, Int

from data_scripts import hdf5
from data_scripts.finite import require_finite
from data_scripts.mri.ismrmrd_header import EncodingStep, Header, parse_header
from data_scripts.mri.kspace_findings import Finding
from data_scripts.mri.measured import NON_CARTESIAN, REPAIR

# bits of the acquisition flags, counted from one in the standard
_NOISE, _CALIBRATION, _CALIBRATION_AND_IMAGING, _REVERSE = 19, 20, 21, 22
_NOT_IMAGING = (_NOISE, _CALIBRATION, 23, 24, 26, 27, 28, 29, 30, 31)
# counters that say where in k-space, and in which image, a line belongs
_PLACE = ("slice", "contrast", "kspace_encode_step_1", "kspace_encode_step_2")
_COUNTERS = {*_PLACE, "phase", "set", "segment", "user", "repetition"}
_FIELDS = {"flags", "number_of_samples", "active_channels", "discard_pre", "discard_post"}
_FIELDS |= {"center_sample", "idx"}
_BLOCK = 512
_SMALL_GRID = 1 << 22  # samples that may be claimed whatever was measured
_REMEDY = "write the file again from the scanner's data, or leave it out"


@dataclass(frozen=True)
class Place:
    """Where a line belongs: which image, and which sample of its two phase encodings."""

    contrast: int
    y: int
    z: int


class IsmrmrdLines:
    """The lines of a file that is open, read a few at a time.

    The counters are centred by the header: line i lands at i - center + n // 2. Reversed readouts
    are turned; noise, navigator and similar lines are left out, and so is a calibration that is
    not embedded in the image; of several repetitions the first is taken.

    Args:
        path: the file, for errors.
        data: its acquisitions.
        header: sizes and counters.

    Attributes:
        header: sizes and counters.
        shape: (slices, contrasts, coils, x, y, z); x is the readout with its oversampling.
        findings: where the lines are not those that the header announces.

    Raises:
        ValueError: if lines do not fit the header, lines of several images (phases, sets, ..) or
            encodings would be mixed, or the header claims a grid that the lines cannot fill.
    """

    def __init__(self, path: Path, data: h5py.Dataset, header: Header) -> None:
        self.header = header
        self._path, self._data = path, data
        self._heads = _heads(path, data)
        imaging = _is_imaging(self._heads, header.embedded)
        if not imaging.any():
            raise ValueError(f"{path} holds no imaging lines; {_REMEDY}")
        self._numbers = np.flatnonzero(imaging)
        idx = self._heads["idx"]
        _refuse_other_encodings(path, self._heads[imaging])
        _refuse_mixtures(path, idx[imaging])
        self._n_coils = _n_coils(path, self._heads, imaging)
        n_x, n_y, n_z = header.encoded
        n_slices, n_contrasts = (int(idx[i][imaging].max()) + 1 for i in ("slice", "contrast"))
        self.shape = (n_slices, n_contrasts, self._n_coils, n_x, n_y, n_z)
        _refuse_claims(path, self._heads[imaging], (*self.shape[:2], n_y, n_z, self._n_coils, n_x))
        places = np.column_stack([idx[name][imaging] for name in _PLACE])
        _, which, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
        self._n_averages = counts[which.ravel()]
        self._positions: list[Int[np.ndarray, " lines"]] = []  # along y and along z
        self.findings: list[Finding] = []
        for i, step, n in (("1", header.step_1, n_y), ("2", header.step_2, n_z)):
            measured = idx[f"kspace_encode_step_{i}"][imaging].astype(int)
            self._positions.append(measured - step.center + n // 2)
            self.findings += _step_findings(i, step, measured)
        self._refuse_outside()

    def _refuse_outside(self) -> None:
        y, z = self._positions
        _, n_y, n_z = self.header.encoded
        outside = np.flatnonzero((y < 0) | (y >= n_y) | (z < 0) | (z >= n_z))
        if len(outside):
            first = outside[0]
            raise self._outside(int(self._numbers[first]), f"steps {y[first]}, {z[first]}")

    def _outside(self, number: int, where: str) -> ValueError:
        return ValueError(
            f"{self._path}: line {number} ({where}) is outside the encoded matrix "
            f"{self.header.encoded}; correct matrixSize or center in the header"
        )

    def noise(self) -> Complex[np.ndarray, "coils samples"]:
        """Read the noise lines; without samples where there are none."""
        is_noise = _has_flag(self._heads["flags"], _NOISE)
        numbers = np.flatnonzero(is_noise & (self._heads["active_channels"] == self._n_coils))
        lines = [line for _, line in self._read(numbers)]
        return np.concatenate(lines, 1) if lines else np.zeros((self._n_coils, 0), np.complex64)

    def imaging(
        self, of_slice: int | None = None
    ) -> Iterator[tuple[Complex[np.ndarray, "coils x"], Place, int]]:
        """Yield lines on the readout of the grid, their place, and of how many they are one there.

        Args:
            of_slice: leaves out the lines of other slices.
        """
        idx = self._heads["idx"]
        chosen = np.ones(len(self._numbers), bool)
        if of_slice is not None:
            chosen = idx["slice"][self._numbers] == of_slice
        places = zip(*(p[chosen].tolist() for p in self._positions), strict=True)
        counts = self._n_averages[chosen].tolist()
        n_x = self.header.encoded[0]
        lines = self._read(self._numbers[chosen])
        for (number, line), (y, z), n_averages in zip(lines, places, counts, strict=True):
            head = self._heads[number]
            line = line[:, int(head["discard_pre"]) : line.shape[1] - int(head["discard_post"])]
            centre = int(head["center_sample"]) - int(head["discard_pre"])
            if _has_flag(head["flags"], _REVERSE):
                line, centre = line[:, ::-1], line.shape[1] - 1 - centre
            start = n_x // 2 - centre
            if start < 0 or start + line.shape[1] > n_x:
                raise self._outside(number, f"{line.shape[1]} samples from {start}")
            placed = np.zeros((len(line), n_x), np.complex64)
            placed[:, start : start + line.shape[1]] = line
            yield placed, Place(int(idx["contrast"][number]), y, z), n_averages

    def _read(
        self, numbers: Int[np.ndarray, " lines"]
    ) -> Iterator[tuple[int, Complex[np.ndarray, "coils samples"]]]:
        """Yield some acquisitions, in order, as coils x samples, reading a block at a time."""
        for start in range(0, len(numbers), _BLOCK):
            block = numbers[start : start + _BLOCK]
            together = len(block) == block[-1] - block[0] + 1
            where = slice(block[0], block[-1] + 1) if together else block
            records = hdf5.read(self._data, (where,), _REMEDY)["data"]
            for number, values in zip(map(int, block), records, strict=True):
                head = self._heads[number]
                n_coils, n_samples = int(head["active_channels"]), int(head["number_of_samples"])
                if len(values) != 2 * n_coils * n_samples:
                    raise ValueError(
                        f"{self._path}: line {number} holds {len(values)} numbers, but its header "
                        f"says {n_coils} channels of {n_samples} complex samples; {_REMEDY}"
                    )
                line = np.ascontiguousarray(values, np.float32).view(np.complex64)
                line = line.reshape(n_coils, n_samples)
                require_finite(f"{self._path}: line {number}", line, ("coil", "sample"), REPAIR)
                yield number, line


@contextlib.contextmanager
def open_lines(path: Path, group: str = "dataset") -> Iterator[IsmrmrdLines]:
    """Open an ISMRMRD file.

    Raises:
        ValueError: if the layout is not ISMRMRD, the trajectory is not Cartesian, or as
            `IsmrmrdLines`.
    """
    with hdf5.open_file(path, _REMEDY) as file:
        folder = hdf5.group(file, group, "name the ISMRMRD group with group=NAME")
        xml = hdf5.array(folder, "xml", _REMEDY, kinds=hdf5.TEXTS)[()]
        data = hdf5.array(folder, "data", _REMEDY, kinds=hdf5.RECORDS)
        header = parse_header(np.asarray(xml).ravel()[0] if np.size(xml) else b"", path)
        if header.trajectory != "cartesian":
            raise ValueError(f"{path}: the trajectory is {header.trajectory}; {NON_CARTESIAN}")
        yield IsmrmrdLines(path, data, header)


def _heads(path: Path, data: h5py.Dataset) -> np.ndarray:
    """Return the headers of all acquisitions, all fields there."""
    if not {"head", "data"} <= set(data.dtype.names or ()) or data.ndim != 1 or not len(data):
        raise ValueError(f"{path} has no acquisitions (head and data of each); {_REMEDY}")
    heads = hdf5.read(data, ("head",), _REMEDY)
    counters = heads["idx"].dtype.names or () if "idx" in (heads.dtype.names or ()) else ()
    missing = (_FIELDS - set(heads.dtype.names or ())) | (_COUNTERS - set(counters))
    if missing:
        raise ValueError(f"{path}: the acquisition headers lack {sorted(missing)}; {_REMEDY}")
    return heads


def _n_coils(path: Path, heads: np.ndarray, imaging: Bool[np.ndarray, " lines"]) -> int:
    numbers = np.unique(heads["active_channels"][imaging])
    if len(numbers) > 1 or numbers[0] < 1:
        raise ValueError(
            f"{path}: imaging lines have {numbers.tolist()} active channels; all need the same "
            "number, at least one"
        )
    return int(numbers[0])


def _refuse_claims(path: Path, heads: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse a grid that the lines fill by less than a hundredth, before it takes the memory."""
    measured = int((heads["number_of_samples"].astype(int) * heads["active_channels"]).sum())
    if math.prod(shape) > 100 * measured + _SMALL_GRID:
        raise ValueError(
            f"{path}: header and counters ask for a grid of {shape} (slices, contrasts, y, z, "
            f"coils, x), but only {measured} samples were measured; correct matrixSize, or the "
            "slice and contrast counters"
        )


def _step_findings(name: str, step: EncodingStep, measured: np.ndarray) -> list[Finding]:
    """Compare the phase-encoding steps that were measured with those that the header announces.

    An ellipse, or acceleration of a calibrated scan, may miss a few at the ends: a sixteenth.
    """
    first, last = int(measured.min()), int(measured.max())
    if step.limits is None:
        return []
    announced = step.limits[1] - step.limits[0] + 1
    missing = max(first - step.limits[0], 0) + max(step.limits[1] - last, 0)
    if first >= step.limits[0] and last <= step.limits[1] and missing <= announced // 16:
        return []
    text = (
        f"the header announces the steps {step.limits[0]} to {step.limits[1]} of phase encoding "
        f"{name}, but {first} to {last} were measured: lines are missing, or encodingLimits are "
        "wrong; take the whole scan, or correct them"
    )
    return [Finding("header", text)]


def _is_imaging(heads: np.ndarray, embedded: bool) -> Bool[np.ndarray, " lines"]:
    flags = heads["flags"]
    left_out = np.zeros(len(heads), bool)
    for bit in _NOT_IMAGING:
        left_out |= _has_flag(flags, bit)
    left_out &= ~_has_flag(flags, _CALIBRATION_AND_IMAGING)
    if embedded:
        left_out &= ~_has_flag(flags, _CALIBRATION)
    return ~left_out & (heads["idx"]["repetition"] == 0)


def _refuse_other_encodings(path: Path, heads: np.ndarray) -> None:
    """Refuse lines that another encoding of the header than its first describes."""
    name = "encoding_space_ref"  # which files of old may lack
    found = np.unique(heads[name]) if name in (heads.dtype.names or ()) else np.zeros(1)
    if found.any():
        raise ValueError(
            f"{path}: its imaging lines belong to the encodings {found.tolist()} of the header, "
            "and those of the first, 0, alone are read; write the lines of each into a file of its "
            "own, with the header of that encoding and encoding_space_ref 0"
        )


def _refuse_mixtures(path: Path, idx: np.ndarray) -> None:
    """Refuse lines that differ in a counter by which they are not sorted.

    Phases and sets are images of their own. Segments and user counters may number parts of one
    image, but a line that was measured in two of them is no average.
    """
    for counter in ("phase", "set"):
        values = np.unique(idx[counter])
        if len(values) > 1:
            raise ValueError(_mixture(path, counter, f"the values {values.tolist()}"))
    n_places = _n_distinct(idx, _PLACE)
    for counter in ("segment", "user"):
        if _n_distinct(idx, (*_PLACE, counter)) > n_places:
            raise ValueError(_mixture(path, counter, "several values for the same line"))


def _mixture(path: Path, counter: str, found: str) -> str:
    return (
        f"{path}: its imaging lines have {found} of the counter {counter!r}, which would be mixed "
        "into one image; write the lines of each value into a file of its own, or keep one value"
    )


def _n_distinct(idx: np.ndarray, counters: Sequence[str]) -> int:
    return len(np.unique(np.column_stack([idx[name] for name in counters]), axis=0))


def _has_flag(flags: np.ndarray, bit: int) -> Bool[np.ndarray, "..."]:
    return (np.asarray(flags) >> np.uint64(bit - 1)) & np.uint64(1) == 1
