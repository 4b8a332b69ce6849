"""A model with exchanged layers from its state dict and a JSON alone."""

import json
import re
from functools import partial

import pytest
import torch
from torch import nn

from monarch_core import (
    MonarchLinear,
    add_monarch_adapters,
    exchange_linear,
    load_monarchized,
    merge_adapters,
    monarchize,
    save_monarchized,
)


class Model(nn.Module):
    def __init__(self, width=12, bias=True):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.head(self.norm(self.attn(q, k, v)[0]))


def new(seed, **sizes):
    torch.manual_seed(seed)
    return Model(**sizes)


X = torch.linspace(-1, 1, 2 * 4 * 12).view(2, 4, 12)
CHANGES = {
    "all": partial(monarchize, n_blocks=4),
    "some": partial(monarchize, n_blocks=3, exclude=["*.q", "*.out_proj"]),
    "in one piece": partial(monarchize, n_blocks=2, fused={"qkv": 1}),
    "adapters": partial(add_monarch_adapters, n_blocks=2, rank=3, also_learn="norm"),
}


def layout(model):
    return {name: (p.shape, p.requires_grad) for name, p in model.named_parameters()}


@pytest.mark.parametrize("change", CHANGES)
def test_loaded_into_a_dense_model_of_other_numbers_it_is_the_saved_one(change, tmp_path):
    model = new(0)
    CHANGES[change](model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    model(X)  # moves the statistics of the norm
    save_monarchized(model.eval(), tmp_path / "made" / "here")
    assert sorted(p.name for p in (tmp_path / "made" / "here").iterdir()) == [
        "layers.json",
        "weights.pt",
    ]
    other = new(1).eval()
    if change == "adapters":
        other.requires_grad_(False)
        other.norm.requires_grad_(True)
    after = torch.random.get_rng_state()
    loaded = load_monarchized(other, tmp_path / "made" / "here")
    assert torch.equal(torch.random.get_rng_state(), after)
    assert loaded is other
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(loaded(X), model(X), rtol=0, atol=0)
    assert layout(loaded) == layout(model)
    if change == "adapters":
        torch.testing.assert_close(merge_adapters(loaded)(X), model(X))


def test_the_file_tells_names_kinds_and_blocks(tmp_path):
    model = monarchize(new(0), n_blocks=3, exclude=["*.q", "attn"])
    save_monarchized(model, tmp_path)
    monarch, dense = {"kind": "MonarchLinear", "n_blocks": 3}, {"kind": "Linear"}
    assert json.loads((tmp_path / "layers.json").read_text()) == {
        "format": 1,
        "layers": {
            "qkv": {"dense": "Linear", "projections": {"q": dense, "k": monarch, "v": monarch}},
            "head": {"dense": "Linear", "projections": {"": monarch}},
        },
    }


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_what_the_dense_model_has_frozen_stays_frozen(frozen, tmp_path):
    def build(seed):
        model = new(seed)
        for name, p in model.named_parameters():
            p.requires_grad_(not name.endswith(frozen))
        return model

    model = monarchize(build(0))
    save_monarchized(model, tmp_path)
    loaded = load_monarchized(build(1), tmp_path)
    assert layout(loaded) == layout(model)
    assert {learns for _, learns in layout(loaded).values()} == {True, False}


def test_a_layer_that_the_code_makes_itself_is_found_there(tmp_path):
    def build():
        return nn.Sequential(MonarchLinear(12, 12), nn.Linear(12, 8))

    model = monarchize(build())
    save_monarchized(model, tmp_path)
    loaded = load_monarchized(build(), tmp_path)
    torch.testing.assert_close(loaded(X), model(X), rtol=0, atol=0)


def test_a_model_that_is_one_layer(tmp_path):
    layer = monarchize(nn.Linear(8, 8))
    save_monarchized(layer, tmp_path)
    loaded = load_monarchized(nn.Linear(8, 8), tmp_path)
    torch.testing.assert_close(loaded.dense(), layer.dense(), rtol=0, atol=0)


def renamed():
    model = Model()
    model.tail = model.head
    del model.head
    return model


def with_other_kind():
    model = Model()
    model.head = nn.Identity()
    return model


def with_another():
    model = Model()
    model.other = nn.Linear(2, 2)
    return model


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (renamed, "the model has no layers of these names: head"),
        (with_other_kind, "other kinds of layers: head (Identity, saved Linear)"),
        (with_another, "the saved weights lack: other.weight, other.bias"),
        (partial(Model, bias=False), "no place for: qkv.q.bias, qkv.k.bias, qkv.v.bias"),
        (partial(Model, width=24), "other shapes: qkv.q.L (4, 3, 3), the model (4, 6, 6)"),
        (lambda: monarchize(Model(), n_blocks=2), "other kinds of layers: qkv (Projections"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_names(build, says, tmp_path):
    save_monarchized(monarchize(new(0)), tmp_path)
    with pytest.raises(ValueError, match=rf"does not fit what was saved: .*{re.escape(says)}"):
        load_monarchized(build(), tmp_path)


def test_a_model_without_memory_is_refused(tmp_path):
    save_monarchized(monarchize(new(0)), tmp_path)
    with torch.device("meta"):
        empty = Model()
    with pytest.raises(ValueError, match=r"qkv\.weight is on the meta device"):
        load_monarchized(empty.requires_grad_(False), tmp_path)
    assert type(empty.head) is nn.Linear


def test_the_first_of_many_names_are_told(tmp_path):
    model = nn.ModuleDict({f"layer{i}": nn.Linear(8, 8) for i in range(9)})
    save_monarchized(monarchize(model), tmp_path)
    with pytest.raises(ValueError, match="layer0, layer1, layer2, layer3, layer4 and 4 more"):
        load_monarchized(nn.ModuleDict(), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "layers": {}}',
        '{"format": 1}',
        '{"format": 1, "layers": {"a": {"dense": "Linear"}}}',
        '{"format": 1, "layers": {"a": {"dense": 1, "projections": {}}}}',
        '{"format": 1, "layers": {"a": {"dense": "Linear", "projections": {"": {"kind": "os"}}}}}',
        '{"format": 1, "layers": {"a": {"dense": "Linear", "projections": {"": '
        '{"kind": "MonarchLinear"}}}}}',
    ],
)
def test_a_file_of_another_kind_is_refused(text, tmp_path):
    save_monarchized(monarchize(new(0)), tmp_path)
    (tmp_path / "layers.json").write_text(text)
    with pytest.raises(ValueError, match=r"layers\.json is not a file of save_monarchized"):
        load_monarchized(new(0), tmp_path)


def test_projections_that_are_others_are_refused(tmp_path):
    model = new(0)
    exchange_linear(model, MonarchLinear.from_linear, include="qkv", fused={"qkv": 2})
    save_monarchized(model, tmp_path)
    assert [name for name, _ in load_monarchized(new(1), tmp_path).qkv.named_children()] == [
        "k",
        "v",
    ]
    path = tmp_path / "layers.json"
    path.write_text(path.read_text().replace('"k"', '"a"'))
    with pytest.raises(ValueError, match=r"saved as the projections \['a', 'v'\]"):
        load_monarchized(new(1), tmp_path)
