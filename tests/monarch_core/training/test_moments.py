"""The moments of Adam that a dense weight inherits from its factors."""

import copy

import pytest
import torch
from torch import nn

from monarch_core.adapters.dense_layers import exchange_linear
from monarch_core.layers.block_diagonal import BlockDiagonalLinear
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.low_rank import LowRankLinear
from monarch_core.layers.swap import densify
from monarch_core.training.moments import carried_moments, least_gradient, spread_square
from monarch_core.training.soap import Soap


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("s", "t", "a"), [(5, 2, 7), (7, 1, 3), (4, 3, 4), (3, 5, 6)])
def test_the_least_gradient_gives_the_gradients_of_the_factors_and_no_other_is_smaller(s, t, a):
    l, r, G = random(s, t, seed=1), random(t, a, seed=2), random(s, a, seed=3)  # noqa: E741
    least = least_gradient(l, r, G @ r.mT, l.mT @ G)
    torch.testing.assert_close(least @ r.mT, G @ r.mT)
    torch.testing.assert_close(l.mT @ least, l.mT @ G)
    # What is left of G is orthogonal to the least one, so that |G|^2 = |least|^2 + |rest|^2.
    torch.testing.assert_close((least * (G - least)).sum(), torch.zeros_like(G[0, 0]))


def test_a_gradient_along_the_product_is_found_whole():
    l, r = random(6, 2, seed=1), random(2, 5, seed=2)  # noqa: E741
    G = random(6, 2, seed=3) @ r + l @ random(2, 5, seed=4)
    torch.testing.assert_close(least_gradient(l, r, G @ r.mT, l.mT @ G), G)


def test_squares_that_are_a_product_of_rows_and_columns_are_found_whole():
    l, r = random(6, 3, seed=1), random(3, 5, seed=2)  # noqa: E741
    V = random(6, seed=3).square()[:, None] * random(5, seed=4).square()
    found = spread_square(l, r, V @ r.square().mT, l.square().mT @ V)
    torch.testing.assert_close(found, V)


LAYERS = [
    MonarchLinear(12, 12, 4, dtype=torch.float64),
    MonarchLinear(7, 10, 3, dtype=torch.float64),
    MonarchLinear(11, 6, 5, dtype=torch.float64),
    LowRankLinear(7, 10, 3, dtype=torch.float64),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_a_layer_hands_on_what_its_factors_have_seen(layer):
    torch.manual_seed(0)
    n_in = layer.in_features
    model = nn.Sequential(nn.Linear(n_in, n_in, dtype=torch.float64), nn.ReLU(), layer)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.0, 0.999))
    model(random(9, n_in)).square().sum().backward()
    optimizer.step()  # with beta_1 = 0 the first moment is the gradient
    factors = list(layer.factors.values())
    gradients = [p.grad.clone() for p in factors]
    moments = carried_moments(model, optimizer)
    carried = moments["2.weight"]["exp_avg"]
    torch.autograd.backward((carried * layer.dense()).sum(), inputs=factors)
    for parameter, gradient in zip(factors, gradients, strict=True):
        torch.testing.assert_close(parameter.grad - gradient, gradient)
    kept = optimizer.state[model[0].weight]
    for key in ("exp_avg", "exp_avg_sq", "step"):
        torch.testing.assert_close(moments["0.weight"][key], kept[key])
        torch.testing.assert_close(moments["2.bias"][key], optimizer.state[layer.bias][key])
    assert (moments["2.weight"]["exp_avg_sq"] > 0).any()
    assert moments.keys() == dict(densify(copy.deepcopy(model)).named_parameters()).keys()


def test_fused_projections_hand_on_each_its_own():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(6, 18, dtype=torch.float64)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            return (q * k).tanh() * v

    torch.manual_seed(0)
    model = Attention()
    exchange_linear(model, lambda linear: MonarchLinear.from_linear(linear, 2))
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.0, 0.999))
    model(random(5, 6)).square().sum().backward()
    optimizer.step()
    moments = carried_moments(model, optimizer)
    assert moments.keys() == {"qkv.weight", "qkv.bias"}
    parts = [layer for layer in model.modules() if isinstance(layer, MonarchLinear)]
    assert len(parts) == 3
    for part, carried in zip(parts, moments["qkv.weight"]["exp_avg"].chunk(3), strict=True):
        wanted = part.L.grad.clone()
        part.L.grad = None
        torch.autograd.backward((carried * part.dense()).sum(), inputs=[part.L])
        # The factors have moved by one step since their gradients were taken.
        torch.testing.assert_close(part.L.grad, wanted, rtol=0.05, atol=0.05)


def test_layers_whose_zeros_know_nothing_are_refused():
    model = nn.Sequential(BlockDiagonalLinear(6, 9, 3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 6)).sum().backward()
    optimizer.step()
    with pytest.raises(ValueError, match=r"BlockDiagonalLinear tell nothing.*; let them begin"):
        carried_moments(model, optimizer)


def test_the_model_and_the_random_numbers_are_left_alone():
    torch.manual_seed(0)
    model = nn.Sequential(MonarchLinear(6, 9, 3))
    optimizer = torch.optim.Adam(model.parameters())
    assert carried_moments(model, optimizer) == {}
    model(torch.randn(4, 6)).sum().backward()
    optimizer.step()
    before, numbers = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    carried_moments(model, optimizer)
    assert torch.equal(torch.get_rng_state(), numbers)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_an_optimizer_with_other_moments_is_refused():
    model = nn.Sequential(MonarchLinear(6, 9, 3))
    optimizer = Soap([{"params": list(model.parameters()), "lr": 1e-3}])
    model(torch.randn(4, 6)).sum().backward()
    optimizer.step()
    with pytest.raises(ValueError, match=r"got an optimiser that keeps .*; let them begin anew"):
        carried_moments(model, optimizer)
