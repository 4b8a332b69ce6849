import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from data_scripts.mri import download as mri_download
from data_scripts.mri.download import Source, download, fetch, known_sources

CONTENT = bytes(range(256)) * 400


class Handler(BaseHTTPRequestHandler):
    ranges: ClassVar[list] = []
    served = CONTENT
    stop_after = None

    def do_GET(self):
        asked = self.headers.get("Range")
        Handler.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = Handler.served[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: Handler.stop_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(Handler, "ranges", [])
    monkeypatch.setattr(Handler, "served", CONTENT)
    monkeypatch.setattr(Handler, "stop_after", None)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


def source(url):
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return Source("folder/scan.bin", f"{url}/a/scan.bin", "CC0-1.0", len(CONTENT), checksum)


def test_a_file_is_downloaded_and_verified_once(server, tmp_path):
    path = tmp_path / "scan.bin"
    assert download(source(server), path).read_bytes() == CONTENT
    download(source(server), path)
    assert Handler.ranges == [None]


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path, monkeypatch):
    path = tmp_path / "scan.bin"
    monkeypatch.setattr(Handler, "stop_after", 90_000)
    with pytest.raises(ValueError, match="run again"):
        download(source(server), path)
    assert not path.exists()
    arrived = (tmp_path / "scan.bin.part").stat().st_size
    assert 0 < arrived <= 90_000
    monkeypatch.setattr(Handler, "stop_after", None)
    assert download(source(server), path).read_bytes() == CONTENT
    assert Handler.ranges == [None, f"bytes={arrived}-"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.bin"]


def test_a_wrong_file_is_refused_and_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "served", b"x" + CONTENT[1:])
    with pytest.raises(ValueError, match="checksum is not sha256"):
        download(source(server), tmp_path / "scan.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="could not be downloaded"):
        download(source("http://127.0.0.1:9"), tmp_path / "scan.bin")


@pytest.mark.parametrize("kind", ["folder", "address"])
def test_a_mirror_is_used_in_place_of_the_public_address(kind, server, tmp_path):
    mirror = tmp_path / "mirror"
    (mirror / "folder").mkdir(parents=True)
    (mirror / "folder" / "scan.bin").write_bytes(CONTENT)
    place = str(mirror) if kind == "folder" else f"{server}/mirror"
    path = download(source("http://127.0.0.1:9"), tmp_path / "got" / "scan.bin", place)
    assert path.read_bytes() == CONTENT
    assert (mirror / "folder" / "scan.bin").exists()


def test_a_mirror_without_the_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"folder/scan\.bin could not be downloaded"):
        download(source("http://127.0.0.1:9"), tmp_path / "scan.bin", str(tmp_path))


def test_files_of_a_folder_are_verified_too(tmp_path):
    path = tmp_path / "folder" / "scan.bin"
    with pytest.raises(ValueError, match="is missing; leave source_dir empty"):
        fetch([source("http://127.0.0.1:9")], str(tmp_path))
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch([source("http://127.0.0.1:9")], str(tmp_path)) == [path]
    path.write_bytes(CONTENT + b"more")
    with pytest.raises(ValueError, match="is broken or another file"):
        fetch([source("http://127.0.0.1:9")], str(tmp_path))


def test_what_is_not_beside_the_repository_is_downloaded(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mri_download, "BESIDE", tmp_path / "nowhere")
    monkeypatch.setattr(mri_download, "DOWNLOADS", tmp_path / "downloads")
    (path,) = fetch([source(server)])
    assert path.read_bytes() == CONTENT
    assert "licence CC0-1.0" in capsys.readouterr().err
    fetch([source(server)])
    assert Handler.ranges == [None]


def test_the_known_sources_have_address_licence_and_checksum():
    sources = known_sources("")
    assert len(sources) == 37
    for known in sources:
        assert known.url.startswith("https://raw.githubusercontent.com/")
        assert " " not in known.url
        assert len(known.checksum) == len("sha256:") + 64
        assert known.bytes > 0
        assert known.licence
    assert len(known_sources("open_ms_data/")) == 19
