"""Images of slices, and those that are finished: a reconstruction that dies loses none of them."""

import contextlib
import json
import logging
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex

from monarch_core.runs.files import atomic_write, write_failure, write_text
from monarch_core.runs.lock import occupied

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SliceImage:
    """The image of a slice, in the unit of its k-space, and what it was made with.

    Attributes:
        images: one for each set of maps.
        maps: coil sensitivities.
        mask: what was sampled.
    """

    images: Complex[np.ndarray, "sets echoes y z"]
    maps: Complex[np.ndarray, "sets coils y z"]
    mask: Bool[np.ndarray, "echoes ky kz"]

    @property
    def image(self) -> Complex[np.ndarray, "echoes y z"]:
        """The image; of several sets the root of the sum of their squares."""
        if len(self.images) == 1:
            return self.images[0]
        return np.sqrt((np.abs(self.images) ** 2).sum(0)).astype(np.complex64)


class FinishedSlices:
    """Slices in files of their own, each of which is there as a whole or not at all.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __len__(self) -> int:
        """Return how many there are."""
        return len(list(self._folder.glob("*.npz")))

    def read(self, index: int) -> SliceImage | None:
        """Return a slice; None where it is not finished, or its file was damaged since."""
        path = self._path(index)
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return SliceImage(file["images"], file["maps"], file["mask"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s): its slice is made again", path, error)
            return None

    def write(self, index: int, image: SliceImage) -> None:
        """Keep a slice.

        Raises:
            OSError: the disk is full or not writable.
        """
        atomic_write(self._path(index), lambda file: np.savez(file, **asdict(image)))

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.npz"


@contextlib.contextmanager
def finished_slices(out: Path, made_of: Mapping[str, Any]) -> Iterator[FinishedSlices]:
    """Open the slices of an image that an attempt before this one has finished.

    They are in `.NAME.slices` beside the image, until the block ends, or fails for a reason that
    the next attempt cannot have without a change of what the slices are made of.

    Args:
        out: file of the image.
        made_of: what a slice depends on; those of anything else are removed.

    Raises:
        ValueError: another process makes the same image.
        OSError: the folder cannot be made.
    """
    folder = out.with_name(f".{out.name}.slices")
    identity = json.dumps(made_of, sort_keys=True, default=str)
    told = folder / "made_of.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(write_failure(folder, error)) from error
    with occupied(folder):
        if not told.is_file() or told.read_text(encoding="utf-8") != identity:
            for path in folder.glob("*.npz"):
                path.unlink()
            write_text(told, identity)
        try:
            yield FinishedSlices(folder)
        except ValueError:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)
