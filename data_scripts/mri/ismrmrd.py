"""Convert Cartesian ISMRMRD files that you have, for example of mridata.org (ismrmrd.md)."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from jaxtyping import Bool, Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts import hdf5
from data_scripts.command_line import run_recipe
from data_scripts.finite import require_finite
from data_scripts.mri.coil_maps import noise_covariance, whiten
from data_scripts.mri.convert import ConvertRecipe, write_volume
from data_scripts.mri.intake import REPAIR
from data_scripts.mri.ismrmrd_header import EncodingStep, Header, parse_header
from data_scripts.mri.kspace_findings import Finding
from data_scripts.mri.output import ScanJob

_HELP = (
    "give ISMRMRD files: python -m data_scripts.mri.ismrmrd train=[a.h5,b.h5] valid=[c.h5] "
    "test=[d.h5]. Open ones: http://mridata.org, data set 'Stanford Fullysampled 3D FSE Knees' "
    "(20 scans, 8 coils, about 1.7 GB each)"
)
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


@dataclass
class IsmrmrdRecipe(ConvertRecipe):
    """Fully sampled Cartesian scans, 3-D or 2-D multi-slice.

    Attributes:
        out: folder to make.
        train: files or folders.
        valid: files or folders.
        test: files or folders; empty: every second file of valid.
        max_scans: scans per split, 0 for all.
        group: HDF5 group of the measurement.
        whiten: decorrelate the coils with the noise scan, where the file has one.
        licence: licence of the data.
        maps: espirit or jsense.
        calibration: side of the calibration square for the maps, in samples.
        kernel: kernel width of the maps, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    HELP: ClassVar[str] = _HELP

    name: str = "ismrmrd"
    out: str = "data/ismrmrd"
    group: str = "dataset"
    whiten: bool = True
    licence: str = "not stated"

    @property
    def licence_of_files(self) -> str:
        """Licence of the data."""
        return self.licence

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y_c = F S_c x + n_c, measured",
            "units": "noise standard deviations where whitened, divided by each scan's scale",
            "source": "ISMRMRD files",
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Convert one file."""
        convert(self, job, details)


@dataclass(frozen=True)
class Measurement:
    """What an ISMRMRD file holds, sorted.

    Attributes:
        kspace: (slices, contrasts, coils, x, y, z) in scanner units, centred, zero where nothing
            was measured; x is the readout with its oversampling.
        noise: (coils, samples) of the noise scan, without samples when there was none.
        header: sizes and counters.
        findings: where the lines are not those that the header announces.
    """

    kspace: Complex[np.ndarray, "slices contrasts coils x y z"]
    noise: Complex[np.ndarray, "coils samples"]
    header: Header
    findings: list[Finding]


def convert(config: IsmrmrdRecipe, job: ScanJob, details: dict[str, Any]) -> None:
    """Convert one file: whiten, remove the readout oversampling, go to hybrid space if 3-D."""
    path = job.files[0]
    measured = read_measurement(path, config.group)
    kspace = measured.kspace
    whitened = config.whiten and measured.noise.size > 0
    if whitened:
        flat = kspace.reshape(*kspace.shape[:3], kspace.shape[3], -1)
        kspace = whiten(flat, noise_covariance(measured.noise)).reshape(kspace.shape)
    details = {**details, "whitened": whitened}
    n_keep = min(measured.header.reconstructed[0], kspace.shape[3])
    write_volume(
        config,
        job,
        details,
        kspace,
        n_keep,
        kind="ISMRMRD",
        findings=measured.findings,
    )


def read_measurement(path: Path, group: str = "dataset") -> Measurement:
    """Read an ISMRMRD file and sort its lines into a grid; averages are averaged.

    The counters are centred by the header: line i lands at i - center + n // 2. Reversed readouts
    are turned; noise, calibration, navigator and similar lines are left out; of several
    repetitions the first is taken.

    Raises:
        ValueError: if the layout is not ISMRMRD, the trajectory is not Cartesian, lines do not fit
            the header, lines of several images (phases, sets, ..) would be mixed, or the header
            claims a grid that the lines cannot fill.
    """
    with hdf5.open_file(path, _REMEDY) as file:
        folder = hdf5.group(file, group, "name the ISMRMRD group with group=NAME")
        xml = hdf5.array(folder, "xml", _REMEDY, kinds=hdf5.TEXTS)[()]
        data = hdf5.array(folder, "data", _REMEDY, kinds=hdf5.RECORDS)
        header = parse_header(np.asarray(xml).ravel()[0] if np.size(xml) else b"", path)
        if header.trajectory != "cartesian":
            raise ValueError(f"{path}: the trajectory is {header.trajectory}; only cartesian works")
        heads = _heads(path, data)
        imaging = _is_imaging(heads)
        if not imaging.any():
            raise ValueError(f"{path} holds no imaging lines; {_REMEDY}")
        idx = heads["idx"]
        _refuse_mixtures(path, idx[imaging])
        n_coils = _n_coils(path, heads, imaging)
        n_x, n_y, n_z = header.encoded
        shape = (
            int(idx["slice"][imaging].max()) + 1,
            int(idx["contrast"][imaging].max()) + 1,
            *(n_y, n_z, n_coils, n_x),
        )
        _refuse_claims(path, heads[imaging], shape)
        kspace = np.zeros(shape, np.complex64)
        counts = np.zeros(kspace.shape[:4], int)
        noise = []
        for number, line in _lines(path, data, heads):
            head = heads[number]
            require_finite(f"{path}: line {number}", line, ("coil", "sample"), REPAIR)
            if _has_flag(head["flags"], _NOISE) and len(line) == n_coils:
                noise.append(line)
            if not imaging[number]:
                continue
            y = int(idx["kspace_encode_step_1"][number]) - header.step_1.center + n_y // 2
            z = int(idx["kspace_encode_step_2"][number]) - header.step_2.center + n_z // 2
            line = line[:, int(head["discard_pre"]) : line.shape[1] - int(head["discard_post"])]
            centre = int(head["center_sample"]) - int(head["discard_pre"])
            if _has_flag(head["flags"], _REVERSE):
                line, centre = line[:, ::-1], line.shape[1] - 1 - centre
            start = n_x // 2 - centre
            if not (0 <= y < n_y and 0 <= z < n_z) or start < 0 or start + line.shape[1] > n_x:
                raise ValueError(
                    f"{path}: line {number} (steps {y}, {z}, {line.shape[1]} samples from {start}) "
                    f"is outside the encoded matrix {header.encoded}; correct matrixSize or center "
                    "in the header"
                )
            where = (int(idx["slice"][number]), int(idx["contrast"][number]), y, z)
            kspace[where][:, start : start + line.shape[1]] += line
            counts[where] += 1
    kspace /= np.maximum(counts, 1)[..., None, None]
    steps = (("1", header.step_1), ("2", header.step_2))
    measured = {i: idx[f"kspace_encode_step_{i}"][imaging] for i, _ in steps}
    return Measurement(
        kspace=kspace.transpose(0, 1, 4, 5, 2, 3),
        noise=np.concatenate(noise, 1) if noise else np.zeros((n_coils, 0), np.complex64),
        header=header,
        findings=[f for i, step in steps for f in _step_findings(i, step, measured[i])],
    )


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


def _is_imaging(heads: np.ndarray) -> Bool[np.ndarray, " lines"]:
    flags = heads["flags"]
    left_out = np.zeros(len(heads), bool)
    for bit in _NOT_IMAGING:
        left_out |= _has_flag(flags, bit)
    left_out &= ~_has_flag(flags, _CALIBRATION_AND_IMAGING)
    return ~left_out & (heads["idx"]["repetition"] == 0)


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


def _lines(
    path: Path, data: h5py.Dataset, heads: np.ndarray
) -> Iterator[tuple[int, Complex[np.ndarray, "coils samples"]]]:
    """Yield every acquisition as coils x samples, reading a block at a time."""
    for start in range(0, len(heads), _BLOCK):
        block = hdf5.read(data, (slice(start, start + _BLOCK),), _REMEDY)
        for offset, values in enumerate(block["data"]):
            number = start + offset
            n_coils, n_samples = (
                int(heads[number][name]) for name in ("active_channels", "number_of_samples")
            )
            if len(values) != 2 * n_coils * n_samples:
                raise ValueError(
                    f"{path}: line {number} holds {len(values)} numbers, but its header says "
                    f"{n_coils} channels of {n_samples} complex samples; {_REMEDY}"
                )
            line = np.ascontiguousarray(values, np.float32).view(np.complex64)
            yield number, line.reshape(n_coils, n_samples)


if __name__ == "__main__":
    sys.exit(run_recipe(IsmrmrdRecipe))
