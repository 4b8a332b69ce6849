import numpy as np
import pytest

from data_scripts.mri.centred_fft import fft_centred, ifft_centred, resize_centred

GRIDS = [(3, 3), (4, 6), (7, 5), (13, 12)]


def random_complex(*shape):
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_it_is_the_centred_orthonormal_dft(grid):
    x = random_complex(2, *grid)
    matrices = []
    for n in grid:
        k = np.arange(n) - n // 2
        matrices.append(np.exp(-2j * np.pi * np.outer(k, k) / n) / np.sqrt(n))
    np.testing.assert_allclose(fft_centred(x), matrices[0] @ x @ matrices[1].T, atol=1e-12)
    np.testing.assert_allclose(ifft_centred(fft_centred(x)), x, atol=1e-12)


def test_a_constant_becomes_its_centre():
    expected = np.zeros((3, 3))
    expected[1, 1] = 3
    np.testing.assert_allclose(fft_centred(np.ones((3, 3))), expected, atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [(7, 4), (8, 5), (4, 7), (5, 8), (6, 6)])
def test_resizing_keeps_the_centre(old, new):
    x = np.arange(1, old + 1)[None]
    resized = resize_centred(x, (new,), (-1,))
    assert resized.shape == (1, new)
    assert resized[0, new // 2] == x[0, old // 2]


def test_cropping_kspace_keeps_the_values_of_a_smooth_image():
    n_old, n_new = 64, 24
    place = np.linspace(-np.pi, np.pi, n_old, endpoint=False)
    image = (2 + np.cos(3 * place) + 1j * np.sin(5 * place))[None]
    kspace = resize_centred(fft_centred(image, (-1,)), (n_new,), (-1,))
    coarse = ifft_centred(kspace, (-1,)) * np.sqrt(n_new / n_old)
    place = np.linspace(-np.pi, np.pi, n_new, endpoint=False)
    expected = (2 + np.cos(3 * place) + 1j * np.sin(5 * place))[None]
    np.testing.assert_allclose(coarse, expected, atol=1e-12)


def test_resizing_needs_a_length_per_axis():
    with pytest.raises(ValueError, match="positive length for each"):
        resize_centred(np.ones((4, 4)), (3,), (-2, -1))
