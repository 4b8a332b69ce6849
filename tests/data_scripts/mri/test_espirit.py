"""Our ESPIRiT against sigpy's, its own definition, and an object larger than the field of view."""

import numpy as np
import pytest
from mri_scans import smooth_maps
from mri_sources import head

from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.coil_maps import estimate_map_sets
from data_scripts.mri.espirit import espirit

OPTIONS = {"calibration": 18, "kernel": 5, "threshold": 0.02, "crop": 0.9}


@pytest.mark.parametrize("grid", [(45, 38), (31, 64)], ids=str)
@pytest.mark.parametrize("more", [{}, {"kernel": 4, "threshold": 0.05, "crop": 0.5}], ids=str)
def test_the_first_set_is_that_of_sigpy(grid, more):
    from sigpy.mri.app import EspiritCalib

    options = OPTIONS | more
    kspace, _ = head(grid, 4)
    ours = espirit(kspace, **options, n_sets=2)[0]
    theirs = EspiritCalib(
        kspace,
        calib_width=options["calibration"],
        kernel_width=options["kernel"],
        thresh=options["threshold"],
        crop=options["crop"],
        show_pbar=False,
    ).run()
    assert 0.1 < ours.any(0).mean() <= 1
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_sets_are_orthonormal_where_they_are():
    kspace = folded()
    maps = espirit(kspace, **OPTIONS, n_sets=2)
    products = np.einsum("sc...,tc...->st...", maps.conj(), maps)
    np.testing.assert_allclose(products[0, 1], 0, atol=1e-5)
    for number in (0, 1):
        there = maps[number].any(0)
        np.testing.assert_allclose(products[number, number][there], 1, atol=1e-5)


def folded(n_coils=6, grid=(40, 36)):
    """K-space of an object that is longer than the field of view along the first axis."""
    n_y, n_z = grid
    large = (2 * n_y, n_z)
    maps = smooth_maps(n_coils, large, seed=3)
    y, z = np.meshgrid(np.arange(2 * n_y) - n_y, np.linspace(-1, 1, n_z), indexing="ij")
    image = ((y / (0.7 * n_y)) ** 2 + (z / 0.7) ** 2 < 1) * np.exp(0.5j * z)
    images = maps * image
    # pixels a field of view apart fall on one
    seen = images[:, n_y // 2 : 3 * n_y // 2].copy()
    seen[:, n_y // 2 :] += images[:, : n_y // 2]
    seen[:, : n_y // 2] += images[:, 3 * n_y // 2 :]
    return fft_centred(seen).astype(np.complex64)


def test_a_second_set_is_where_the_field_of_view_folds():
    maps = espirit(folded(), **OPTIONS | {"crop": 0.8}, n_sets=2)
    there = maps[1].any(0)[:, 9:-9]
    assert there[:4].mean() > 0.8  # both ends of the object lie there
    assert there[-4:].mean() > 0.8
    assert there[14:26].mean() < 0.1
    single, _ = head((40, 36), 6)
    assert espirit(single, **OPTIONS, n_sets=2)[1].any(0).mean() < 0.02


@pytest.mark.parametrize(
    ("method", "n_sets"), [("espirit", 3), ("espirit", 0), ("jsense", 2)], ids=str
)
def test_sets_that_there_are_not_are_refused(method, n_sets):
    kspace = np.ones((2, 30, 30), np.complex64)
    with pytest.raises(ValueError, match=f"got n_sets={n_sets} with {method}"):
        estimate_map_sets(kspace, method, 20, 4, 0.02, 0.9, n_sets)
