"""Own data in netCDF: packed numbers, records, words, damage."""

import gc

import h5py
import numpy as np
import pytest
import scipy.io

from data_scripts.pde.readers import ReadOptions, open_fields
from data_scripts.unusable import UnusableFileError

N, T = 5, 7


def write_packed_netcdf_3(path, numbers, attributes):
    with scipy.io.netcdf_file(path, "w") as file:
        file.createDimension("time", None)  # a record: it lies in strides
        for name, n in (("sample", N), ("lon", 12), ("lat", 9)):
            file.createDimension(name, n)
        variable = file.createVariable("u", np.int16, ("time", "sample", "lon", "lat"))
        variable[:] = numbers
        for name, value in {**attributes, "units": b"K"}.items():
            setattr(variable, name, value)
        file.createVariable("time", np.float64, ("time",))[:] = np.arange(T) / 4
        file.createVariable("comment", "c", ("sample",))[:] = b"words"
        file.version = 3.5


def write_packed_netcdf_4(path, numbers, attributes):
    with h5py.File(path, "w") as file:
        file["u"] = numbers
        file["u"].attrs.update({**attributes, "units": "K"})
        file["time"] = np.arange(T) / 4
        for i, name in enumerate(("time", "sample", "lon", "lat")):
            file["u"].dims[i].label = name


@pytest.mark.parametrize("write", [write_packed_netcdf_3, write_packed_netcdf_4])
def test_packed_numbers_are_unpacked_and_missing_ones_refused(tmp_path, write):
    numbers = np.random.default_rng(0).integers(-9000, 9000, (T, N, 12, 9)).astype(np.int16)
    attributes = {"scale_factor": np.float64(0.01), "add_offset": np.float64(273.15)}
    attributes["_FillValue"] = np.int16(-32767)
    write(tmp_path / "a.nc", numbers, attributes)
    options = ReadOptions(key="u", axes=("time", "trajectory", "x", "y"))
    fields = open_fields(tmp_path / "a.nc", options)
    values = (0.01 * numbers.astype(np.float64) + 273.15).astype(np.float32)
    np.testing.assert_array_equal(fields.read(), values.transpose(1, 0, 2, 3)[:, :, None])
    part = fields.read(slice(1, 5, 2), slice(2, 7, 3), (slice(1, 12, 4), slice(0, 9, 2)))
    np.testing.assert_array_equal(part[:, :, 0], values[2:7:3, 1:5:2, 1::4, ::2].swapaxes(0, 1))
    assert fields.channels[0].unit == "K"
    np.testing.assert_array_equal(fields.times, np.arange(T) / 4)

    numbers[3, 1, 2, 5] = -32767
    write(tmp_path / "b.nc", numbers, attributes)
    with pytest.raises(UnusableFileError, match=r"b\.nc.*NaN"):
        open_fields(tmp_path / "b.nc", options).read()


def test_a_damaged_netcdf_file_is_named(tmp_path):
    path = tmp_path / "a.nc"
    write_packed_netcdf_3(path, np.ones((T, N, 12, 9), np.int16), {})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnusableFileError, match=r"a\.nc is truncated or damaged"):
        open_fields(path, ReadOptions(axes=("trajectory", "time", "x", "y"))).read()
    gc.collect()  # what was left open would be said here, which pytest makes an error
