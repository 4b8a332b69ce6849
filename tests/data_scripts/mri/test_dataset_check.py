"""What is wrong with prepared scans is said before training, and what is sound is not."""

import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest
from mri_scans import GRID, config, write_dataset, write_scan

from data_scripts.mri.schema import AXES
from mri.dataset.splits import load_splits


def change(path, name, where, value):
    with h5py.File(path, "r+") as file:
        file[name][where] = value


def set_attribute(path, **attributes):
    with h5py.File(path, "r+") as file:
        file.attrs.update(attributes)


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, -np.inf)])
@pytest.mark.parametrize(
    ("name", "where"),
    [("kspace", (2, 1, 0, 3, 4)), ("maps", (2, 1, 3, 4)), ("target", (2, 1, 3, 4))],
)
def test_what_is_not_finite_is_named_when_it_is_read(root, name, where, value):
    change(root / "b.h5", name, where, value)
    train = load_splits(config(root)).train
    others = [i for i in range(len(train)) if i != train.slices_of("b")[2]]
    assert len([train[i] for i in others]) == 5
    place = ", ".join(f"{a} {i}" for a, i in zip(AXES[name], where[1:], strict=True))
    with pytest.raises(
        ValueError, match=rf"b\.h5: scan b, slice 2: {name} holds .* 1 of .* {place};"
    ):
        train[train.slices_of("b")[2]]


def test_large_values_whose_sum_overflows_are_still_finite(root):
    with h5py.File(root / "a.h5", "r+") as file:
        file["kspace"][0] = np.full(file["kspace"].shape[1:], 3e38, np.complex64)
    assert load_splits(config(root)).train[0][0][0].isfinite().all()


@pytest.mark.parametrize("scan", ["c", "d"])
def test_held_out_slices_are_checked_before_training(root, scan):
    splits = load_splits(config(root))
    splits.check_held_out()
    change(root / f"{scan}.h5", "kspace", (1, 0, 2, 5, 6), np.nan)
    with pytest.raises(ValueError, match=rf"scan {scan}, slice 1: kspace holds .* in 1 of"):
        splits.check_held_out()


@pytest.mark.parametrize("target", ["stored", "sense", "rss"])
def test_a_test_echo_without_signal_is_named_before_training(root, target):
    splits = load_splits(config(root, target=target))
    for name in ("kspace", "target"):
        change(root / "d.h5", name, (slice(None), 1), 0)
    with pytest.raises(ValueError, match=r"scan d, echo2: the target has no signal"):
        splits.check_held_out()
    load_splits(config(root, target=target, echoes="echo1")).check_held_out()


def test_empty_edge_slices_and_silent_validation_scans_are_sound(root):
    write_scan(root / "e.h5", split="test", n_slices=5, empty_slices=[0, 3, 4], seed=5)
    write_scan(root / "f.h5", split="valid", empty_slices=[0, 1, 2], seed=6)
    write_scan(root / "g.h5", split="valid", empty_slices=[0, 1, 2], seed=7)
    load_splits(config(root)).check_held_out()


@pytest.mark.parametrize(("split", "scans"), [("train", "ab"), ("valid", "c")])
def test_a_split_without_any_signal_is_refused_before_training(root, split, scans):
    for scan in scans:
        for name in ("kspace", "target"):
            change(root / f"{scan}.h5", name, slice(None), 0)
    splits = load_splits(config(root))
    with pytest.raises(ValueError, match=rf"targets of all {len(scans)} {split} scans are zero"):
        splits.check_held_out()


def test_scans_may_differ_in_slices_coils_and_names_of_echoes(root):
    write_scan(root / "e.h5", n_slices=1, n_coils=1, echo_names=("T1", "PD"), seed=5)
    splits = load_splits(config(root))
    splits.check_held_out()
    assert splits.train.scan_ids == ["a", "b", "e"]


def test_the_same_images_twice_are_refused_unless_they_are_meant(root):
    write_scan(root / "e.h5", split="test", seed=1)
    with pytest.raises(ValueError, match=r"b \(train\) and e \(test\) hold the same images"):
        load_splits(config(root))
    assert load_splits(config(root, allow_duplicates=True)).test.scan_ids == ["d", "e"]
    # a scan that is not used does no harm
    few = next(
        config(root, n_train_scans=1, train_scan_seed=seed)
        for seed in range(9)
        if np.random.default_rng(seed).permutation(2)[0] == 0
    )
    assert load_splits(few).train.scan_ids == ["a"]


def test_one_name_for_two_files_is_refused(root):
    write_scan(root / "e.h5", seed=5)
    set_attribute(root / "e.h5", scan_id="b")
    for allowed in (False, True):
        with pytest.raises(ValueError, match=r"b\.h5 and .*e\.h5 both call themselves scan 'b'"):
            load_splits(config(root, allow_duplicates=allowed))


def test_units_and_kinds_of_target_are_shared(root):
    set_attribute(root / "c.h5", target_kind="rss")
    with pytest.raises(ValueError, match=r"a has 'sense' and c has 'rss'; .*target=sense"):
        load_splits(config(root))
    assert load_splits(config(root, target="sense")).valid.scan_ids == ["c"]
    set_attribute(root / "d.h5", units="tesla")
    with pytest.raises(ValueError, match=r"a has 'arbitrary .* and d has 'tesla'; prepare them"):
        load_splits(config(root, target="sense"))


def test_arrays_that_do_not_belong_together_are_refused_when_loading(root):
    with h5py.File(root / "d.h5", "r+") as file:
        maps = file["maps"][:, :2]
        del file["maps"]
        file["maps"] = maps
    with pytest.raises(ValueError, match=r"d\.h5: maps is complex64 of shape \(3, 2, 17, 12\)"):
        load_splits(config(root))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"norm": "backward"}, "centred and orthonormal"),
        ({"centered": False}, "centred and orthonormal"),
        ({"scale": np.nan}, "scale must be a positive number, got nan"),
        ({"scale": 0.0}, r"scale must be a positive number, got 0\.0"),
        ({"echo_names": ["one"]}, "has 2 echoes and the names"),
    ],
)
def test_conventions_are_checked_when_loading(root, attributes, message):
    set_attribute(root / "b.h5", **attributes)
    with pytest.raises(ValueError, match=rf"b\.h5.*{message}"):
        load_splits(config(root))


def test_targets_that_were_not_divided_by_their_scale_are_warned_about(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_splits(config(root))
    with h5py.File(root / "b.h5", "r+") as file:
        for name in ("kspace", "target"):
            file[name][...] = 1e-7 * file[name][()]
    with pytest.warns(UserWarning, match=r"b\.h5: the target of slice 1 .* of .*e-0"):
        load_splits(config(root))


def test_a_fingerprint_is_that_of_what_the_files_hold_wherever_they_lie(root, tmp_path):
    before = load_splits(config(root)).fingerprints
    assert set(before) == {"train", "valid", "test"}
    assert len(set(before.values())) == 3
    elsewhere = write_dataset(tmp_path / "elsewhere")
    assert load_splits(config(elsewhere, acceleration=1.0)).fingerprints == before
    change(elsewhere / "d.h5", "kspace", (1, 0, 2, 5, 6), 0)
    changed = load_splits(config(elsewhere)).fingerprints
    assert {name for name in before if before[name] != changed[name]} == {"test"}
    fewer = load_splits(replace(config(root), n_train_scans=1)).fingerprints
    assert {name for name in before if before[name] != fewer[name]} == {"train"}


def test_odd_grids_of_one_coil_slice_and_echo_are_sound(tmp_path):
    root = write_dataset(tmp_path, n_slices=1, n_coils=1, echo_names=("t2",), grid=(13, 11))
    with pytest.warns(UserWarning, match="exceeds the 1 coil"):
        splits = load_splits(config(root))
    splits.check_held_out()
    assert splits.train[0][1].shape == (1, 13, 11) != GRID
