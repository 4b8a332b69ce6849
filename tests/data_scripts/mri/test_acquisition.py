import numpy as np
import pytest

from data_scripts.mri.acquisition import (
    acquire,
    echo_phases,
    loop_field,
    loop_maps,
    normalise_maps,
)
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.scanner import Scanner

GRID = (15, 12)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def image(rng):
    return (rng.standard_normal((2, *GRID)) + 1j * rng.standard_normal((2, *GRID))).astype(
        np.complex64
    )


def test_the_target_is_what_an_ideal_scanner_measures_with_the_same_noise(image):
    maps = np.ones((1, *GRID), np.complex64)
    images = image[:, None]
    ideal, skewed = (
        acquire(images, maps, 0.1, scanner, np.random.default_rng(1))
        for scanner in (Scanner(), Scanner(trajectory=0.5))
    )
    np.testing.assert_allclose(ifft_centred(ideal.kspace)[:, 0], ideal.target, atol=1e-5)
    np.testing.assert_allclose(skewed.target, ideal.target, atol=1e-5)
    assert np.abs(skewed.kspace - ideal.kspace).max() > 0.1


def test_noise_has_the_size_that_was_asked_for():
    images, maps = np.zeros((1, 4, 64, 48), np.complex64), np.ones((4, 64, 48), np.complex64)
    kspace = acquire(images, maps, 0.02, Scanner(), np.random.default_rng(0)).kspace
    assert kspace.real.std() == pytest.approx(0.02, rel=0.03)
    assert kspace.imag.std() == pytest.approx(0.02, rel=0.03)


def test_the_field_of_a_loop_on_its_axis_is_biot_savart():
    radius, heights = 0.7, np.array([0.0, 0.5, 1.2])
    points = np.stack([np.zeros(3), np.zeros(3), heights], -1)
    tilted = np.array([0.0, 0.6, 0.8])
    field = loop_field(points[:, [2]] * tilted, np.zeros(3), tilted, radius, n_segments=200)
    along = field @ tilted
    expected = 2 * np.pi * radius**2 / (radius**2 + heights**2) ** 1.5
    np.testing.assert_allclose(np.abs(along), expected, rtol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(field, axis=1), np.abs(along), rtol=1e-6)


def test_coils_overlap_and_are_smooth(rng):
    maps, shading = normalise_maps(loop_maps((40, 30), 6, 0.1, rng))
    power = np.abs(maps) ** 2
    np.testing.assert_allclose(power.sum(0), 1, atol=1e-5)
    middle = power[:, 10:30, 8:22]
    assert (1 / (middle**2).sum(0)).mean() > 2  # coils that see the same pixel
    spectrum = np.abs(fft_centred(maps)) ** 2
    assert spectrum[:, 14:27, 9:22].sum() > 0.95 * spectrum.sum()
    assert shading.min() > 0


def test_equal_states_place_equal_coils_at_every_depth():
    a, b, far = (
        loop_maps((16, 16), 3, depth, np.random.default_rng(seed))
        for seed, depth in ((0, 0.0), (0, 0.01), (1, 0.0))
    )
    assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(a)
    assert np.linalg.norm(a - far) > 0.3 * np.linalg.norm(a)


def test_phases_grow_with_echo_time(rng):
    first, second, third = echo_phases((10, 8), [0.0, 10.0, 20.0], rng)
    np.testing.assert_allclose(third - second, second - first, atol=1e-5)
    assert np.ptp(second - first) > 0.01
