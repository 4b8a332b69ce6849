"""Files that would be written over what they are made from."""

import os

from data_scripts.replaced import replaced_source


def test_one_file_has_several_names(tmp_path):
    scan, other, absent = (tmp_path / name for name in ("scan", "other", "absent"))
    for path in (scan, other):
        path.write_bytes(b"measured")
    os.link(scan, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(scan)
    for place in (scan, tmp_path / "hard", tmp_path / "soft"):
        assert replaced_source([absent, place], [absent, other, scan]) == (place, scan)
    assert replaced_source([absent, other], [absent, scan]) is None
    assert replaced_source([absent], [absent]) is None
