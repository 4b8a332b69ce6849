"""Public source files: found in a folder, or downloaded with checksum, resume, progress, mirror."""

import csv
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pooch
import requests
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

# where the files of sources.csv are when the repository has a data folder beside it
BESIDE = Path(__file__).parents[3] / "shared" / "data" / "mri"
DOWNLOADS = Path("data") / "sources"


@dataclass(frozen=True)
class Source:
    """One public file: `file` is its place below a source folder or mirror."""

    file: str
    url: str
    licence: str
    bytes: int
    checksum: str


def known_sources(prefix: str) -> list[Source]:
    """Return the files of `sources.csv` whose name starts with `prefix`, in order."""
    with Path(__file__).with_name("sources.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith(prefix)]
    return [
        Source(
            row["file"],
            f"https://raw.githubusercontent.com/{row['source'].removeprefix('github.com/')}/"
            f"{row['commit']}/{quote(row['path'])}",
            row["licence"],
            int(row["bytes"]),
            f"sha256:{row['sha256']}",
        )
        for row in rows
    ]


def fetch(sources: Sequence[Source], source_dir: str = "", mirror: str = "") -> list[Path]:
    """Return local paths of the files, downloading those that are not there.

    A file is taken from `source_dir`; without one, from the data folder beside the repository if
    there is one, else from data/sources, where it is downloaded to. Every file's checksum is
    verified, wherever it came from.

    Args:
        sources: the files.
        source_dir: folder that must hold all of them; nothing is downloaded then.
        mirror: folder or URL that is used in place of the public address, laid out by
            `Source.file`.

    Raises:
        ValueError: if a file is missing from `source_dir`, cannot be downloaded, or has the wrong
            checksum.
    """
    if source_dir or (BESIDE.is_dir() and not mirror):
        folder = Path(source_dir) if source_dir else BESIDE
        return [_local(source, folder) for source in sources]
    missing = [source for source in sources if not (DOWNLOADS / source.file).is_file()]
    if missing:
        licences = ", ".join(sorted({source.licence for source in missing}))
        Console(stderr=True).print(
            f"Downloading {len(missing)} files, {sum(s.bytes for s in missing) / 1e6:.0f} MB, "
            f"licence {licences}, from {mirror or urlsplit(missing[0].url).netloc} to {DOWNLOADS}.",
            highlight=False,
        )
    return [download(source, DOWNLOADS / source.file, mirror) for source in sources]


def _local(source: Source, folder: Path) -> Path:
    path = folder / source.file
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; leave source_dir empty to download it from {source.url}"
        )
    _verify(path, source)
    return path


def _verify(path: Path, source: Source) -> None:
    algorithm, _, expected = source.checksum.rpartition(":")
    found = pooch.file_hash(str(path), alg=algorithm or "sha256")
    if found != expected:
        raise ValueError(
            f"{path} is broken or another file: its {algorithm or 'sha256'} is {found}, expected "
            f"{expected}; delete it and fetch it again"
        )


def download(source: Source, path: Path, mirror: str = "") -> Path:
    """Download one file to `path`, resuming a broken transfer, and verify its checksum.

    Raises:
        ValueError: if the file cannot be had, or its checksum is wrong (it is then deleted).
    """
    pooch.get_logger().setLevel(logging.ERROR)
    address = source.url
    if mirror:
        address = f"{mirror.rstrip('/')}/{quote(source.file) if '://' in mirror else source.file}"
    partial = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        pooch.retrieve(
            address,
            known_hash=source.checksum,
            fname=path.name,
            path=path.parent,
            downloader=_Resuming(partial, source.bytes),
        )
    except (requests.RequestException, OSError) as error:
        raise ValueError(
            f"{address} could not be downloaded to {path} ({error}); check the connection and run "
            "again (what arrived is kept), or use mirror=PATH_OR_URL or source_dir=PATH"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{address} is not the file it should be: its checksum is not {source.checksum}; "
            "the download or the mirror is broken, nothing was kept"
        ) from error
    return path


@dataclass(frozen=True)
class _Resuming:
    """A pooch downloader that keeps what arrived in `partial` and asks for the rest."""

    partial: Path
    n_bytes: int

    def __call__(self, url: str, output_file: object, pooch: object) -> None:
        if "://" in url:
            self._from_web(url)
        else:
            shutil.copyfile(url, self.partial)
        arrived = self.partial.stat().st_size
        if self.n_bytes and arrived != self.n_bytes:
            if arrived > self.n_bytes:
                self.partial.unlink()
            raise requests.ConnectionError(f"{arrived} of {self.n_bytes} bytes arrived")
        shutil.move(self.partial, str(output_file))

    def _from_web(self, url: str) -> None:
        have = self.partial.stat().st_size if self.partial.is_file() else 0
        if self.n_bytes and have >= self.n_bytes:
            have = 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            total = self.n_bytes or int(answer.headers.get("Content-Length", 0)) or None
            with self.partial.open("ab" if resumed else "wb") as file, _download_bar() as bar:
                task = bar.add_task(
                    self.partial.stem[-40:], total=total, completed=have if resumed else 0
                )
                arrived = have if resumed else 0
                for piece in answer.iter_content(1 << 16):
                    file.write(piece)
                    bar.advance(task, len(piece))
                    arrived += len(piece)
                    if self.n_bytes and arrived > self.n_bytes:
                        break


def _download_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
