"""ISMRMRD files that are no ground truth."""

import h5py
import numpy as np
from bad_inputs import BadInput, assert_refused, table
from mri_conversions import BOMB, GRID, SPLITS, options
from mri_scans import write_scan
from mri_sources import (
    head,
    header_xml,
    kspace_lines,
    write_ismrmrd,
)

from data_scripts.mri import ismrmrd
from data_scripts.recipe import produce


def with_lines(change=lambda lines: lines, header=None, group="dataset"):
    n_x, n_y = GRID
    header = header or header_xml(n_x, n_y, 1, (n_x, n_y, 1), n_y - 1, n_y // 2)

    def act(folder):
        for _, name in SPLITS:
            lines = change(kspace_lines(head(GRID, 2)[0]))
            write_ismrmrd(folder / f"{name}.h5", header, lines)
        produce(ismrmrd.IsmrmrdRecipe(**options(folder, ".h5", group=group)))

    return act


def each(**values):
    return lambda lines: [{**line, **values} for line in lines]


def last(**values):
    return lambda lines: [*lines[:-1], {**lines[-1], **values}]


def raw_dataset(make):
    def act(folder):
        with_lines_file(folder)
        with h5py.File(folder / "a.h5", "r+") as file:
            del file["dataset/data"]
            make(file)
        with ismrmrd.open_ismrmrd(folder / "a.h5"):
            pass

    return act


def with_lines_file(folder):
    n_x, n_y = GRID
    header = header_xml(n_x, n_y, 1, (n_x, n_y, 1), n_y - 1, n_y // 2)
    write_ismrmrd(folder / "a.h5", header, kspace_lines(head(GRID, 2)[0]))


ISMRMRD = (
    BadInput(
        "a wrong centre",
        with_lines(lambda lines: lines[:33], header_xml(*GRID, 1, (*GRID, 1), 32, 13)),
        ("a.h5: k-space peaks at sample 28", "centre 20", "accept=[off_centre]"),
    ),
    BadInput(
        "half of the lines",
        with_lines(lambda lines: lines[:21]),
        ("a.h5: the header announces the steps 0 to 39", "0 to 20", "accept=[header]"),
    ),
    BadInput(
        "a maximum that is too small",
        with_lines(header=header_xml(*GRID, 1, (*GRID, 1), 20, 20)),
        ("a.h5: ", "0 to 20", "0 to 39 were measured", "accept=[header]"),
    ),
    BadInput(
        "every second line", with_lines(lambda lines: lines[::2]), ("a.h5: ", "accept=[gaps]")
    ),
    BadInput(
        "an enormous matrix",
        with_lines(header=header_xml(48, 60000, 60000, (48, 40, 1), 39, 20)),
        ("a.h5: ", "(1, 1, 60000, 60000, 2, 48)", "3840 samples", "matrixSize"),
    ),
    BadInput("a slice far away", with_lines(last(slice=65535)), ("a.h5: ", "65536", "slice and")),
    BadInput(
        "a matrix of size zero",
        with_lines(header=header_xml(48, 40, 0, (48, 40, 1), 39, 20)),
        ("<encodedSpace><matrixSize><z>", "'0'"),
    ),
    BadInput("a header bomb", with_lines(header=BOMB), ("a.h5: ", "entities", "remove <!DOCTYPE")),
    BadInput(
        "lines with fewer channels",
        with_lines(last(data=np.ones((1, 48)))),
        ("a.h5: ", "[1, 2] active channels"),
    ),
    BadInput(
        "samples that are not there",
        with_lines(last(number_of_samples=50)),
        ("a.h5: line 39", "192 numbers", "2 channels of 50"),
    ),
    BadInput(
        "a line with NaN",
        with_lines(last(data=np.full((2, 48), np.nan))),
        ("a.h5: line 39", "coil 0, sample 0"),
    ),
    BadInput(
        "another group",
        with_lines(group="scan"),
        ("a.h5: scan is missing", "there is dataset", "group=NAME"),
    ),
    BadInput(
        "no acquisitions",
        raw_dataset(
            lambda file: file.create_dataset("dataset/data", (0,), np.dtype([("a", "f4")]))
        ),
        ("a.h5 has no acquisitions",),
    ),
    BadInput(
        "numbers for acquisitions",
        raw_dataset(lambda file: file.create_dataset("dataset/data", data=np.ones(3))),
        ("a.h5: dataset/data has type float64",),
    ),
    BadInput(
        "headers without counters",
        raw_dataset(
            lambda file: file.create_dataset(
                "dataset/data", data=np.zeros(2, [("head", [("flags", "u8")]), ("data", "f4")])
            )
        ),
        ("a.h5: the acquisition headers lack", "'active_channels'", "'idx'"),
    ),
)


@table(*ISMRMRD)
def test_ismrmrd_files_that_are_no_ground_truth_are_refused(case, tmp_path):
    old = write_scan(tmp_path / "out" / "a.h5")
    before = old.read_bytes()
    assert_refused(case, tmp_path)
    assert old.read_bytes() == before
