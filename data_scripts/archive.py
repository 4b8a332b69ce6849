"""Unpack ZIP archives that may come from a stranger: every member stays inside the folder."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from data_scripts.file_names import plain_name

# k-space hardly compresses; what expands more is no data
_MOST_COMPRESSION = 50


def unpack(archive: Path, folder: Path, ending: str) -> None:
    """Unpack the members with an ending into a folder, all of them or none.

    Args:
        archive: a ZIP file.
        folder: made by this; must not exist.
        ending: ending of the members that are wanted.

    Raises:
        ValueError: if it is no sound archive, has none of them, or one of its members is a link,
            an absolute or relative path out of the folder, written twice, encrypted, or expands
            without measure.
    """
    temporary = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if m.filename.endswith(ending)]
            _check(archive, members, ending)
            for member in members:
                opened.extract(member, temporary)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ValueError(
            f"{archive} is damaged or no ZIP archive that can be read ({error}); delete it and "
            "fetch it again"
        ) from error
    temporary.rename(folder)


def _check(archive: Path, members: list[zipfile.ZipInfo], ending: str) -> None:
    if not members:
        raise ValueError(f"{archive} holds no {ending} file; it is another archive")
    places = set()
    for member in members:
        # the name as written: zipfile turns separators and cuts at a null byte
        parts = PurePosixPath(member.orig_filename).parts
        for part in parts:
            plain_name(part, f"each part of the member {member.orig_filename!r} of {archive}")
        if stat.S_ISLNK(member.external_attr >> 16) or parts in places:
            raise ValueError(
                f"{archive}: the member {member.filename!r} is a link or there twice; take an "
                "archive of plain files"
            )
        places.add(parts)
        if member.file_size > _MOST_COMPRESSION * max(member.compress_size, 1 << 16):
            raise ValueError(
                f"{archive}: {member.filename!r} expands from {member.compress_size} to "
                f"{member.file_size} bytes, which no scan does; take another archive"
            )
