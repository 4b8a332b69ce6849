"""Volumes and MATLAB files that cannot be read."""

import sys

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
from bad_inputs import BadInput, assert_refused, table

from data_scripts.mri import low_field as mri_low_field
from data_scripts.mri.volumes import find_volumes


def volume(name, save):
    def act(folder):
        save(folder / name)
        find_volumes([folder / name], 2)[0].read()

    return act


def rgb(path):
    values = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def nifti(shape):
    return lambda path: nibabel.save(nibabel.Nifti1Image(np.ones(shape), np.eye(4)), path)


def truncated_nifti(path):
    nifti((8, 9, 10))(path)
    path.write_bytes(path.read_bytes()[:-700])


def without_nibabel(folder):
    nifti((4, 5, 6))(folder / "a.nii.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "nibabel", None)
        find_volumes([folder / "a.nii.gz"], 2)[0].read()


def mat(save):
    def act(folder):
        save(folder / "a.mat")
        mri_low_field.read_low_field(folder / "a.mat", (4, 5))

    return act


def mat_73(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["ksp"] = np.ones((3, 3))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def cut_mat(path):
    scipy.io.savemat(path, {"ksp": np.ones((4, 5, 2)) + 0j})
    path.write_bytes(path.read_bytes()[:300])


VOLUMES = (
    BadInput("colours", volume("a.nii.gz", rgb), ("a.nii.gz", "'R'", "one number per voxel")),
    BadInput(
        "five axes", volume("a.nii.gz", nifti((4, 5, 6, 1, 3))), ("(4, 5, 6, 1, 3)", "echoes")
    ),
    BadInput("two axes", volume("a.npy", lambda p: np.save(p, np.ones((4, 5)))), ("(4, 5)",)),
    BadInput("no slice", volume("a.npy", lambda p: np.save(p, np.ones((4, 5, 0)))), ("(4, 5, 0)",)),
    BadInput(
        "truncated",
        volume("a.nii", truncated_nifti),
        ("a.nii is truncated or damaged", "save it again"),
    ),
    BadInput(
        "no NIfTI",
        volume("a.nii", lambda p: p.write_text("no")),
        ("a.nii is truncated or damaged", "save it again"),
    ),
    BadInput(
        "objects",
        volume("a.npy", lambda p: np.save(p, np.array([{}, []], object), allow_pickle=True)),
        ("a.npy is truncated or damaged", "Python objects", "one array of numbers"),
    ),
    BadInput(
        "two arrays",
        volume("a.npz", lambda p: np.savez(p, x=np.ones(3), y=np.ones(3))),
        ("a.npz is truncated or damaged", "one array of numbers"),
    ),
    BadInput(
        "no ZIP",
        volume("a.npz", lambda p: p.write_bytes(b"PK\x03\x04")),
        ("a.npz is truncated or dam", "zip"),
    ),
    BadInput(
        "NaN",
        volume("a.npy", lambda p: np.save(p, np.full((4, 5, 6), np.nan))),
        ("a.npy holds NaN",),
    ),
    BadInput("NIfTI without nibabel", without_nibabel, ("a.nii.gz", "pip install nibabel", ".npy")),
    BadInput("MATLAB 7.3", mat(mat_73), ("a.mat ", "v7.3", "'-v7'")),
    BadInput(
        "half a MATLAB file", mat(cut_mat), ("a.mat is truncated or damaged", "fetch it again")
    ),
    BadInput(
        "no MATLAB file",
        mat(lambda p: p.write_text("x" * 200)),
        ("a.mat is truncated or damaged", "or of another format"),
    ),
    BadInput(
        "a cell array",
        mat(lambda p: scipy.io.savemat(p, {"ksp": np.full((4, 5, 2), "x", object)})),
        ("a.mat holds {'ksp': 'object (4, 5, 2)'}", "complex numbers"),
    ),
)


@table(*VOLUMES)
def test_volumes_that_cannot_be_read_are_named(case, tmp_path):
    assert_refused(case, tmp_path)
