"""Adapters: nothing changes at the start, they alone learn, and merged they are the weights."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from monarch_core import add_monarch_adapters, densify, merge_adapters, monarch_multiply
from monarch_core.adapters.fine_tuning import AdaptedLinear


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(10, 30)
        self.attn = nn.MultiheadAttention(10, 2, batch_first=True)
        self.norm = nn.LayerNorm(10)
        self.head = nn.Linear(10, 3, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.head(self.norm(self.attn(q, k, v)[0]))


def learning(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def learn(model, x, steps=3):
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model().double()


X = torch.linspace(-1, 1, 2 * 4 * 10).double().view(2, 4, 10)


def test_nothing_changes_until_it_learns_and_merged_it_is_the_plain_model(model):
    twin = deepcopy(model)
    keys, before = list(model.state_dict()), model(X)
    assert add_monarch_adapters(model, n_blocks=3, rank=2) is model
    torch.testing.assert_close(model(X), before)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    learn(model, X)
    y = model(X)
    assert (y - before).norm() > 1e-2 * before.norm()
    parameters = dict(model.named_parameters())
    for name, value in frozen.items():
        torch.testing.assert_close(parameters[name], value, rtol=0, atol=0)
    for merge in (merge_adapters, densify):
        merged = merge(deepcopy(model))
        assert [type(m) for m in merged.modules()] == [type(m) for m in twin.modules()]
        assert list(merged.state_dict()) == keys
        torch.testing.assert_close(merged(X), y)
    torch.testing.assert_close(merged.norm.weight, twin.norm.weight)


def test_the_adapters_alone_learn(model):
    add_monarch_adapters(model, n_blocks=3, rank=2)
    assert {name.rpartition(".")[2] for name in learning(model)} == {"L", "R"}
    assert len(learning(model)) == 2 * (3 + 4 + 1)
    model(X).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_what_else_shall_learn_is_named(model):
    model.norm.bias.requires_grad_(False)
    add_monarch_adapters(model, 3, 2, include="qkv", also_learn=["norm", "head", "qkv"])
    others = {name for name in learning(model) if name.rpartition(".")[2] not in "LR"}
    assert others == {"norm.weight", "head.weight", "qkv.q.bias", "qkv.k.bias", "qkv.v.bias"}


@pytest.mark.parametrize(
    ("pattern", "others"),
    [
        ("tied", {"head.weight"}),
        ("head.weight", {"head.weight"}),
        ("qkv.bias", {"qkv.q.bias", "qkv.k.bias", "qkv.v.bias"}),
        ("attn.in_proj_bias", {f"attn.{key}_proj.bias" for key in "qkv"}),
        ("attn.in_proj_weight", set()),
        ("attn.out_proj", {"attn.out_proj.bias"}),
    ],
)
def test_what_else_shall_learn_is_named_as_in_the_model_given(model, pattern, others):
    """By either name of a tied weight, and with the parts of what is cut into several layers."""
    model.tied = nn.Embedding(3, 10)
    model.tied.weight = model.head.weight
    add_monarch_adapters(model, 3, 2, also_learn=pattern)
    assert {name for name in learning(model) if name.rpartition(".")[2] not in "LR"} == others


def test_a_merged_weight_is_the_sum(model):
    W = model.head.weight.detach().clone()
    add_monarch_adapters(model, n_blocks=3, rank=1, include="head")
    learn(model, X)
    L, R = model.head.L.detach(), model.head.R.detach()
    padded = torch.eye(10, 12).double()
    M = monarch_multiply(padded, L, R)[:, :3].mT
    assert M.norm() > 0
    merge_adapters(model)
    torch.testing.assert_close(model.head.weight.data, W + M)
    assert not model.head.weight.requires_grad


@pytest.mark.parametrize(("n_in", "n_out"), [(12, 16), (13, 7), (5, 5)])
@pytest.mark.parametrize(("n_blocks", "rank"), [(4, 4), (3, 1), (4, 2)])
def test_it_applies_the_matrix_that_it_tells(n_in, n_out, n_blocks, rank):
    torch.manual_seed(0)
    layer = AdaptedLinear(nn.Linear(n_in, n_out).double(), n_blocks, rank)
    a, s = -(-n_in // n_blocks), -(-n_out // n_blocks)
    r = min(rank, a, s)
    assert sum(p.numel() for p in (layer.L, layer.R)) == n_blocks * r * (a + s)
    nn.init.normal_(layer.L)
    x = torch.randn(3, n_in).double()
    torch.testing.assert_close(layer(x), x @ layer.dense().mT + layer.bias)
    torch.testing.assert_close(layer.to_linear()(x), layer(x))
    torch.testing.assert_close(layer.weight, layer.dense())


def test_the_intermediate_values_have_the_variance_of_the_inputs():
    torch.manual_seed(0)
    layer = AdaptedLinear(nn.Linear(1021, 64), n_blocks=4, rank=16)
    x = nn.functional.pad(torch.randn(2000, 1021), (0, 3))
    z = torch.einsum("bja,nab->nbj", layer.R, x.unflatten(-1, (-1, 4)))
    assert z.square().mean().item() == pytest.approx(1, abs=0.05)


def test_a_small_layer_stays_and_a_model_without_any_is_refused(model):
    add_monarch_adapters(model, n_blocks=4, include=["qkv", "head"])
    assert type(model.head) is nn.Linear
    assert not model.head.weight.requires_grad
    with pytest.raises(ValueError, match="has adapters already; merge them first"):
        add_monarch_adapters(model)
    bare = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="no dense linear layer of at least n_blocks=4"):
        add_monarch_adapters(bare)
    assert bare[0].weight.requires_grad
    with pytest.raises(ValueError, match=r"also_learn='hed' matches no.*head\.weight"):
        add_monarch_adapters(Model(), also_learn="hed")


def test_a_linear_layer_by_itself():
    linear = nn.Linear(8, 8)
    adapted = add_monarch_adapters(linear)
    assert isinstance(adapted, AdaptedLinear)
    assert linear.weight.requires_grad
    assert type(merge_adapters(adapted)) is nn.Linear
