"""Prepared scans that are not whole, not finite, or not plain."""

import h5py
import numpy as np
from bad_inputs import BadInput, assert_refused, table
from mri_conversions import GRID
from mri_scans import config as dataset_config
from mri_scans import write_scan
from mri_sources import (
    head,
)

from data_scripts.mri import check as mri_check
from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter, read_info, stored_masks
from mri.dataset.preparation import prepare_if_missing

SHAPE = ScanShape(2, 1, 2, GRID)


def written(folder, *writes, scan_id="x", mask=None):
    """Write slices (index, change of k-space, maps or target) into a scan."""
    kspace, maps = head(GRID, 2)
    arrays = [kspace[None], maps, np.ones((1, *GRID), np.complex64)]
    info = ScanInfo(scan_id, "train", "", "", ("echo1",))
    with ScanWriter(folder / "x.h5", info, SHAPE) as writer:
        for index, change in writes:
            writer.write(index, *change([array.copy() for array in arrays]))
        if mask:
            writer.write_mask(*mask)


def same(arrays):
    return arrays


def nan_at(which, *place):
    def change(arrays):
        arrays[which][place] = np.nan
        return arrays

    return change


def too_large(arrays):
    return [arrays[0].astype(np.complex128) * 1e60, *arrays[1:]]


def damaged_details(folder):
    write_scan(folder / "y.h5")
    with h5py.File(folder / "y.h5", "r+") as file:
        file.attrs["details"] = "[1, 2]"
    read_info(folder / "y.h5")


def linked_scan(folder):
    write_scan(folder / "other.h5")
    write_scan(folder / "y.h5")
    with h5py.File(folder / "y.h5", "r+") as file:
        del file["kspace"]
        file["kspace"] = h5py.ExternalLink(str(folder / "other.h5"), "kspace")
    read_info(folder / "y.h5")


def linked_masks(folder):
    write_scan(folder / "y.h5")
    with h5py.File(folder / "y.h5", "r+") as file:
        file["masks"] = h5py.ExternalLink("/etc/passwd", "/")
    stored_masks(folder / "y.h5")


def with_manifest(text):
    def act(folder):
        write_scan(folder / "y.h5")
        (folder / "manifest.json").write_text(text)
        mri_check.check_paths([str(folder)])

    return act


def with_metadata(text):
    def act(folder):
        write_scan(folder / "y.h5")
        (folder / "metadata.yaml").write_text(text)
        prepare_if_missing(dataset_config(folder, recipe=PhantomRecipe()))

    return act


def root_is_file(folder):
    (folder / "file").write_text("")
    prepare_if_missing(dataset_config(folder / "file", recipe=PhantomRecipe()))


both = ((0, same), (1, same))
PREPARED = (
    BadInput("half a scan", lambda f: written(f, (0, same)), ("x: 1 of 2 slices", "first is 1")),
    BadInput("nothing", lambda f: written(f), ("x: 2 of 2 slices were not written",)),
    BadInput("a slice twice", lambda f: written(f, *both, (1, same)), ("x: slice 1", "once")),
    BadInput("a slice beyond", lambda f: written(f, *both, (2, same)), ("x: slice 2", "of the 2")),
    BadInput("a slice before", lambda f: written(f, *both, (-1, same)), ("x: slice -1",)),
    BadInput(
        "NaN in k-space",
        lambda f: written(f, (0, nan_at(0, 0, 1, 5, 6)), (1, same)),
        ("x, slice 0: kspace", "echo 0, coil 1, ky 5, kz 6", "repair"),
    ),
    BadInput(
        "NaN in maps",
        lambda f: written(f, (0, same), (1, nan_at(1, 1, 2, 3))),
        ("x, slice 1: maps", "coil 1, y 2, z 3"),
    ),
    BadInput(
        "values beyond single precision",
        lambda f: written(f, (0, too_large), (1, same)),
        ("x, slice 0: kspace holds NaN or infinity",),
    ),
    BadInput("a path for an id", lambda f: written(f, scan_id="../x"), ("scan_id", "'../x'")),
    BadInput("a Windows path for an id", lambda f: written(f, scan_id="..\\x"), ("scan_id",)),
    BadInput("no id", lambda f: written(f, scan_id=" "), ("scan_id", "' '")),
    BadInput("an endless id", lambda f: written(f, scan_id="x" * 300), ("scan_id", "200 bytes")),
    BadInput(
        "a path for a mask",
        lambda f: written(f, *both, mask=("../kspace", np.ones(GRID, bool))),
        ("x: the name of a mask", "'../kspace'"),
    ),
    BadInput(
        "a mask of another grid",
        lambda f: written(f, *both, mask=("m", np.ones((3, 3), bool))),
        ("x: the mask m has shape (3, 3)", "(48, 40)"),
    ),
    BadInput("no coil", lambda _: ScanShape(1, 1, 0, GRID), ("at least one", "n_coils=0")),
    BadInput("details that are a list", damaged_details, ("y.h5: details must be", "[1, 2]")),
    BadInput("linked k-space", linked_scan, ("y.h5: kspace", "other file")),
    BadInput("linked masks", linked_masks, ("y.h5: masks", "other file")),
    BadInput("a manifest of words", with_manifest("no"), ("manifest.json is damaged", "delete it")),
    BadInput("a manifest of numbers", with_manifest('{"y.h5": 7}'), ("manifest.json is damaged",)),
    BadInput(
        "damaged metadata", with_metadata("config: ["), ("metadata.yaml is damaged", "delete")
    ),
    BadInput(
        "metadata without options", with_metadata("name: x"), ("metadata.yaml has no config",)
    ),
    BadInput("a file for the data", root_is_file, ("file is a file", "give the folder")),
)


@table(*PREPARED)
def test_prepared_scans_are_whole_and_finite(case, tmp_path):
    old = write_scan(tmp_path / "x.h5")
    before = old.read_bytes()
    assert_refused(case, tmp_path)
    assert old.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
