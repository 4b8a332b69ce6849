"""The completion of partial Fourier data, against the whole."""

import numpy as np
import pytest
from mri_sources import assert_all_sound, head, read, write_cfl

from data_scripts.mri import bart_cfl
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.partial_fourier import complete_pocs
from data_scripts.mri.schema import read_info
from data_scripts.recipe import produce


def lines_from(grid, axis, share):
    """A mask that lacks the first lines along an axis; `share` of all are there."""
    acquired = np.ones(grid, bool)
    np.moveaxis(acquired, axis, 0)[: round((1 - share) * grid[axis])] = False
    return acquired


@pytest.mark.parametrize("grid", [(48, 40), (47, 39)], ids=str)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("share", [5 / 8, 3 / 4])
def test_a_positive_object_of_smooth_phase_comes_back(grid, axis, share):
    whole, _ = head(grid, noise=0)
    acquired = lines_from(grid, axis, share)
    completed = complete_pocs(whole * acquired, acquired)
    truth = ifft_centred(whole)

    def error(kspace):
        return np.linalg.norm(np.abs(ifft_centred(kspace)) - np.abs(truth))

    assert error(completed) < 0.5 * error(whole * acquired)
    np.testing.assert_array_equal(completed[:, acquired], whole[:, acquired])


@pytest.mark.parametrize("grid", [(24, 20), (23, 21)], ids=str)
def test_a_real_positive_image_comes_back_exactly(grid):
    y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid), indexing="ij")
    image = (0.1 + np.exp(-((y**2 + z**2) / 0.1))).astype(np.complex128)
    acquired = lines_from(grid, 0, 3 / 4)
    completed = complete_pocs(fft_centred(image) * acquired, acquired)
    np.testing.assert_allclose(ifft_centred(completed), image, atol=2e-3)


def test_what_lacks_nothing_or_the_same_on_both_sides_is_left_alone():
    kspace, _ = head((24, 21), 2)
    ellipse = np.hypot(*np.ogrid[-1:1:24j, -1:1:21j]) < 1
    odd = np.zeros((25, 21), bool)
    odd[3:-3] = True
    for acquired, data in ((np.ones((24, 21), bool), kspace), (odd, np.ones((1, 25, 21)) * odd)):
        assert complete_pocs(data, acquired) is data
    assert not complete_pocs(kspace * ellipse, ellipse)[:, ~(ellipse | ellipse[::-1, ::-1])].all()


def test_converters_complete_the_target_and_keep_what_was_measured(tmp_path):
    grid = (48, 40)
    acquired = lines_from(grid, 1, 5 / 8)
    whole = {}
    for seed, name in enumerate("abc"):
        kspace, maps = head(grid, 4, seed=seed, noise=0.002)
        whole[name] = (ifft_centred(kspace) * maps.conj()).sum(0)
        write_cfl(tmp_path / name, (kspace * acquired).transpose(1, 2, 0)[:, :, None])
        write_cfl(tmp_path / f"{name}_maps", maps.transpose(1, 2, 0)[:, :, None])
    files = {
        split: [str(tmp_path / f"{name}.cfl")]
        for split, name in zip(("train", "valid", "test"), "abc", strict=True)
    }
    errors = {}
    for option in ("none", "pocs"):
        out = tmp_path / option
        produce(bart_cfl.BartRecipe(out=str(out), partial_fourier=option, **files))
        assert_all_sound(out, 3)
        info, _ = read_info(out / "a.h5")
        assert info.target_kind == ("pocs" if option == "pocs" else "sense")
        stored, _, target = read(out / "a.h5")
        assert not stored[..., ~acquired].any()
        difference = np.abs(info.scale * target[0, 0]) - np.abs(whole["a"])
        errors[option] = np.linalg.norm(difference)
    assert errors["pocs"] < 0.6 * errors["none"]


def test_a_root_sum_of_squares_is_not_completed():
    with pytest.raises(ValueError, match="completes the target=sense, got target=rss"):
        bart_cfl.BartRecipe(partial_fourier="pocs", target="rss")
    with pytest.raises(ValueError, match="partial_fourier must be one of"):
        bart_cfl.BartRecipe(partial_fourier="homodyne")
