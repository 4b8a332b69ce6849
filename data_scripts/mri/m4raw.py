"""Download M4Raw (0.3 T brains, open) from Zenodo, or convert files that you have (m4raw.md)."""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.archive import unpack
from data_scripts.command_line import run_recipe
from data_scripts.file_names import plain_name
from data_scripts.mri.download import DOWNLOADS, Source, download
from data_scripts.mri.fastmri import FastMriRecipe
from data_scripts.mri.output import ScanJob
from data_scripts.resumable import progress_console

LICENCE = "CC-BY-4.0 (as stated by the publication; the record says what holds)"


@dataclass
class M4RawRecipe(FastMriRecipe):
    """M4Raw volumes: one scan per contrast and repetition, split by subject.

    Attributes:
        out: folder to make.
        train: folders or files that you have; empty: downloaded from Zenodo.
        valid: folders or files that you have; empty: downloaded from Zenodo.
        test: folders or files; empty: every second subject of valid.
        archives: archives of the record to download, as the splits that they are for, by part of
            their names.
        record: number of the Zenodo record (8056074 is version 1.6).
        mirror: folder or URL used in place of Zenodo: the archives and `record.json`, the answer
            of https://zenodo.org/api/records/NUMBER, from which the checksums are taken.
        max_scans: volumes per split, 0 for all.
        height: pixels along the readout; 0: as acquired.
        width: pixels along the phase encoding; 0: as acquired.
        maps: espirit or jsense.
        calibration: side of the calibration square for the maps, in samples.
        kernel: kernel width of the maps, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        partial_fourier: pocs to complete the targets of partial Fourier scans, or none.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    HELP: ClassVar[str] = "no M4Raw volumes were found"
    SOURCE: ClassVar[str] = (
        "M4Raw (Lyu et al. 2023, doi:10.1038/s41597-023-02181-4), 0.3 T, 4 coils"
    )

    name: str = "m4raw"
    out: str = "data/m4raw"
    archives: dict[str, str] = field(
        default_factory=lambda: {"train": "multicoil_train", "valid": "multicoil_val"}
    )
    record: int = 8056074
    mirror: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.record < 1:
            raise ValueError(f"record must be the number of a Zenodo record, got {self.record}")
        if set(self.archives) != {"train", "valid"}:
            raise ValueError(
                f"archives must name one archive for train and one for valid, got {self.archives}"
            )

    def subject_of(self, path: Path) -> str:
        """Return the number in front of the contrast: 2022061003_T101.h5 is subject 2022061003."""
        return path.stem.split("_")[0]

    @property
    def licence_of_files(self) -> str:
        """Licence of files that you have."""
        return LICENCE

    def jobs(self) -> list[ScanJob]:
        """Return a scan for each volume, having downloaded them if no files are given."""
        if self.train or self.valid:
            return super().jobs()
        places, licence = _download(self)
        return self.jobs_of({**places, "test": self.test}, licence)


def _download(config: M4RawRecipe) -> tuple[dict[str, list[str]], str]:
    """Fetch and unpack the archives; return the volumes of each split, and their licence."""
    address, record = _record(config)
    sources = _sources(address, record)
    folder, places = DOWNLOADS / f"m4raw_{config.record}", {}
    for split, part in config.archives.items():
        source = next((s for s in sources if part in s.file), None)
        if source is None:
            names = [s.file for s in sources]
            raise ValueError(
                f"{address} has no archive named like {part!r}, only {names}; say with "
                "archives={train:PART,valid:PART} which are meant"
            )
        progress_console().print(
            f"{source.url}: {source.bytes / 1e9:.1f} GB, licence {source.licence}, to {folder}"
        )
        archive = download(source, folder / source.file, config.mirror)
        # another archive under the same name is unpacked anew
        unpacked = folder / f"{split}_{source.checksum.rpartition(':')[2][:16]}"
        if not unpacked.is_dir():
            unpack(archive, unpacked, ".h5")
        places[split] = [str(path) for path in sorted(unpacked.rglob("*.h5"))]
    return places, sources[0].licence


def _record(config: M4RawRecipe) -> tuple[str, object]:
    """Return the address and text of Zenodo's description of the record: files, sizes, checksums.

    Raises:
        ValueError: if it cannot be had; no checksum is known without it.
    """
    address = f"https://zenodo.org/api/records/{config.record}"
    if config.mirror:
        address = f"{config.mirror.rstrip('/')}/record.json"
    try:
        if "://" not in address:
            return address, json.loads(Path(address).read_text())
        answer = requests.get(address, timeout=30)
        answer.raise_for_status()
        return address, answer.json()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{address} could not be read ({error}). It lists the files and their checksums; use "
            "mirror=PATH_OR_URL with the archives and record.json, or train=[..] valid=[..] with "
            "files that you have"
        ) from error


def _sources(address: str, record: Any) -> list[Source]:
    """Return the files of a record, each with a plain name, an address, a size and an MD5 sum.

    Raises:
        ValueError: if one has not: a record may come from a stranger.
    """
    sources = []
    try:
        licence = str(record.get("metadata", {}).get("license", {}).get("id", "not stated"))
        for entry in record["files"]:
            name = plain_name(entry["key"], f"key in {address}")
            url, size, checksum = entry["links"]["self"], int(entry["size"]), entry["checksum"]
            if not re.fullmatch(r"md5:[0-9a-f]{32}", checksum) or not url.startswith("https://"):
                raise ValueError(
                    f"{address}: {name} has the checksum {checksum!r} and the address {url!r}, "
                    "expected md5:.. and https://..; take the record as Zenodo answers"
                )
            sources.append(Source(name, url, licence, size, checksum))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{address} is no record of Zenodo ({error!r}): it has no files with key, size, "
            "checksum and links; take the record as Zenodo answers"
        ) from error
    return sources


if __name__ == "__main__":
    sys.exit(run_recipe(M4RawRecipe))
