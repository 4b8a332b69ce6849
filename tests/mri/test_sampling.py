"""Which points of k-space a dataset samples, in every regime."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from mri_scans import GRID, config, masks_of_an_epoch, write_dataset, write_scan

from mri.dataset.splits import load_splits


def test_one_fixed_mask_serves_all_scans(root):
    splits = load_splits(config(root))
    masks = [splits.train.mask_of("a"), splits.train.mask_of("b"), splits.test.mask_of("d")]
    assert all(torch.equal(mask, masks[0]) for mask in masks)
    other = load_splits(config(root, mask_seed=7))
    assert not torch.equal(other.train.mask_of("a"), masks[0])


def test_a_mask_per_scan_depends_on_its_name_alone(root):
    options = {"mask_regime": "scan"}
    splits = load_splits(config(root, **options))
    before = splits.test.mask_of("d")
    assert not torch.equal(splits.train.mask_of("a"), splits.train.mask_of("b"))
    write_scan(root / "aa.h5", split="test", seed=4)
    assert torch.equal(load_splits(config(root, **options)).test.mask_of("d"), before)


def test_another_mask_seed_gives_the_same_slices_under_another_mask(root):
    seen = load_splits(config(root)).test
    unseen = seen.with_mask_seed(1)
    assert torch.equal(
        unseen.mask_of("d"), load_splits(config(root, mask_seed=1)).test.mask_of("d")
    )
    assert not torch.equal(unseen.mask_of("d"), seen.mask_of("d"))
    assert torch.equal(unseen[1][1], seen[1][1])


def test_random_masks_differ_between_items_and_epochs_and_come_again(root):
    options = {"mask_regime": "random"}
    train = load_splits(config(root, **options)).train
    first, second = masks_of_an_epoch(train, 0), masks_of_an_epoch(train, 1)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    again = load_splits(config(root, **options)).train
    assert torch.equal(masks_of_an_epoch(again, 1), second)
    other = load_splits(config(root, mask_seed=1, **options)).train
    assert not torch.equal(masks_of_an_epoch(other, 0), first)


def test_random_masks_are_for_training_only(root):
    splits = load_splits(config(root, mask_regime="random"))
    for dataset in (splits.valid, splits.test):
        assert torch.equal(masks_of_an_epoch(dataset, 0), masks_of_an_epoch(dataset, 1))


def test_random_poisson_masks_are_drawn_from_a_bank(tmp_path):
    root = write_dataset(tmp_path, grid=(40, 36), n_slices=2)
    options = {"mask": "poisson", "calibration": 4, "mask_regime": "random", "n_random_masks": 3}
    train = load_splits(config(root, **options)).train
    drawn = torch.cat([masks_of_an_epoch(train, epoch) for epoch in range(6)])
    assert len(torch.unique(drawn.flatten(1), dim=0)) == 3


def store(path, **masks):
    with h5py.File(path, "r+") as file:
        for name, mask in masks.items():
            file[f"masks/{name}"] = mask


@pytest.fixture(scope="module")
def mask_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("masks")


@pytest.fixture
def padded(tmp_path, mask_cache):
    """Make scans as SKM-TEA has them: k-space padded with zeros, a mask in the test scan alone."""
    root = write_dataset(tmp_path / "scans", grid=(40, 36), n_slices=1)
    acquired = np.zeros((40, 36), bool)
    acquired[5:35, 6:30] = True
    third = np.arange(40 * 36).reshape(40, 36) % 3 == 0
    for name in "abcd":
        store(root / f"{name}.h5", acquired=acquired)
    store(root / "d.h5", **{"poisson_3.0x": third})
    options = {"mask": "stored", "acceleration": 3.0, "calibration": 4}
    return config(root, **options, mask_cache=str(mask_cache)), acquired, third


def test_stored_masks_serve_the_test_scans_within_what_was_acquired(padded):
    dataset, acquired, stored = padded
    test = load_splits(dataset).test
    np.testing.assert_array_equal(test.mask_of("d"), stored & acquired)
    assert test.acceleration_of("d") == pytest.approx(3)
    assert torch.equal(test.with_mask_seed(1).mask_of("d"), test.mask_of("d"))


def test_scans_without_a_stored_mask_get_poisson_masks_of_what_was_acquired(padded):
    dataset, acquired, _ = padded
    splits = load_splits(replace(dataset, mask_regime="scan"))
    a, b = (splits.train.mask_of(name) for name in "ab")
    c = splits.valid.mask_of("c")
    for mask in (a, b, c):
        assert not mask[~acquired].any()
        assert mask[18:22, 16:20].all()
    assert not torch.equal(a, b)
    assert splits.train.acceleration_of("a") == pytest.approx(3, rel=0.05)
    assert splits.valid.acceleration_of("c") == pytest.approx(3, rel=0.05)
    fixed = load_splits(dataset)
    assert torch.equal(fixed.train.mask_of("a"), fixed.train.mask_of("b"))
    assert torch.equal(fixed.train.mask_of("a"), fixed.valid.mask_of("c"))


def test_poisson_masks_of_a_part_beside_the_centre_are_dense_at_the_centre(padded):
    dataset, acquired, _ = padded
    acquired[:17], acquired[:, 29:] = False, False
    for name in "abc":
        with h5py.File(Path(dataset.root) / f"{name}.h5", "r+") as file:
            file["masks/acquired"][...] = acquired
    train = load_splits(dataset).train
    assert train.mask_of("a")[18:22, 16:20].all()
    assert train.mask_of("a")[30:].any()
    assert not train.mask_of("a")[~acquired].any()


def test_a_test_scan_without_the_stored_mask_is_named(padded):
    dataset, _, _ = padded
    message = r"d\.h5 holds no masks/poisson_1.0x, only \['poisson_3.0x'\]; name one of these"
    with pytest.raises(ValueError, match=message):
        load_splits(replace(dataset, acceleration=1.0))


def test_a_stored_mask_that_samples_nothing_is_refused(root):
    for path in root.glob("*.h5"):
        store(path, **{"poisson_2.0x": np.zeros(GRID, bool)})
    with pytest.raises(ValueError, match="samples nothing"):
        load_splits(config(root, mask="stored"))


def test_what_was_not_acquired_is_never_sampled(root):
    acquired = np.ones(GRID, bool)
    acquired[:, :3] = False
    with h5py.File(root / "d.h5", "r+") as file:
        file["masks/acquired"] = acquired
    test = load_splits(config(root, acceleration=1.0)).test
    np.testing.assert_array_equal(test.mask_of("d"), acquired)
    assert test.acceleration_of("d") == pytest.approx(1)


@pytest.mark.parametrize("regime", ["fixed", "scan", "random"])
def test_masks_beside_what_was_acquired_are_refused(root, regime):
    beside = np.zeros(GRID, bool)
    beside[3, 0] = True  # no line of the mask goes through it
    for path in root.glob("*.h5"):
        store(path, acquired=beside)
    options = {"acceleration": 6.0, "center_fraction": 0.1, "mask_regime": regime}
    with (
        pytest.warns(UserWarning, match="exceeds the 3 coil"),
        pytest.raises(ValueError, match="samples nothing of what was measured"),
    ):
        masks_of_an_epoch(load_splits(config(root, **options)).train, 0)


def test_an_acceleration_that_is_missed_where_it_was_measured_is_said(root):
    centre = np.zeros(GRID, bool)
    centre[:, 4:8] = True
    store(root / "d.h5", acquired=centre)
    options = {"acceleration": 3.0, "center_fraction": 0.25}
    with pytest.warns(UserWarning, match=r"1 of 1 scans .*=3 asks for: d is sampled at 1\.\d"):
        load_splits(config(root, **options))


def test_partial_fourier_and_corners_left_out_are_sound(root):
    partial = np.ones(GRID, bool)
    partial[:, :3] = False
    y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in GRID), indexing="ij")
    store(root / "c.h5", acquired=partial)
    store(root / "d.h5", acquired=y**2 + z**2 < 1.3)
    splits = load_splits(config(root))
    assert not splits.valid.mask_of("c")[:, :3].any()
    assert not splits.test.mask_of("d")[0, 0]


@pytest.mark.parametrize("name", ["acquired", "poisson_2.0x"])
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((17, 1)), r"has the shape \(17, 1\), but k-space has \(17, 12\)"),
        (np.full(GRID, 0.5), r"holds 0\.5; a mask is 1 where it samples"),
        (np.full(GRID, np.nan), "holds nan; a mask is 1"),
        (np.zeros(GRID), "samples nothing; delete it"),
    ],
    ids=["shape", "weights", "nan", "empty"],
)
def test_masks_in_files_are_masks_of_their_scan(root, name, mask, message):
    for path in root.glob("*.h5"):
        store(path, **{name: mask})
    with pytest.raises(ValueError, match=rf"\.h5: masks/{name} {message}"):
        load_splits(config(root, mask="stored" if name.startswith("poisson") else "random"))


def test_a_stored_mask_may_be_one_row_and_have_any_name(tmp_path):
    row = np.arange(GRID[1]) % 2 == 0
    root = write_dataset(tmp_path)
    for path in root.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            file["masks/mask"] = row
    splits = load_splits(config(root, mask="stored", mask_name="mask", acceleration=2.0))
    for split in (splits.train, splits.valid, splits.test):
        np.testing.assert_array_equal(split[0][0][2], np.broadcast_to(row, GRID))
    with h5py.File(root / "a.h5", "r+") as file:  # of the training split
        del file["masks/mask"]
    with pytest.raises(ValueError, match=r"a\.h5 holds no masks/mask, only \[\]"):
        load_splits(config(root, mask="stored", mask_name="mask", acceleration=2.0))


def test_a_stored_mask_of_another_acceleration_than_stated_is_told(tmp_path):
    masks = {"lines": np.broadcast_to(np.arange(GRID[1]) % 4 == 0, GRID)}
    root = write_dataset(tmp_path, masks=masks)
    with pytest.warns(UserWarning, match=r"sampled at 4x; give dataset.acceleration what"):
        load_splits(config(root, mask="stored", mask_name="lines", acceleration=2.0))
