"""Zarr stores of both formats: read by chunks, with names and units; nothing in them is run."""

import json
import pickle

import numpy as np
import pytest
from pde_files import flow

from data_scripts.pde.readers import ReadOptions, UnusableFileError, open_fields
from data_scripts.pde.readers.formats.zarr_files import zarr_contents

zarr = pytest.importorskip("zarr", reason="the extra zarr is not installed")
U = flow(6, 5, (12, 10))
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


def put(group, name, values, names=(), **options):
    if names and group.metadata.zarr_format == 3:
        options["dimension_names"] = names
    chunks = tuple(max(1, n // 2) for n in values.shape)
    array = group.create_array(name, data=values, chunks=chunks, **options)
    if names and group.metadata.zarr_format == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = list(names)
    return array


@pytest.fixture
def store(tmp_path, request):
    return zarr.open_group(
        tmp_path / "own.zarr", mode="w", zarr_format=request.node.callspec.params["zarr_format"]
    )


@FORMATS
def test_a_store_is_read_with_its_names(store, tmp_path, zarr_format):
    names = ("sample", "y", "time", "x")
    put(store, "flow/u", np.moveaxis(U, (3, 1), (1, 2)), names).attrs["units"] = "m/s"
    put(store, "flow/time", np.arange(5) * 0.5)
    store.attrs["dt"] = 0.5
    fields = open_fields(tmp_path / "own.zarr")
    assert fields.layout == "Zarr"
    assert [(c.name, c.unit) for c in fields.channels] == [("u", "m/s")]
    assert fields.shape == (6, 5, 1, 12, 10)
    np.testing.assert_array_equal(fields.times, np.arange(5) * 0.5)
    np.testing.assert_array_equal(fields.read()[:, :, 0], U)
    part = fields.read(slice(1, 5, 2), slice(0, 4, 3), (slice(2, 12, 2), slice(None)))
    np.testing.assert_array_equal(part[:, :, 0], U[1:5:2, 0:4:3, 2:12:2])


@FORMATS
def test_only_the_chunks_that_are_asked_for_are_read(store, tmp_path, zarr_format, monkeypatch):
    put(store, "u", U)
    fields = open_fields(tmp_path / "own.zarr")
    opened = []
    get = zarr.storage.LocalStore.get

    async def counted(self, key, *arguments, **options):
        opened.append(key)
        return await get(self, key, *arguments, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    fields.read(slice(1), slice(1))
    chunks = [key for key in opened if key.rpartition("/")[2].isdigit() or key.count(".") == 3]
    assert len(chunks) == 4  # of 3 x 3 x 2 x 2 and more


@FORMATS
def test_packed_numbers_are_unpacked(store, tmp_path, zarr_format):
    stored = np.round(1000 * U).astype(np.int16)
    array = put(store, "u", stored)
    array.attrs["scale_factor"] = 1e-3
    fields = open_fields(tmp_path / "own.zarr", ReadOptions(axes=["trajectory", "time", "x", "y"]))
    assert (stored == 0).any()  # no missing value, though what zarr fills with
    np.testing.assert_allclose(fields.read()[:, :, 0], stored * 1e-3, rtol=1e-6)


def test_the_missing_value_of_packed_numbers_is_that_of_the_store(tmp_path):
    group = zarr.open_group(tmp_path / "own.zarr", mode="w", zarr_format=2)
    stored = np.round(1000 * U).astype(np.int16)
    stored[2, 1, 3, 4] = -9999
    put(group, "u", stored, fill_value=-9999).attrs["scale_factor"] = 1e-3
    with pytest.raises(UnusableFileError, match="NaN or infinity, first in trajectory 2, frame 1"):
        open_fields(tmp_path / "own.zarr", ReadOptions(key="u")).read()


@FORMATS
def test_an_array_alone_and_splits_in_folders(tmp_path, zarr_format):
    zarr.save_array(tmp_path / "one.zarr", U, zarr_format=zarr_format)
    np.testing.assert_array_equal(open_fields(tmp_path / "one.zarr").read()[:, :, 0], U)
    for split, part in (("train", U[:4]), ("test", U[4:])):
        zarr.save_array(tmp_path / "all" / split / "a.zarr", part, zarr_format=zarr_format)
    fields = open_fields(tmp_path / "all")
    assert fields.splits == {"train": range(4), "test": range(4, 6)}
    np.testing.assert_array_equal(fields.read()[:, :, 0], U)


class Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return type(self.mark).touch, (self.mark,)


@pytest.mark.parametrize(
    "changes",
    [
        {"compressor": {"id": "pickle", "protocol": 5}},
        {"filters": [{"id": "pickle", "protocol": 5}]},
        {"filters": [{"id": "pickle", "protocol": 5}], "dtype": "|O"},
    ],
)
def test_nothing_that_a_store_brings_is_run(tmp_path, changes):
    path = tmp_path / "own.zarr"
    zarr.create_array(path, data=U, chunks=U.shape, compressors=None, zarr_format=2)
    metadata = json.loads((path / ".zarray").read_text()) | changes
    (path / ".zarray").write_text(json.dumps(metadata))
    (path / "0.0.0.0").write_bytes(pickle.dumps(Trap(tmp_path / "run")))
    with pytest.raises(UnusableFileError, match=r"no field of real numbers|of another format"):
        open_fields(path).read()
    assert not (tmp_path / "run").exists()


@FORMATS
def test_what_cannot_be_used_is_named(store, tmp_path, zarr_format):
    store.create_array("u", shape=U.shape, dtype="f4", chunks=(1, 1, 12, 10))
    with pytest.raises(UnusableFileError, match="u was never written"):
        open_fields(tmp_path / "own.zarr", ReadOptions(key="u"))
    put(store, "c", U.astype(np.complex64))
    with pytest.raises(UnusableFileError, match="holds no real numbers"):
        open_fields(tmp_path / "own.zarr", ReadOptions(key="c"))


def test_a_damaged_store_is_named(tmp_path):
    (tmp_path / "own.zarr").mkdir()
    (tmp_path / "own.zarr" / "zarr.json").write_text("{")
    with pytest.raises(UnusableFileError, match="truncated or damaged"):
        zarr_contents(tmp_path / "own.zarr")


@FORMATS
def test_an_array_of_zeros_has_no_chunks_and_is_read(store, tmp_path, zarr_format):
    put(store, "u", U)
    put(store, "still", np.zeros_like(U))
    read = open_fields(tmp_path / "own.zarr", ReadOptions(key="still")).read()
    np.testing.assert_array_equal(read, np.zeros((6, 5, 1, 12, 10)))


def test_words_beside_the_numbers_do_not_matter(tmp_path):
    store = zarr.open_group(tmp_path / "own.zarr", mode="w")
    put(store, "u", U)
    words = store.create_array("names", shape=(3,), dtype=str)
    words[:] = np.array(["a", "bcd", "ef"], dtype=object)
    words.attrs["_FillValue"] = "AAAAAICHw8A="
    np.testing.assert_array_equal(open_fields(tmp_path / "own.zarr").read()[:, :, 0], U)


def test_what_is_missing_is_told_by_the_fill_value_of_format_2(tmp_path):
    store = zarr.open_group(tmp_path / "own.zarr", mode="w", zarr_format=2)
    u = np.where(np.arange(10) == 3, -9999, U)
    put(store, "u", u, ("sample", "time", "y", "x"), fill_value=-9999.0)
    with pytest.raises(UnusableFileError, match=r"NaN|finite"):
        open_fields(tmp_path / "own.zarr").read()


def test_what_is_missing_is_told_by_the_text_that_xarray_writes_in_format_3(tmp_path):
    store = zarr.open_group(tmp_path / "own.zarr", mode="w", zarr_format=3)
    u = U.astype(np.float32)
    u[2, 1, 3, 4] = -9999
    array = put(store, "u", u)
    array.attrs["_FillValue"] = "AAAAAICHw8A="  # what xarray 2026.9 has for -9999.0
    with pytest.raises(UnusableFileError, match="NaN or infinity, first in trajectory 2, frame 1"):
        open_fields(tmp_path / "own.zarr", ReadOptions(key="u")).read()
    array.attrs["_FillValue"] = "no number"
    np.testing.assert_array_equal(open_fields(tmp_path / "own.zarr").read()[:, :, 0], u)
