"""End-to-end check on a measured, fully sampled 7-coil slice: maps, masks, reconstruction."""

import h5py
import numpy as np
import pytest

from data_scripts.mri.brain_slice import BrainSliceRecipe, load_brain_slice
from data_scripts.mri.coil_maps import combine_rss, combine_sense
from data_scripts.mri.download import BESIDE
from data_scripts.mri.schema_check import check_scan
from data_scripts.recipe import produce
from mri.physics.acceleration import achieved_acceleration
from mri.physics.masks import make_masks

pytestmark = pytest.mark.skipif(
    not BESIDE.is_dir(), reason="the public source files are not beside the repository"
)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    out = tmp_path_factory.mktemp("brain_slice")
    produce(BrainSliceRecipe(out=str(out)))
    return out / "brain_slice.h5"


def test_the_slice_is_sound(scan):
    assert check_scan(scan) == []
    kspace = load_brain_slice()
    assert kspace.shape == (7, 256, 216)


def test_sense_of_full_data_has_the_magnitude_of_the_coils(scan):
    with h5py.File(scan) as file:
        kspace, target = file["kspace"][0], file["target"][0]
    rss = combine_rss(kspace).real
    inside = rss > 0.1 * rss.max()
    difference = np.abs(np.abs(target) - rss)[inside]
    assert np.median(difference / rss[inside]) < 0.01


def test_zero_filled_sense_has_the_published_error(scan, tmp_path):
    with h5py.File(scan) as file:
        kspace, maps, target = (file[name][0] for name in ("kspace", "maps", "target"))
    (mask,) = make_masks("poisson", (256, 216), 2.0, [0], calibration=24, cache_dir=tmp_path)
    assert achieved_acceleration(mask) == pytest.approx(2, rel=0.05)
    image = combine_sense(kspace * mask, maps)
    error = np.sqrt((np.abs(image - target) ** 2).mean())
    psnr = 20 * np.log10(np.abs(target).max() / error)
    # 31.3 dB at 2.08x with another mask of this kind
    assert psnr == pytest.approx(31.3, abs=1.0)
