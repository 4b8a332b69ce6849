"""SKM-TEA scans that are no ground truth."""

import h5py
import numpy as np
import pytest
from bad_inputs import BadInput, assert_refused, table
from mri_sources import (
    write_skm_tea_folder,
)

from data_scripts.mri import skm_tea
from data_scripts.recipe import produce


def with_skm_tea(change=lambda path: None, annotations=None, **more):
    def act(folder):
        write_skm_tea_folder(folder)
        change(folder / "files_recon_calib-24" / "MTR_001.h5")
        if annotations is not None:
            (folder / "annotations" / "v1.0.0" / "train.json").write_text(annotations)
        options = {"out": str(folder / "out"), "source_dir": str(folder), **more}
        produce(skm_tea.SkmTeaRecipe(**options))

    return act


def replaced(name, change):
    def act(path):
        with h5py.File(path, "r+") as file:
            values = file[name][()]
            del file[name]
            file[name] = change(values)

    return act


def without_every_second_line_of_echo_2(kspace):
    kspace[1, ::2, :, 1] = 0  # x, ky, kz, echoes, coils
    return kspace


def linked_mask(path):
    with h5py.File(path, "r+") as file:
        file["masks/poisson_4.0x"] = h5py.ExternalLink("/etc/passwd", "x")


SKM_TEA = (
    BadInput(
        "a file name above the folder",
        with_skm_tea(annotations='{"images": [{"file_name": "../../MTR_001.h5"}]}'),
        ("'../../MTR_001.h5'", "train.json", "rename"),
    ),
    BadInput("no list of images", with_skm_tea(annotations="[]"), ("train.json is no list",)),
    BadInput("no JSON", with_skm_tea(annotations="images"), ("train.json is no list", "again")),
    BadInput(
        "one slice of all", with_skm_tea(slice_step=9), ("4 slices", "slice_step=9", "smaller")
    ),
    BadInput(
        "NaN in maps",
        with_skm_tea(replaced("maps", lambda m: np.where(np.arange(4) == 1, np.nan, m.T).T)),
        ("MTR_001.h5: slice 1 of the maps", "coil 0, y 0, z 0"),
    ),
    BadInput(
        "NaN in the target",
        with_skm_tea(replaced("target", lambda t: np.where(np.arange(4) == 3, np.nan, t.T).T)),
        ("MTR_001", "slice 3: target", "echo 0"),
    ),
    BadInput(
        "undersampled in one echo",
        with_skm_tea(replaced("kspace", without_every_second_line_of_echo_2)),
        ("MTR_001.h5: ", "echo 1", "accept=[gaps]"),
    ),
    BadInput(
        "a mask from outside", with_skm_tea(linked_mask), ("masks/poisson_4.0x", "other file")
    ),
    BadInput(
        "a truncated scan",
        with_skm_tea(lambda p: p.write_bytes(p.read_bytes()[:3000])),
        ("MTR_001.h5 is truncated", "unpack the scan again"),
    ),
)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@table(*SKM_TEA)
def test_skm_tea_scans_that_are_no_ground_truth_are_refused(case, tmp_path):
    folder = tmp_path / "skm-tea"
    assert_refused(case, folder)
    assert not (folder / "out" / "MTR_001.h5").exists()
