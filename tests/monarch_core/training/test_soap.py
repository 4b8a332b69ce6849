"""SOAP against Adam, and against itself in other coordinates."""

import copy

import pytest
import torch
from torch import nn

from monarch_core.training.soap import Soap

OPTIONS = {"lr": 0.02, "betas": (0.9, 0.95), "weight_decay": 0.1}


def minimise(W, gradient, optimizer, n_steps=23):
    for _ in range(n_steps):
        W.grad = gradient(W.detach())
        optimizer.step()
    return W.detach()


def orthogonal(n):
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q


def quadratic(*shape):
    """Return the gradient of |H_1 W H_2 - T|^2 / 2, with H on the last two axes."""
    H_1, H_2 = (torch.randn(n, n, dtype=torch.float64) for n in shape[-2:])
    T = torch.randn(shape, dtype=torch.float64)
    return lambda W: H_1.mT @ (H_1 @ W @ H_2 - T) @ H_2.mT


def test_without_rotation_it_is_adam():
    torch.manual_seed(0)
    gradient = quadratic(3, 4, 5)
    start = torch.randn(3, 4, 5, dtype=torch.float64)
    W = [nn.Parameter(start.clone()) for _ in range(2)]
    soap = minimise(W[0], gradient, Soap([W[0]], max_axis=0, **OPTIONS))
    adam = minimise(W[1], gradient, torch.optim.AdamW([W[1]], **OPTIONS))
    torch.testing.assert_close(soap, adam)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 6, 5)])
def test_a_rotation_of_the_axes_rotates_every_step(shape):
    """What Adam lacks: the path does not depend on the basis of the channels."""
    torch.manual_seed(0)
    gradient = quadratic(*shape)
    A, B = orthogonal(shape[-2]), orthogonal(shape[-1])
    start = torch.randn(shape, dtype=torch.float64)
    W, rotated = nn.Parameter(start.clone()), nn.Parameter(A @ start @ B.mT)
    path = minimise(W, gradient, Soap([W], **OPTIONS))
    other = minimise(
        rotated, lambda X: A @ gradient(A.mT @ X @ B) @ B.mT, Soap([rotated], **OPTIONS)
    )
    torch.testing.assert_close(other, A @ path @ B.mT)
    assert not torch.allclose(path, start, atol=0.1)


def test_a_complex_weight_is_a_real_one_with_an_axis_more():
    torch.manual_seed(0)
    start, gradient = torch.randn(3, 4, 2, dtype=torch.float64), quadratic(3, 4, 2)
    W = [nn.Parameter(start.clone()), nn.Parameter(torch.view_as_complex(start.clone()))]
    real = minimise(W[0], gradient, Soap([W[0]], **OPTIONS))
    complex_ = minimise(
        W[1],
        lambda X: torch.view_as_complex(gradient(torch.view_as_real(X))),
        Soap([W[1]], **OPTIONS),
    )
    torch.testing.assert_close(torch.view_as_real(complex_), real)


def test_a_restored_state_goes_on_in_the_same_way():
    torch.manual_seed(0)
    gradient = quadratic(4, 5)
    W = nn.Parameter(torch.randn(4, 5, dtype=torch.float64))
    optimizer = Soap([W], **OPTIONS)
    minimise(W, gradient, optimizer, n_steps=7)
    other = nn.Parameter(W.detach().clone())
    restored = Soap([other], **OPTIONS)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    torch.testing.assert_close(
        minimise(other, gradient, restored), minimise(W, gradient, optimizer), rtol=0, atol=0
    )


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e30])
def test_a_gradient_that_is_not_finite_leaves_weights_and_state_as_they_were(value):
    torch.manual_seed(0)
    W, v = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(5))
    optimizer = Soap([W, v], **OPTIONS)
    for parameter in (W, v):
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    before = copy.deepcopy([W.data, v.data, optimizer.state_dict()])
    v.grad[3] = value
    with pytest.raises(ValueError, match=r"the gradient has norm (inf|nan), .*; leave this step"):
        optimizer.step()
    torch.testing.assert_close([W.data, v.data, optimizer.state_dict()], before, rtol=0, atol=0)
