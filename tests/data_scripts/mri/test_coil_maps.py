import numpy as np
import pytest
from mri_scans import blob_image, smooth_maps

from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.coil_maps import (
    combine_rss,
    combine_sense,
    compression_matrix,
    estimate_maps,
    noise_covariance,
    whiten,
)

GRID = (33, 28)


@pytest.fixture
def measured():
    maps, image = smooth_maps(4, GRID, seed=1), blob_image(GRID)
    return fft_centred(maps * image).astype(np.complex64), maps, image


def test_sense_of_full_data_is_the_image(measured):
    kspace, maps, image = measured
    np.testing.assert_allclose(combine_sense(kspace[None], maps)[0], image, atol=1e-5)


def test_rss_of_full_data_is_the_magnitude(measured):
    kspace, _, image = measured
    combined = combine_rss(kspace[None])[0]
    np.testing.assert_allclose(combined, np.abs(image), atol=1e-5)
    assert combined.dtype == np.complex64


@pytest.mark.parametrize("method", ["espirit", "jsense"])
def test_estimated_maps_are_the_true_ones_up_to_a_phase(method, measured):
    kspace, maps, image = measured
    estimated = estimate_maps(kspace, method=method, calibration=20, kernel=5)
    inside = np.abs(image) > 0.3
    agreement = np.abs((estimated.conj() * maps).sum(0))[inside]
    assert agreement.min() > 0.97
    norm = np.sqrt((np.abs(estimated) ** 2).sum(0))[inside]
    np.testing.assert_allclose(norm, 1, atol=1e-4)


def test_estimates_are_cached_by_the_data(measured, tmp_path, monkeypatch):
    kspace, _, _ = measured
    options = {"calibration": 16, "kernel": 4, "cache_dir": tmp_path}
    first = estimate_maps(kspace, **options)
    monkeypatch.setattr("data_scripts.mri.coil_maps.estimate_map_sets", None)
    np.testing.assert_array_equal(estimate_maps(kspace, **options), first)
    with pytest.raises(TypeError, match="not callable"):
        estimate_maps(2 * kspace, **options)


def test_a_slice_without_signal_has_no_maps():
    assert not estimate_maps(np.zeros((3, 30, 30), np.complex64)).any()


def test_a_single_coil_is_everywhere():
    kspace = fft_centred(blob_image(GRID))[None].astype(np.complex64)
    np.testing.assert_array_equal(estimate_maps(kspace), np.ones((1, *GRID)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "walsh"}, "one of"),
        ({"calibration": 40}, "calibration 40 and grid"),
        ({"kernel": 30}, "kernel=30 and calibration=24"),
        ({"crop": 1.0}, "crop must be from 0 to below 1, got 1.0"),
        ({"threshold": -0.1}, "threshold must be"),
    ],
)
def test_wrong_options_are_named(options, message, measured):
    with pytest.raises(ValueError, match=message):
        estimate_maps(measured[0], **options)


def test_whitened_noise_is_white():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
    draws = rng.standard_normal((3, 5000)) + 1j * rng.standard_normal((3, 5000))
    noise = mixing @ draws
    covariance = noise_covariance(noise)
    white = whiten(noise.reshape(3, 50, 100), covariance).reshape(3, -1)
    np.testing.assert_allclose(noise_covariance(white), np.eye(3), atol=1e-12)


def test_whitening_does_not_change_which_image_fits_best(measured):
    kspace, maps, image = measured
    covariance = np.diag([1.0, 4.0, 0.5, 2.0]).astype(complex)
    covariance[0, 1] = covariance[1, 0] = 0.3
    white_maps = whiten(maps, covariance)
    images = ifft_centred(whiten(kspace, covariance))
    solved = (white_maps.conj() * images).sum(0) / (np.abs(white_maps) ** 2).sum(0)
    np.testing.assert_allclose(solved, image, atol=1e-4)


def test_a_covariance_needs_samples_and_noise():
    with pytest.raises(ValueError, match="at least as many samples, got 2"):
        noise_covariance(np.ones((3, 2), complex))
    with pytest.raises(ValueError, match="positive definite"):
        whiten(np.ones((2, 4, 4), complex), np.zeros((2, 2), complex))


def test_compression_keeps_what_virtual_coils_can_hold():
    rng = np.random.default_rng(0)
    two = rng.standard_normal((2, 40)) + 1j * rng.standard_normal((2, 40))
    mixing = rng.standard_normal((6, 2)) + 1j * rng.standard_normal((6, 2))
    data = mixing @ two
    matrix, kept = compression_matrix(data, 2)
    assert kept == pytest.approx(1)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(matrix.conj().T @ (matrix @ data), data, atol=1e-12)
    assert compression_matrix(data, 1)[1] < 0.99
    with pytest.raises(ValueError, match="between 1 and 6"):
        compression_matrix(data, 7)
