"""The XML header of ISMRMRD files, which fastMRI files carry too (Inati et al. 2017)."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


@dataclass(frozen=True)
class EncodingStep:
    """Range of a phase-encoding counter; `center` is the number of the k-space centre."""

    maximum: int
    center: int


@dataclass(frozen=True)
class Header:
    """Sizes (x readout, y, z phase encodings) and counters of the first encoding."""

    trajectory: str
    encoded: tuple[int, int, int]
    reconstructed: tuple[int, int, int]
    step_1: EncodingStep
    step_2: EncodingStep


def parse_header(text: str | bytes, path: Path) -> Header:
    """Return the part of an ISMRMRD header that a Cartesian reconstruction needs.

    Args:
        text: the XML.
        path: the file it came from, for errors.

    Raises:
        ValueError: if it is no ISMRMRD header or lacks a matrix size.
    """
    try:
        encoding = ElementTree.fromstring(text).find(f"{_NAMESPACE}encoding")
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: the ISMRMRD header is not XML ({error})") from error
    if encoding is None:
        raise ValueError(f"{path}: the ISMRMRD header has no <encoding>")

    def number(where: str, default: int | None = None) -> int:
        tags = "/".join(_NAMESPACE + tag for tag in where.split("/"))
        value = encoding.findtext(tags)
        if value is None and default is None:
            raise ValueError(f"{path}: the ISMRMRD header has no <{where.replace('/', '><')}>")
        return int(value) if value is not None else int(default or 0)

    def matrix(space: str) -> tuple[int, int, int]:
        x, y, z = (number(f"{space}/matrixSize/{axis}") for axis in "xyz")
        return x, y, z

    encoded = matrix("encodedSpace")
    steps = [
        EncodingStep(
            number(f"encodingLimits/kspace_encoding_step_{i}/maximum", n - 1),
            number(f"encodingLimits/kspace_encoding_step_{i}/center", n // 2),
        )
        for i, n in ((1, encoded[1]), (2, encoded[2]))
    ]
    trajectory = encoding.findtext(f"{_NAMESPACE}trajectory") or "cartesian"
    return Header(trajectory.lower(), encoded, matrix("reconSpace"), steps[0], steps[1])
