"""What all converters share."""

import numpy as np
import pytest

from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.convert import crop_images


@pytest.mark.parametrize(("n", "keep"), [(26, 13), (28, 14), (30, 15)])
def test_removing_oversampling_crops_the_image(n, keep):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, n, 5)) + 1j * rng.standard_normal((2, n, 5))
    cropped = ifft_centred(crop_images(fft_centred(image), (keep, 5)))
    start = n // 2 - keep // 2
    np.testing.assert_allclose(cropped, image[:, start : start + keep], atol=1e-12)
