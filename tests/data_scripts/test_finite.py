import re

import numpy as np
import pytest

from data_scripts.finite import require_finite

AXES = ("a", "b", "c")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, complex(0, np.nan)])
def test_the_first_value_that_is_not_finite_is_named(bad):
    values = np.zeros((2, 3, 4), complex)
    require_finite("x", values, AXES, "repair it")
    values[1, 0, 2] = values[1, 2, 0] = bad
    says = "x holds NaN or infinity in 2 of 24 values, the first at a 1, b 0, c 2; repair it"
    with pytest.raises(ValueError, match=re.escape(says)):
        require_finite("x", values, AXES, "repair it")


def test_infinities_that_cancel_in_the_sum_are_found():
    with pytest.raises(ValueError, match="in 2 of 2 values, the first at a 0;"):
        require_finite("x", np.array([np.inf, -np.inf]), ["a"], "")


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, np.int16, bool])
def test_large_values_whose_sum_overflows_are_finite(dtype):
    largest = np.finfo(dtype).max if dtype in (np.float16, np.complex64) else 1
    require_finite("x", np.full(9, largest, dtype), ["a"], "")
