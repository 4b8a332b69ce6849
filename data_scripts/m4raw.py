"""Download M4Raw (0.3 T brains, open) from Zenodo, or convert files that you have (m4raw.md)."""

import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import requests
from rich.console import Console

from data_scripts.command_line import run_script
from data_scripts.fastmri import FastMriConfig, convert_volumes
from data_scripts.mri_convert import find_scans
from data_scripts.mri_download import DOWNLOADS, Source, download

SOURCE = "M4Raw (Lyu et al. 2023, doi:10.1038/s41597-023-02181-4), 0.3 T, 4 coils"


@dataclass
class M4RawConfig(FastMriConfig):
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
        target: sense or rss.
    """

    out: str = "data/m4raw"
    archives: dict[str, str] = field(
        default_factory=lambda: {"train": "multicoil_train", "valid": "multicoil_val"}
    )
    record: int = 8056074
    mirror: str = ""


def main(config: M4RawConfig) -> None:
    """Download what is missing, convert, write the metadata."""
    licence = "CC-BY-4.0 (as stated by the publication; the record says what holds)"
    if not config.train and not config.valid:
        licence = _download(config)
    jobs = find_scans(config, ".h5", _subject, "no M4Raw volumes were found")
    convert_volumes(config, jobs, SOURCE, licence)


def _subject(path: Path) -> str:
    """Return the number in front of the contrast: 2022061003_T101.h5 is subject 2022061003."""
    return path.stem.split("_")[0]


def _download(config: M4RawConfig) -> str:
    """Fetch and unpack the archives, put their folders into the config, return the licence."""
    record = _record(config)
    licence = str(record.get("metadata", {}).get("license", {}).get("id", "not stated"))
    folder = DOWNLOADS / f"m4raw_{config.record}"
    for split, part in config.archives.items():
        entry = next((f for f in record["files"] if part in f["key"]), None)
        if entry is None:
            names = [f["key"] for f in record["files"]]
            raise ValueError(f"the record has no archive named like {part!r}, only {names}")
        source = Source(
            entry["key"], entry["links"]["self"], licence, int(entry["size"]), entry["checksum"]
        )
        Console(stderr=True, highlight=False).print(
            f"{source.url}: {source.bytes / 1e9:.1f} GB, licence {licence}, to {folder}"
        )
        archive = download(source, folder / source.file, config.mirror)
        unpacked = folder / split
        if not unpacked.is_dir():
            _unpack(archive, unpacked)
        setattr(config, split, [str(path) for path in sorted(unpacked.rglob("*.h5"))])
    return licence


def _record(config: M4RawConfig) -> dict:
    """Return Zenodo's description of the record: files with sizes and MD5 checksums.

    Raises:
        ValueError: if it cannot be had; no checksum is known without it.
    """
    address = f"https://zenodo.org/api/records/{config.record}"
    if config.mirror:
        address = f"{config.mirror.rstrip('/')}/record.json"
    try:
        if "://" not in address:
            return json.loads(Path(address).read_text())
        answer = requests.get(address, timeout=30)
        answer.raise_for_status()
        return answer.json()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{address} could not be read ({error}). It lists the files and their checksums; use "
            "mirror=PATH_OR_URL with the archives and record.json, or train=[..] valid=[..] with "
            "files that you have"
        ) from error


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the volumes of an archive, all of them or none."""
    temporary = folder.with_name(f"{folder.name}.part")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(temporary, [n for n in opened.namelist() if n.endswith(".h5")])
    temporary.rename(folder)


if __name__ == "__main__":
    sys.exit(run_script(main, M4RawConfig))
