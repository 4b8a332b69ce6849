"""What `evaluate` leaves behind for the report: curves, fields, images and tables of one run.

A run writes one `artifacts.npz`: the arrays as they are, and one JSON text that says what they are.
Nothing is pickled, so a file from a stranger can be opened safely. The classes know no task; the
`figure` key is what the report uses to lay the same thing from several runs on one pair of axes.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from monarch_core.runs.files import atomic_write
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.untrusted import check_plain_file

_METADATA = "metadata"
_FORMAT = 1

_MOST_BYTES = 1 << 30
# What numpy, zipfile and json raise where a file is not what it says it is.
_DAMAGE = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, ArithmeticError),
    *(MemoryError, RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)

Scale = Literal["linear", "log"]
FieldStyle = Literal["diverging", "gray"]


@dataclass(frozen=True)
class Curve:
    """One line y(x) on the axes named by `figure`.

    The report draws the mean over seeds, one line per transform, on the same axes.

    Attributes:
        figure: key of the axes; equal keys of several runs share one pair of axes.
        title: title of the axes.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        x: abscissae, in the unit of `x_label`.
        y: ordinates, in the unit of `y_label`; NaN leaves a gap.
        line: name of this line when one run puts several on the same axes.
        x_scale: "linear" or "log".
        y_scale: "linear" or "log".
        shared: the line is the same in every run (the truth), so it is drawn once.

    Raises:
        ValueError: the key is empty, a scale is unknown, or x and y are not equally long vectors.
    """

    figure: str
    title: str
    x_label: str
    y_label: str
    x: Float[np.ndarray, "n_points"]
    y: Float[np.ndarray, "n_points"]
    line: str = ""
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    shared: bool = False

    def __post_init__(self) -> None:
        _check_key(self)
        for name in ("x", "y"):
            object.__setattr__(self, name, _as_floats(self, name, getattr(self, name), n_axes=1))
        if self.x.shape != self.y.shape or self.x.size == 0:
            raise ValueError(
                f"Curve {self.figure!r}: x has {self.x.size} points and y has {self.y.size}; "
                "give two vectors of the same length, at least 1"
            )
        for name in ("x_scale", "y_scale"):
            _check_choice(self, name, get_args(Scale))


@dataclass(frozen=True)
class Comparison:
    """A true field beside a predicted one.

    The report draws the truth once, the prediction and the error of every run, all fields on one
    colour scale and all errors on another.

    Attributes:
        figure: key of the comparison; equal keys of several runs are drawn side by side.
        title: what is compared.
        unit: unit of the fields, empty if dimensionless.
        truth: true field, in `unit`; real (store the magnitude of a complex one).
        prediction: predicted field, in `unit`.
        extras: further fields of the same shape and unit, drawn before the truth (the input, say).
        style: "diverging" for signed fields, "gray" for images.
        zoom: (row start, row stop, column start, column stop) of a magnified inset, or None.

    Raises:
        ValueError: the key is empty, shapes differ, or the zoom window is outside of the field.
    """

    figure: str
    title: str
    unit: str
    truth: Float[np.ndarray, "height width"]
    prediction: Float[np.ndarray, "height width"]
    extras: Mapping[str, Float[np.ndarray, "height width"]] = field(default_factory=dict)
    style: FieldStyle = "diverging"
    zoom: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        _check_key(self)
        for name in ("truth", "prediction"):
            object.__setattr__(self, name, _as_floats(self, name, getattr(self, name), n_axes=2))
        extras = {key: _as_floats(self, key, value, n_axes=2) for key, value in self.extras.items()}
        object.__setattr__(self, "extras", extras)
        for name, value in {"prediction": self.prediction, **extras}.items():
            if value.shape != self.truth.shape:
                raise ValueError(
                    f"Comparison {self.figure!r}: {name} has shape {value.shape} and the truth "
                    f"{self.truth.shape}; bring both to one grid before saving"
                )
        _check_choice(self, "style", get_args(FieldStyle))
        if self.zoom is not None:
            object.__setattr__(self, "zoom", tuple(int(edge) for edge in self.zoom))
            height, width = self.truth.shape
            top, bottom, left, right = self.zoom
            if not (0 <= top < bottom <= height and 0 <= left < right <= width):
                raise ValueError(
                    f"Comparison {self.figure!r}: zoom {self.zoom} is not a window of a field of "
                    f"shape {self.truth.shape}; give (row start, row stop, column start, "
                    "column stop)"
                )


@dataclass(frozen=True)
class Picture:
    """One image of one run, such as the magnitude of a learned matrix.

    Attributes:
        figure: key of the picture; equal keys of several runs share a row and a colour scale.
        title: what is shown.
        image: the image, in `unit`; real.
        x_label: what the columns are.
        y_label: what the rows are.
        unit: unit of the values, empty if dimensionless.

    Raises:
        ValueError: the key is empty or the image is not a real matrix.
    """

    figure: str
    title: str
    image: Float[np.ndarray, "height width"]
    x_label: str = ""
    y_label: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        _check_key(self)
        object.__setattr__(self, "image", _as_floats(self, "image", self.image, n_axes=2))


@dataclass(frozen=True)
class Basis:
    """A learned transform beside the one that it started from.

    The report draws a few rows of both over each other, and all rows of both in frequency.

    Attributes:
        figure: key of the basis; equal keys of several runs are drawn below each other.
        title: which transform it is.
        shown: frequency of each row that is drawn, at the start.
        rows: real part of those rows, learned.
        start_rows: the same of the start.
        frequencies: cycles over the points of a row, one per column of the spectra.
        spectrum: |A F^H| of all rows with the unitary DFT F, learned; dimensionless.
        start_spectrum: the same of the start.

    Raises:
        ValueError: the key is empty, or shapes do not fit each other.
    """

    figure: str
    title: str
    shown: Float[np.ndarray, "n_shown"]
    rows: Float[np.ndarray, "n_shown n_points"]
    start_rows: Float[np.ndarray, "n_shown n_points"]
    frequencies: Float[np.ndarray, "n_frequencies"]
    spectrum: Float[np.ndarray, "n_rows n_frequencies"]
    start_spectrum: Float[np.ndarray, "n_rows n_frequencies"]

    def __post_init__(self) -> None:
        _check_key(self)
        for names, n_axes in (
            (("shown", "frequencies"), 1),
            (("rows", "start_rows", "spectrum", "start_spectrum"), 2),
        ):
            for name in names:
                value = _as_floats(self, name, getattr(self, name), n_axes=n_axes)
                object.__setattr__(self, name, value)
        n_rows, n_frequencies = self.spectrum.shape
        fitting = {
            "start_rows": self.rows.shape,
            "shown": self.rows.shape[:1],
            "start_spectrum": (n_rows, n_frequencies),
            "frequencies": (n_frequencies,),
        }
        for name, shape in fitting.items():
            if getattr(self, name).shape != shape or not getattr(self, name).size:
                raise ValueError(
                    f"Basis {self.figure!r}: {name} has shape {getattr(self, name).shape}; "
                    f"give one of shape {shape} that is not empty"
                )


@dataclass(frozen=True)
class Table:
    """A small table of one run, such as the metrics of every scan.

    The report puts the rows of all runs under each other; numbers in rows whose words agree become
    mean and standard error over seeds.

    Attributes:
        figure: key of the table; equal keys of several runs are joined.
        title: what is listed.
        columns: column names, with units.
        rows: one list per row; numbers stay numbers.

    Raises:
        ValueError: the key is empty or a row is not as long as `columns`.
    """

    figure: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]

    def __post_init__(self) -> None:
        _check_key(self)
        object.__setattr__(self, "columns", list(self.columns))
        object.__setattr__(self, "rows", [[_plain(cell) for cell in row] for row in self.rows])
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"Table {self.figure!r}: a row has {len(row)} cells and there are "
                    f"{len(self.columns)} columns; give one cell per column: {row}"
                )


Artifact = Curve | Comparison | Picture | Basis | Table
_KINDS: dict[str, type[Artifact]] = {kind.__name__: kind for kind in get_args(Artifact)}


def save_artifacts(run_dir: Path, artifacts: Sequence[Artifact]) -> Path:
    """Write `artifacts.npz` into a run folder and return its path.

    The file appears whole or not at all.

    Args:
        run_dir: an existing run folder.
        artifacts: what to keep; the order is the order in the report.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    entries = []
    for index, artifact in enumerate(artifacts):
        entry: dict[str, Any] = {"kind": type(artifact).__name__}
        for item in fields(artifact):
            value = getattr(artifact, item.name)
            if isinstance(value, np.ndarray):
                arrays[f"{index}.{item.name}"] = value
            elif item.name == "extras":
                entry["extras"] = list(value)
                for position, extra in enumerate(value.values()):
                    arrays[f"{index}.extras.{position}"] = extra
            else:
                entry[item.name] = value
        entries.append(entry)
    text = json.dumps({"format": _FORMAT, "artifacts": entries})
    arrays[_METADATA] = np.frombuffer(text.encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # keys never shadow options
    path = RunFolder(run_dir).artifacts
    atomic_write(path, lambda file: file.write(buffer.getbuffer()))
    return path


def load_artifacts(run_dir: Path) -> list[Artifact]:
    """Read `artifacts.npz` of a run folder, in the order in which it was saved.

    Raises:
        FileNotFoundError: the run left no artifacts.
        ValueError: it is no plain file, damaged, or of another version of this package.
    """
    path = RunFolder(run_dir).artifacts
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; evaluate the run again to write it")
    check_plain_file(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            n_bytes = sum(member.file_size for member in arrays.zip.infolist())
            if n_bytes > _MOST_BYTES:
                raise ValueError(f"{n_bytes} bytes unpacked, more than {_MOST_BYTES}")
            metadata = json.loads(arrays[_METADATA].tobytes())
            if metadata["format"] != _FORMAT:
                raise ValueError(f"format {metadata['format']}, this version reads {_FORMAT}")
            return [_restore(i, entry, arrays) for i, entry in enumerate(metadata["artifacts"])]
    except _DAMAGE as error:
        raise ValueError(
            f"{path} cannot be read ({error}); evaluate the run again to write it anew"
        ) from error


def _restore(index: int, entry: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Artifact:
    values = dict(entry)
    kind = _KINDS[values.pop("kind")]
    names = values.pop("extras", None)
    if names is not None:
        values["extras"] = {name: arrays[f"{index}.extras.{i}"] for i, name in enumerate(names)}
    if values.get("zoom") is not None:
        values["zoom"] = tuple(values["zoom"])
    for item in fields(kind):
        if f"{index}.{item.name}" in arrays:
            values[item.name] = arrays[f"{index}.{item.name}"]
        if item.type in (str, bool) and not isinstance(
            values.get(item.name, item.default), item.type
        ):
            raise TypeError(f"{item.name} is {values[item.name]!r}")
    if not all(isinstance(word, str) for word in (*(names or ()), *values.get("columns", ()))):
        raise TypeError("a name is no text")
    return kind(**values)


def _check_key(artifact: Artifact) -> None:
    if not artifact.figure.strip():
        raise ValueError(
            f"{type(artifact).__name__}.figure is empty; name what is shown, for example "
            "'error_over_time'"
        )


def _check_choice(artifact: Artifact, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(artifact, name)
    if value not in choices:
        raise ValueError(
            f"{type(artifact).__name__} {artifact.figure!r}: {name} is {value!r}; "
            f"use one of {', '.join(choices)}"
        )


def _as_floats(artifact: Artifact, name: str, value: object, *, n_axes: int) -> np.ndarray:
    array = np.asarray(value)
    label = f"{type(artifact).__name__} {artifact.figure!r}: {name}"
    if array.ndim != n_axes:
        raise ValueError(f"{label} has shape {array.shape}; give an array with {n_axes} axes")
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{label} has dtype {array.dtype}; give real numbers (the magnitude of complex ones)"
        )
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _plain(cell: Any) -> str | float:
    value = cell.item() if hasattr(cell, "item") else cell
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else str(value)
