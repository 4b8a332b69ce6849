"""Laws of the maps on channels: they equal 1 x 1 convolutions, in values and gradients."""

import pytest
import torch
from torch.nn.functional import conv1d, gelu

from monarch_core.layers import pointwise
from monarch_core.layers.pointwise import PointwiseMLP


def reference(mlp: PointwiseMLP, x: torch.Tensor) -> torch.Tensor:
    for i, layer in enumerate(mlp.maps):
        x = conv1d(gelu(x) if i else x, layer.weight[..., None], layer.bias)
    return x


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("shape", [(1, 3, 1), (5, 3, 17), (2, 3, 64)])
@pytest.mark.parametrize("chunk", [1, 400, 2**20])
def test_equals_convolutions_however_it_is_cut(hidden, shape, chunk, monkeypatch):
    monkeypatch.setattr(pointwise, "chunk_bytes", lambda device: chunk)
    torch.manual_seed(0)
    mlp = PointwiseMLP(3, hidden, 2).double()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(shape[0], 2, shape[2], dtype=torch.float64)
    inputs = [x, *mlp.parameters()]
    y, expected = mlp(x), reference(mlp, x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(
        torch.autograd.grad(y, inputs, grad), torch.autograd.grad(expected, inputs, grad)
    )


def test_the_hidden_layer_is_not_kept():
    mlp = PointwiseMLP(2, 100, 1)
    x = torch.randn(3, 2, 50)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        mlp(x)
    assert max(shape.numel() for shape in kept) == x.numel()


def test_autocast_gives_bfloat16_and_float32_gradients():
    torch.manual_seed(0)
    mlp = PointwiseMLP(4, 16, 2)
    x = torch.randn(3, 4, 40)
    with torch.autocast("cpu", torch.bfloat16):
        y = mlp(x)
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in mlp.parameters())
    assert (y - mlp(x)).norm() < 0.02 * y.norm()


def test_gradients_under_autocast_do_not_depend_on_the_pieces(monkeypatch):
    torch.manual_seed(0)
    mlp, x = PointwiseMLP(4, 16, 2), torch.randn(8, 4, 4096)
    errors = []
    mlp(x).square().mean().backward()
    exact = [p.grad.clone() for p in mlp.parameters()]
    for chunk in (2**30, 2**11):
        monkeypatch.setattr(pointwise, "chunk_bytes", lambda device, chunk=chunk: chunk)
        mlp.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            y = mlp(x)
        y.float().square().mean().backward()
        pairs = zip(mlp.parameters(), exact, strict=True)
        errors.append(max(float((p.grad - g).norm() / g.norm()) for p, g in pairs))
    assert errors[1] < 1.5 * errors[0]
