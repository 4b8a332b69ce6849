"""Records and archives of strangers."""

import hashlib
import json
import stat
import zipfile

from bad_inputs import BadInput, assert_refused, table

from data_scripts.archive import unpack
from data_scripts.mri import m4raw
from data_scripts.recipe import produce


def zip_of(path, members):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members:
            opened.writestr(name, content)


def link_member():
    info = zipfile.ZipInfo("link.h5")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def with_member(*members):
    def act(folder, _):
        zip_of(folder / "archive.zip", members)
        unpack(folder / "archive.zip", folder / "inside" / "unpacked", ".h5")

    return act


def bomb(folder, _):
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.h5", b"0" * (64 << 20))
    unpack(folder / "archive.zip", folder / "inside" / "unpacked", ".h5")


def no_archive(folder, _):
    (folder / "archive.zip").write_bytes(b"PK no archive")
    unpack(folder / "archive.zip", folder / "inside" / "unpacked", ".h5")


def broken_member(folder, _):
    zip_of(folder / "archive.zip", [("a.h5", b"1" * 1000), ("b.h5", b"2" * 1000)])
    content = (folder / "archive.zip").read_bytes()
    (folder / "archive.zip").write_bytes(content.replace(b"2" * 1000, b"3" * 1000))
    unpack(folder / "archive.zip", folder / "inside" / "unpacked", ".h5")


def with_record(change):
    """Convert from a mirror whose record was changed."""

    def act(folder, monkeypatch):
        monkeypatch.setattr(m4raw, "DOWNLOADS", folder / "inside")
        mirror = folder / "mirror"
        mirror.mkdir()
        files = []
        for part in ("train", "val"):
            archive = mirror / f"multicoil_{part}.zip"
            zip_of(archive, [(f"{part}.h5", b"no scan")])
            content = archive.read_bytes()
            checksum = f"md5:{hashlib.md5(content).hexdigest()}"
            links = {"self": f"https://zenodo.org/{archive.name}"}
            files.append(
                {"key": archive.name, "size": len(content), "checksum": checksum, "links": links}
            )
        record = change({"files": files})
        text = record if isinstance(record, str) else json.dumps(record)
        (mirror / "record.json").write_text(text)
        produce(m4raw.M4RawRecipe(out=str(folder / "out"), mirror=str(mirror)))

    return act


def first_file(**values):
    def change(record):
        record["files"][0].update(values)
        return record

    return change


RECORDS = (
    BadInput(
        "a key above the folder",
        with_record(first_file(key="../../../multicoil_train.zip")),
        ("'../../../multicoil_train.zip'", "key in", "plain file name", "rename"),
    ),
    BadInput("an absolute key", with_record(first_file(key="/tmp/multicoil_train")), ("'/tmp/",)),
    BadInput("a Windows path", with_record(first_file(key="..\\multicoil_train")), ("'..\\\\m",)),
    BadInput("a drive", with_record(first_file(key="C:multicoil_train")), ("'C:multicoil_train'",)),
    BadInput("a number for a key", with_record(first_file(key=7)), ("got 7", "key in")),
    BadInput(
        "a local file for an address",
        with_record(first_file(links={"self": "/etc/passwd"})),
        ("'/etc/passwd'", "https://", "multicoil_train.zip"),
    ),
    BadInput("no checksum", with_record(first_file(checksum="")), ("checksum ''", "md5:")),
    BadInput(
        "another checksum",
        with_record(first_file(checksum=f"md5:{'0' * 32}")),
        ("multicoil_train.zip", "checksum is not md5:000", "nothing was kept"),
    ),
    BadInput(
        "another size", with_record(first_file(size=5)), ("multicoil_train.zip", "of 5 bytes")
    ),
    BadInput("no size", with_record(first_file(size=None)), ("record.json", "size, checksum")),
    BadInput("a list", with_record(lambda _: [1, 2]), ("record.json is no record of Zenodo",)),
    BadInput("no files", with_record(lambda _: {}), ("KeyError('files')", "as Zenodo answers")),
    BadInput("no JSON", with_record(lambda _: "<html>"), ("record.json could not be read",)),
    BadInput(
        "a member above the folder", with_member(("../../evil.h5", b"")), ("'../../evil.h5'",)
    ),
    BadInput("an absolute member", with_member(("/evil.h5", b"")), ("'/evil.h5'", "rename")),
    BadInput("a Windows member", with_member(("..\\evil.h5", b"")), ("evil.h5", "plain file")),
    BadInput("a link", with_member((link_member(), "/etc/passwd")), ("'link.h5' is a link",)),
    BadInput(
        "a link above a file",
        with_member((link_member(), "/tmp"), ("link.h5/evil.h5", b"")),
        ("'link.h5' is a link", "plain files"),
    ),
    BadInput("a bomb", bomb, ("'a.h5' expands", "67108864 bytes")),
    BadInput("no archive", no_archive, ("archive.zip is damaged", "fetch it again")),
    BadInput("a damaged member", broken_member, ("archive.zip is damaged", "CRC")),
    BadInput("nothing wanted", with_member(("readme", b"")), ("archive.zip holds no .h5 file",)),
)


@table(*RECORDS)
def test_records_and_archives_write_nowhere_else(case, tmp_path, monkeypatch):
    folder = tmp_path / "one" / "two" / "three"
    (folder / "inside").mkdir(parents=True)
    assert_refused(case, folder, monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["two"]
    assert [path.name for path in folder.parent.iterdir()] == ["three"]
    assert not list(folder.rglob("evil*"))
    assert not list(folder.rglob("unpacked*"))
