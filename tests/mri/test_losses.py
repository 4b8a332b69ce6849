"""Training losses: values, and gradients where images are equal."""

import pytest
import torch

from mri.metrics.losses import find_loss


@pytest.mark.parametrize("name", ["l1", "l2", "l1_magnitude"])
def test_losses_are_zero_with_finite_gradients_where_images_are_equal(name):
    for value in (0.0, 1.0 + 2.0j):
        target = torch.full((2, 1, 3, 5), value, dtype=torch.complex64)
        prediction = target.clone().requires_grad_()
        loss = find_loss(name)(prediction, target)
        assert loss == 0
        assert torch.autograd.grad(loss, prediction)[0].isfinite().all()


def test_losses():
    target = torch.tensor([[3 + 4j, 0], [1, 1]], dtype=torch.complex64)
    prediction = torch.tensor([[0, 0], [1j, 1]], dtype=torch.complex64, requires_grad=True)
    assert find_loss("l1")(prediction, target).item() == pytest.approx((5 + 2**0.5) / 4)
    loss = find_loss("l2")(prediction, target)
    assert loss.item() == pytest.approx((25 + 2) / 4)
    assert torch.autograd.grad(loss, prediction)[0].isfinite().all()
    known = "l1, l2, l2_ssim, l1_magnitude"
    with pytest.raises(ValueError, match=f"loss must be one of {known}, got 'mse'"):
        find_loss("mse")
    with pytest.raises(ValueError, match=r"structure_weight=0\.5 is of loss=l2_ssim, got loss=l1"):
        find_loss("l1", 0.5)
