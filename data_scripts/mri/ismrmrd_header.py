"""The XML header of ISMRMRD files, which fastMRI files carry too (Inati et al. 2017)."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"
_LONGEST = 1 << 20  # bytes; real headers have some 10 kB
_LARGEST = (1 << 16) - 1  # counters are unsigned integers of 16 bits
_REMEDY = "correct the header, or write the file again from the scanner's data"


@dataclass(frozen=True)
class EncodingStep:
    """Range of a phase-encoding counter; `center` is the number of the k-space centre.

    `limits` are the first and the last number, None where the header does not say.
    """

    center: int
    limits: tuple[int, int] | None


@dataclass(frozen=True)
class Header:
    """Sizes (x readout, y, z phase encodings) and counters of the first encoding.

    `embedded`: calibration lines of an accelerated scan are lines of its image.
    """

    trajectory: str
    encoded: tuple[int, int, int]
    reconstructed: tuple[int, int, int]
    step_1: EncodingStep
    step_2: EncodingStep
    embedded: bool = False


def parse_header(text: object, path: Path) -> Header:
    """Return the part of an ISMRMRD header that a Cartesian reconstruction needs.

    Document types are refused, and with them entities, which can expand without bound.

    Args:
        text: the XML, text or UTF-8.
        path: the file it came from, for errors.

    Raises:
        ValueError: if it is no ISMRMRD header, lacks a matrix size, or a number of it cannot be.
    """
    encoding = _first_encoding(text, path)

    def number(where: str, least: int, default: int | None = None) -> int:
        value = encoding.findtext("/".join(_NAMESPACE + tag for tag in where.split("/")))
        tag = f"<{where.replace('/', '><')}>"
        if value is None:
            if default is None:
                raise ValueError(f"{path}: the ISMRMRD header has no {tag}; {_REMEDY}")
            return default
        digits = value.strip()
        if not digits.isdecimal() or not least <= int(digits[:6]) <= _LARGEST:
            raise ValueError(
                f"{path}: {tag} of the ISMRMRD header is {value[:40]!r}, expected an integer from "
                f"{least} to {_LARGEST}; {_REMEDY}"
            )
        return int(digits[:6])

    def matrix(space: str) -> tuple[int, int, int]:
        x, y, z = (number(f"{space}/matrixSize/{axis}", 1) for axis in "xyz")
        return x, y, z

    def step(i: int, n: int) -> EncodingStep:
        where = f"encodingLimits/kspace_encoding_step_{i}"
        last = number(f"{where}/maximum", 0, -1)
        first = number(f"{where}/minimum", 0, 0)
        return EncodingStep(
            number(f"{where}/center", 0, n // 2), (first, last) if last >= 0 else None
        )

    encoded = matrix("encodedSpace")
    mode = encoding.findtext(f"{_NAMESPACE}parallelImaging/{_NAMESPACE}calibrationMode")
    trajectory = encoding.findtext(f"{_NAMESPACE}trajectory") or "cartesian"
    return Header(
        trajectory.strip().lower(),
        encoded,
        matrix("reconSpace"),
        step(1, encoded[1]),
        step(2, encoded[2]),
        embedded=mode is not None and mode.strip().lower() == "embedded",
    )


def _first_encoding(text: object, path: Path) -> ElementTree.Element:
    if not isinstance(text, str | bytes) or len(text) > _LONGEST:
        raise ValueError(
            f"{path}: the ISMRMRD header is no text of at most {_LONGEST} bytes; {_REMEDY}"
        )
    try:
        # as text, so that no declared encoding can hide a document type
        decoded = text.decode() if isinstance(text, bytes) else text
        if "<!DOCTYPE" in decoded or "<!ENTITY" in decoded:
            raise ValueError(
                f"{path}: the ISMRMRD header declares a document type, whose entities can expand "
                "without bound; remove <!DOCTYPE ..> from it"
            )
        encoding = ElementTree.fromstring(decoded).find(f"{_NAMESPACE}encoding")
    except (ElementTree.ParseError, UnicodeError) as error:
        raise ValueError(
            f"{path}: the ISMRMRD header is not XML in UTF-8 ({error}); {_REMEDY}"
        ) from error
    if encoding is None:
        raise ValueError(f"{path}: the ISMRMRD header has no <encoding>; {_REMEDY}")
    return encoding
