"""What may be taken from an HDF5 file of a stranger; the tables of bad inputs ask the readers."""

import os
import re

import h5py
import numpy as np
import pytest

from data_scripts import hdf5
from data_scripts.unusable import UnusableFileError, read_npy, reading, require_file

FIX = "fix it"


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["inside/values"] = np.arange(6.0).reshape(2, 3)
        file["near"] = h5py.SoftLink("/inside")
        file["inside/words"] = "abc"
        file.attrs.update({"n": 3, "name": b"\x1b[31mred\n"})
    return tmp_path / "a.h5"


def refused(path, *says, name="x", edit=None, **options):
    """Check that an array made by `edit` is refused in one sentence with some words."""
    with h5py.File(path, "a") as file:
        if edit is not None:
            edit(file)
    with (
        hdf5.open_file(path, FIX) as file,
        pytest.raises(UnusableFileError) as caught,
    ):
        hdf5.array(file, name, FIX, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    for words in says:
        assert words in message


def test_arrays_are_found_through_links_of_the_file_and_read_in_parts(path):
    with hdf5.open_file(path, FIX) as file:
        for name in ("inside/values", "near/values", "/inside/values"):
            stored = hdf5.array(file, name, FIX)
            np.testing.assert_array_equal(hdf5.read(stored, (1,), FIX), [3, 4, 5])
        assert hdf5.array(hdf5.group(file, "near", FIX), "values", FIX).shape == (2, 3)
        assert hdf5.find(file, "inside/none") is None
        assert hdf5.find(file, "inside/values/none") is None


def test_what_is_no_array_is_named_with_what_is_there(path):
    refused(path, "none is missing where an array is expected (there is inside, near)", name="none")
    refused(path, "near is a group where an array is expected; fix it", name="near")
    refused(
        path,
        "inside/words has type object, where numbers are expected; fix it",
        name="inside/words",
    )
    with hdf5.open_file(path, FIX) as file:
        assert hdf5.array(file, "inside/words", FIX, kinds=hdf5.TEXTS)[()] == b"abc"
        with pytest.raises(ValueError, match="inside/values is an array where a group is expected"):
            hdf5.group(file, "inside/values", FIX)


def test_kinds_of_numbers_are_told_apart(path):
    refused(
        path,
        "x is complex (complex64), where real numbers are expected",
        edit=lambda file: file.create_dataset("x", data=np.ones(3, np.complex64)),
        kinds=hdf5.REALS,
    )
    refused(
        path,
        "y has type int8, where floating-point numbers are expected",
        name="y",
        edit=lambda file: file.create_dataset("y", data=np.ones(3, np.int8)),
        kinds=hdf5.FLOATS,
    )


def test_words_of_a_stranger_are_printable(path):
    name = "a\x1b[2Jb"
    record = np.dtype([(f"\x1b{i}", "f4") for i in range(200)])
    refused(path, "a\\x1b[2Jb is missing", name=name)
    refused(path, "letters", edit=lambda file: file.create_dataset("x", (1,), record))


def test_padding_beyond_measure_is_a_claim_unless_it_is_meant(path):
    def pad(file):
        zeros = np.zeros((1 << 22) + 1, np.float64)
        file.create_dataset("x", data=zeros, chunks=(1 << 20,), compression="gzip")

    refused(path, "x claims shape (4194305,) (0.0336 GB), but only", "stored; fix it", edit=pad)
    with hdf5.open_file(path, FIX) as file:
        assert hdf5.array(file, "x", FIX, most_compression=np.inf).shape == (4194305,)


@pytest.mark.parametrize("chunks", [None, (2, 3)])
def test_arrays_that_nobody_wrote_are_unfinished(path, chunks):
    n = 4 if chunks else 1
    refused(
        path,
        f"{n} of its {n} pieces were never written",
        "make or download it again",
        edit=lambda file: file.create_dataset("x", (8, 3), "f4", chunks=chunks),
    )


def test_a_filter_that_is_not_here_is_named(path, monkeypatch):
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    refused(
        path,
        "compressed by HDF5 filter 1 (deflate)",
        "write the file anew with gzip",
        edit=lambda file: file.create_dataset("x", data=np.ones((4, 4)), compression="gzip"),
    )


def test_circles_of_links_end(path):
    def circle(file):
        file["x"] = h5py.SoftLink("/y")
        file["y"] = h5py.SoftLink("/x")

    refused(path, "is a link to", "where there is nothing", edit=circle)


def test_attributes_are_numbers_and_printable_words(path):
    with hdf5.open_file(path, FIX) as file:
        assert hdf5.number(file, "n") == 3
        assert hdf5.number(file, "none") is hdf5.text(file, "none") is None
        assert hdf5.text(file, "name") == "\\x1b[31mred\\n"
        with pytest.raises(ValueError, match="attribute name must be one finite number, got"):
            hdf5.number(file, "name")


def test_folders_pipes_and_missing_files_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("", "is a folder"), ("pipe", "is no regular file"), ("no", "does not ex")):
        with pytest.raises(UnusableFileError, match=f"{what}.*; fix it"):
            hdf5.open_file(tmp_path / name, FIX)
        with pytest.raises(UnusableFileError, match=what):
            require_file(tmp_path / name, FIX)


def test_a_damaged_file_is_one_sentence_with_the_remedy(path):
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(UnusableFileError, match=rf"{re.escape(str(path))} is truncated .*; fix it"):
        hdf5.open_file(path, FIX)


def test_what_libraries_raise_becomes_one_sentence_and_our_own_errors_stay(tmp_path):
    for error in (KeyError("k"), EOFError(), RuntimeError("two\nlines"), ValueError("v")):
        says = pytest.raises(UnusableFileError, match=r"^x is truncated or damaged, .*; fix it$")
        with says, reading("x", FIX):
            raise error
    with pytest.raises(UnusableFileError, match="more than fits into memory"), reading("x", FIX):
        raise MemoryError
    with pytest.raises(UnusableFileError, match=r"^ours$"), reading("x", FIX):
        raise UnusableFileError("ours")
    with pytest.raises(KeyboardInterrupt), reading("x", FIX):
        raise KeyboardInterrupt


def test_an_array_file_is_read_as_nothing_else(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy", FIX), np.arange(3))
    np.savez(tmp_path / "b.npz", a=np.arange(3))
    with pytest.raises(UnusableFileError, match=r"b\.npz is truncated or damaged, or of another"):
        read_npy(tmp_path / "b.npz", FIX)


def test_all_arrays_are_listed_once_and_links_out_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = 1.0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["b/c/u"] = np.ones(3)
        file["a"] = 1.0
        file["b/circle"] = file["b"]
        file["again"] = file["b/c"]
        file["soft"] = h5py.SoftLink("/b/c/u")
        file["b/out"] = h5py.ExternalLink("other.h5", "/")
        file["nowhere"] = h5py.SoftLink("/x")
        assert list(hdf5.walk(file)) == ["a", "nowhere", "soft", "again/u", "b/out"]


def test_words_of_an_attribute_can_be_printed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["axes"] = ["x", "y\x1b"]
        file.attrs["one"] = np.bytes_("x")
        assert hdf5.texts(file, "axes") == ["x", "y\\x1b"]
        assert hdf5.texts(file, "one") == ["x"]
        assert hdf5.texts(file, "none") == []
