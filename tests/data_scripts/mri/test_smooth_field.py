import numpy as np
import pytest

from data_scripts.mri.smooth_field import smooth_field


def test_fields_are_bounded_and_smooth():
    field = smooth_field((30, 20), np.random.default_rng(0))
    assert np.abs(field).max() == pytest.approx(1)
    assert np.abs(np.diff(field, axis=0)).max() < 0.5


def test_the_same_state_makes_the_same_field_on_a_finer_grid():
    coarse, fine = (smooth_field((n, 7), np.random.default_rng(2)) for n in (17, 33))
    np.testing.assert_allclose(coarse / coarse[3, 3], fine[::2] / fine[6, 3], rtol=1e-4, atol=1e-5)
