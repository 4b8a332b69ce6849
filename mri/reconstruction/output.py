"""Files of a reconstructed scan, written slice by slice: HDF5, NumPy, NIfTI, PNG.

A file gets its name when it is complete: a run that dies leaves what was there before.
"""

import contextlib
import glob
import gzip
import json
import math
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data_scripts.mri.output import remove_unfinished
from data_scripts.mri.schema import ScanShape
from data_scripts.new_hdf5 import new_hdf5
from data_scripts.replaced import replaced_source
from monarch_core.runs.files import write_failure
from mri.reconstruction.slices import SliceImage

_SHOWN = 16  # slices of a picture
_NIFTI_OFFSET = 352  # bytes of a header without extensions


@dataclass(frozen=True)
class ImageInfo:
    """What a file says of its image.

    Attributes:
        shape: of the scan.
        n_sets: sets of maps.
        attributes: words and numbers by name: where the image came from, how it was made.
    """

    shape: ScanShape
    n_sets: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)


class ImageFile(ABC):
    """A file that is being written; `write` takes the slices in order.

    Args:
        paths: its temporary name, and that of a file beside it where there is one.
        info: what it says of the image.
        stack: closes what is opened.
    """

    def __init__(self, paths: Sequence[Path], info: ImageInfo, stack: ExitStack) -> None:
        self.paths = paths
        self.info = info
        self.open(stack)

    @abstractmethod
    def open(self, stack: ExitStack) -> None:
        """Make the files, which are closed with the stack."""

    @abstractmethod
    def write(self, index: int, image: SliceImage) -> None:
        """Add a slice."""

    def close(self) -> None:  # noqa: B027  # not all have something left to do
        """Write what is left, after the last slice."""


class _Hdf5File(ImageFile):
    """Image, maps and mask of every slice, and how they were made."""

    def open(self, stack: ExitStack) -> None:
        """Make the arrays and the attributes."""
        info, shape = self.info, self.info.shape
        s, e, c, grid = shape.n_slices, shape.n_echoes, shape.n_coils, shape.grid
        sets = (info.n_sets,) if info.n_sets > 1 else ()
        self._file = stack.enter_context(new_hdf5(self.paths[0]))
        shapes = {"image": (s, e, *grid), "maps": (s, *sets, c, *grid)}
        if sets:
            shapes["image_sets"] = (s, *sets, e, *grid)
        for name, sizes in shapes.items():
            chunk = (*[1] * (len(sizes) - 2), *grid)
            self._file.create_dataset(name, sizes, np.complex64, chunks=chunk, fletcher32=True)
        self._file.create_dataset(
            "mask", (s, e, *grid), bool, chunks=(1, 1, *grid), compression="gzip"
        )
        for name, value in info.attributes.items():
            plain = isinstance(value, str | int | float | bool)
            self._file.attrs[name] = value if plain else json.dumps(value)

    def write(self, index: int, image: SliceImage) -> None:
        """Add a slice."""
        several = self.info.n_sets > 1
        self._file["image"][index] = image.image
        self._file["maps"][index] = image.maps if several else image.maps[0]
        self._file["mask"][index] = image.mask
        if several:
            self._file["image_sets"][index] = image.images


class _NpyFile(ImageFile):
    """The image alone, complex64 (slices, echoes, y, z)."""

    def open(self, stack: ExitStack) -> None:
        """Write the header."""
        info = self.info
        self._file = stack.enter_context(self.paths[0].open("wb"))
        shape = (info.shape.n_slices, info.shape.n_echoes, *info.shape.grid)
        head = {"descr": "<c8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, head)

    def write(self, index: int, image: SliceImage) -> None:
        """Add a slice."""
        self._file.write(np.ascontiguousarray(image.image, "<c8").tobytes())


class _NiftiFile(ImageFile):
    """Magnitude and phase (radians) in files of their own, axes (z, y, slices, echoes).

    The rows of an image run along the second axis, as `data_scripts.mri.volumes` reads them.
    Where the scan lay in space is not known.
    """

    def open(self, stack: ExitStack) -> None:
        """Write the headers."""
        self._files = [stack.enter_context(path.open("wb")) for path in self.paths]
        for file in self._files:
            self._write_head(file)

    def _write_head(self, file: BinaryIO) -> None:
        import nibabel

        n_y, n_z = self.info.shape.grid
        head = nibabel.Nifti1Header()
        head.set_data_shape((n_z, n_y, self.info.shape.n_slices, self.info.shape.n_echoes))
        head.set_data_dtype(np.float32)
        head["vox_offset"] = _NIFTI_OFFSET
        words = f"{self.info.attributes.get('made_by', '')}"[:79]
        head["descrip"] = words.encode("ascii", "replace")
        file.write(head.binaryblock.ljust(_NIFTI_OFFSET, b"\0"))

    def write(self, index: int, image: SliceImage) -> None:
        """Add a slice."""
        size = 4 * math.prod(self.info.shape.grid)
        for echo, one in enumerate(image.image):
            place = _NIFTI_OFFSET + size * (echo * self.info.shape.n_slices + index)
            for file, values in zip(self._files, (np.abs(one), np.angle(one)), strict=True):
                file.seek(place)
                file.write(np.ascontiguousarray(values, "<f4").tobytes())


class _PngFile(ImageFile):
    """Magnitudes of up to 16 slices of the first echo; white is their 99.8 % quantile."""

    def open(self, stack: ExitStack) -> None:
        """Choose the slices."""
        n = self.info.shape.n_slices
        self._shown = set(np.linspace(0, n - 1, min(n, _SHOWN)).round().astype(int).tolist())
        self._images: list[np.ndarray] = []

    def write(self, index: int, image: SliceImage) -> None:
        """Keep a slice if it is shown."""
        if index in self._shown:
            self._images.append(np.abs(image.image[0]))

    def close(self) -> None:
        """Draw the picture."""
        from matplotlib.image import imsave

        n_columns = math.ceil(math.sqrt(len(self._images)))
        empty = np.zeros_like(self._images[0])
        rows = [self._images[i : i + n_columns] for i in range(0, len(self._images), n_columns)]
        rows[-1] += [empty] * (n_columns - len(rows[-1]))
        white = max(float(np.quantile(np.stack(self._images), 0.998)), 1e-30)
        with self.paths[0].open("wb") as file:
            imsave(file, np.block(rows), cmap="gray", vmin=0, vmax=white, format="png")


_KINDS: dict[str, type[ImageFile]] = {
    ".h5": _Hdf5File,
    ".hdf5": _Hdf5File,
    ".npy": _NpyFile,
    ".nii": _NiftiFile,
    ".png": _PngFile,
}
ENDINGS = (".nii.gz", *_KINDS)


def check_output(path: Path, sources: Sequence[Path] = ()) -> None:
    """Check that an image can be written there, before it is made.

    Args:
        path: where to.
        sources: files that it is made of, where there are such.

    Raises:
        ValueError: if the ending is none that is written, there is a folder of that name, or the
            image would take the place of one of its sources.
    """
    if not path.name.endswith(ENDINGS) or path.name in ENDINGS:
        raise ValueError(
            f"out={path} has none of the endings {', '.join(ENDINGS)}, which say what is written"
        )
    if path.is_dir():
        raise ValueError(f"out={path} is a folder; give the name of a file")
    replaced = replaced_source(_files_of(path), sources)
    if replaced is not None:
        raise ValueError(
            f"out={path} would put {replaced[0]} in the place of {replaced[1]}, which the image is "
            "made of; give another name"
        )


@contextlib.contextmanager
def open_output(path: Path, info: ImageInfo) -> Iterator[ImageFile]:
    """Open a file for an image; it gets its name when the block ends without an error.

    Args:
        path: its ending decides what is written; a NIfTI file gets one beside it with the phase.
        info: what it says of the image.

    Raises:
        ValueError: as `check_output`.
        OSError: the disk is full or not writable; what was there before is as it was.
    """
    check_output(path)
    ending = next(e for e in ENDINGS if path.name.endswith(e))
    kind = _KINDS[ending.removesuffix(".gz")]
    finished = _files_of(path)
    unfinished = [p.with_name(f".{p.name}.{os.getpid()}.part") for p in finished]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for place in finished:
            remove_unfinished(place.parent, f"{glob.escape(place.name)}.*")
        with ExitStack() as stack:
            file = kind(unfinished, info, stack)
            yield file
            file.close()
        if ending.endswith(".gz"):
            for temporary in unfinished:
                _compress(temporary)
        for temporary, place in zip(unfinished, finished, strict=True):
            temporary.replace(place)
    except OSError as error:
        raise OSError(write_failure(path, error)) from error
    finally:
        for temporary in unfinished:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _files_of(path: Path) -> list[Path]:
    """Return the files of an image: `a.nii.gz` has its phase in `a_phase.nii.gz`."""
    ending = next(e for e in ENDINGS if path.name.endswith(e))
    if _KINDS[ending.removesuffix(".gz")] is not _NiftiFile:
        return [path]
    return [path, path.with_name(f"{path.name.removesuffix(ending)}_phase{ending}")]


def _compress(path: Path) -> None:
    """Put a compressed file in the place of a file."""
    beside = path.with_name(f"{path.name.removesuffix('.part')}.gz.part")
    try:
        with path.open("rb") as source, gzip.open(beside, "wb", compresslevel=4) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
