import numpy as np
import pytest

from pde.dataset.thinning import thin


@pytest.mark.parametrize(("n", "grid"), [(8192, 1024), (12, 3), (15, 5), (7, 7)])
def test_a_periodic_axis_keeps_equidistant_points_from_zero(n, grid):
    np.testing.assert_allclose(
        (np.arange(n) / n)[thin(n, grid, periodic=True)], np.arange(grid) / grid
    )


@pytest.mark.parametrize(("n_intervals", "grid"), [(128, 64), (128, 16), (420, 70), (12, 3)])
def test_other_axes_give_the_centres_of_cells(n_intervals, grid):
    points = np.arange(n_intervals + 1) / n_intervals
    np.testing.assert_allclose(
        points[thin(n_intervals + 1, grid, periodic=False)], (np.arange(grid) + 0.5) / grid
    )


@pytest.mark.parametrize("grid", [85, 141, 211, 421])
def test_the_published_darcy_grids_include_both_ends(grid):
    points = np.arange(421) / 420
    np.testing.assert_allclose(points[thin(421, grid, periodic=False)], np.linspace(0, 1, grid))


@pytest.mark.parametrize(
    ("n", "grid", "periodic", "message"),
    [
        (12, 5, True, "12 points cannot be thinned out to 5; set grid to a divisor of 12"),
        (129, 48, False, "set grid to a divisor of 64, a divisor of 128 plus 1, or 129"),
    ],
)
def test_other_grids_are_refused(n, grid, periodic, message):
    with pytest.raises(ValueError, match=message):
        thin(n, grid, periodic=periodic)
