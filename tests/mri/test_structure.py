"""Structural similarity in torch: scikit-image's values, gradients, images without signal."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as reference

from mri.metrics.losses import STRUCTURE_WEIGHT, find_loss
from mri.metrics.structure import structural_similarity


def magnitudes(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).random(shape))


def test_each_image_has_the_value_of_scikit_image():
    scales = torch.tensor([1e-3, 1.0, 40.0], dtype=torch.float64)
    t = magnitudes(2, 3, 17, 23) * scales[:, None, None]
    p = 0.7 * t + 0.2 * t.flip(-1)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = [
        reference(b, a, data_range=b.max(), win_size=11, **options)
        for a, b in zip(p.flatten(0, 1).numpy(), t.flatten(0, 1).numpy(), strict=True)
    ]
    torch.testing.assert_close(structural_similarity(p, t).tolist(), expected)


def test_its_gradient_is_that_of_differences():
    t, p = magnitudes(2, 12, 13), magnitudes(2, 13, 12).mT.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: structural_similarity(p, t), p)


def test_images_without_signal_are_left_out():
    t = magnitudes(3, 11, 11)
    t[1] = 0
    p = t.clone().requires_grad_()
    similarity = structural_similarity(p, t)
    torch.testing.assert_close(similarity, torch.ones(2, dtype=torch.float64))
    similarity.sum().backward()
    assert p.grad.isfinite().all()
    assert structural_similarity(p[1:2], t[1:2]).numel() == 0


def test_the_loss_is_the_squared_error_and_what_structure_lacks():
    t = torch.polar(magnitudes(2, 12, 14), 6 * magnitudes(2, 14, 12).mT)
    p = t * 1j + 0.1
    lacking = 1 - structural_similarity(p.abs(), t.abs()).mean()
    for given, weight in (((), STRUCTURE_WEIGHT), ((0.5,), 0.5), ((0.0,), 0.0)):
        loss = find_loss("l2_ssim", *given)(p, t)
        torch.testing.assert_close(loss, find_loss("l2")(p, t) + weight * lacking)
    empty = torch.zeros(2, 12, 14, dtype=torch.complex64)
    torch.testing.assert_close(find_loss("l2_ssim")(empty + 2, empty).item(), 4.0)


def test_an_image_below_the_window_is_refused():
    t = magnitudes(1, 10, 40)
    with pytest.raises(ValueError, match="at least 11 x 11 pixels, got 10 x 40; use loss=l2"):
        structural_similarity(t, t)
