"""Attention of torch with other projections: by its contract, the same numbers."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from monarch_core import MonarchLinear, densify, exchange_linear, monarchize
from monarch_core.adapters.attention import ProjectedAttention

N, L, S, E, H = 3, 4, 5, 12, 4


def pair(n_blocks=1, **options):
    """An attention of torch, and with one block the same in other projections."""
    torch.manual_seed(0)
    dense = nn.MultiheadAttention(E, H, dtype=torch.float64, **options)
    for bias in (dense.in_proj_bias, dense.out_proj.bias):
        if bias is not None:
            nn.init.normal_(bias)
    model = nn.ModuleList([deepcopy(dense)])
    exchange_linear(model, lambda linear: MonarchLinear.from_linear(linear, n_blocks))
    assert isinstance(model[0], ProjectedAttention)
    return dense, model[0]


def inputs(batch_first, batched=True, kdim=E, vdim=E):
    torch.manual_seed(1)
    sizes = ((L, E), (S, kdim), (S, vdim))
    batch = [torch.randn(N, *size).double() for size in sizes]
    if not batched:
        return [x[0] for x in batch]
    return batch if batch_first else [x.transpose(0, 1) for x in batch]


PADDING = torch.arange(S) >= torch.tensor([[5], [3], [4]])
CAUSAL = torch.ones(L, S, dtype=torch.bool).triu(1)
ADDED = torch.linspace(-1, 1, L * S).double().view(L, S)
MASKS = {
    "none": {},
    "padding": {"key_padding_mask": PADDING},
    "causal": {"attn_mask": CAUSAL},
    "added": {"attn_mask": ADDED},
    "both": {"attn_mask": CAUSAL, "key_padding_mask": PADDING},
    "both added": {"attn_mask": ADDED, "key_padding_mask": -2.0 * PADDING.double()},
    "per head": {"attn_mask": (torch.arange(N * H)[:, None, None] % 3 == 0) & CAUSAL},
    "hint": {"attn_mask": CAUSAL, "is_causal": True},
}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("mask", MASKS)
def test_it_computes_what_torch_does(batch_first, need_weights, mask):
    dense, ours = pair(batch_first=batch_first)
    given = inputs(batch_first)
    for average in (True, False):
        options = {"need_weights": need_weights, "average_attn_weights": average, **MASKS[mask]}
        torch.testing.assert_close(ours(*given, **options), dense(*given, **options))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("mask", ["none", "padding", "causal", "per head"])
def test_without_a_batch(need_weights, mask):
    dense, ours = pair()
    options = dict(MASKS[mask], need_weights=need_weights)
    if "key_padding_mask" in options:
        options["key_padding_mask"] = PADDING[1]
    if mask == "per head":
        options["attn_mask"] = options["attn_mask"][:H]
    given = inputs(False, batched=False)
    torch.testing.assert_close(ours(*given, **options), dense(*given, **options))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("widths", [{}, {"kdim": 7, "vdim": 9}])
def test_there_and_back_it_is_the_layer_of_torch(bias, widths):
    dense, ours = pair(bias=bias, batch_first=True, dropout=0.3, **widths)
    given = inputs(True, **widths)
    torch.testing.assert_close(ours.eval()(*given), dense.eval()(*given))
    back = densify(ours)
    assert type(back) is nn.MultiheadAttention
    torch.testing.assert_close(back.state_dict(), dense.state_dict())
    assert (back.dropout, back.batch_first, back.training) == (0.3, True, False)
    torch.testing.assert_close(back(*given), dense(*given))


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_is_in_training_alone(need_weights):
    _, ours = pair(dropout=0.5)
    given = inputs(False)
    trained = [ours(*given, need_weights=need_weights)[0] for _ in range(2)]
    assert not torch.equal(*trained)
    ours.eval()
    torch.testing.assert_close(*(ours(*given, need_weights=need_weights)[0] for _ in range(2)))


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_what_reads_its_weights_finds_those_that_it_applies(n_blocks):
    dense, ours = pair(n_blocks)
    back = densify(deepcopy(ours))
    torch.testing.assert_close(ours.in_proj_weight, back.in_proj_weight.data)
    torch.testing.assert_close(ours.in_proj_bias, dense.in_proj_bias.data)
    torch.testing.assert_close(ours.out_proj.weight, back.out_proj.weight.data)
    ours.in_proj_weight.sum().backward()
    assert all(layer.L.grad is not None for layer in (ours.q_proj, ours.k_proj, ours.v_proj))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_an_encoder_of_torch_goes_on(training, padded, grad):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(E, H, 16, dropout=0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2)
    monarchize(model, n_blocks=2)
    assert isinstance(model.layers[1].self_attn, ProjectedAttention)
    twin = densify(deepcopy(model))
    assert type(twin.layers[1].self_attn) is nn.MultiheadAttention
    padding = torch.arange(S) >= torch.tensor([[5], [3], [4]]) if padded else None
    x = torch.randn(N, S, E)
    with torch.set_grad_enabled(grad):
        y, expected = (
            each.train(training)(x, src_key_padding_mask=padding) for each in (model, twin)
        )
    torch.testing.assert_close(y, expected)


def test_a_decoder_of_torch_goes_on():
    torch.manual_seed(0)
    model = nn.TransformerDecoderLayer(E, H, 16, dropout=0)
    memory, x = torch.randn(S, N, E), torch.randn(L, N, E)
    mask = nn.Transformer.generate_square_subsequent_mask(L)
    expected = model(x, memory, tgt_mask=mask, tgt_is_causal=True)
    monarchize(model, n_blocks=1)
    y = model(x, memory, tgt_mask=mask, tgt_is_causal=True)
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("weight", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_what_is_frozen_stays_frozen(weight, bias):
    model = nn.ModuleList([nn.MultiheadAttention(E, H)])
    for part in (model[0], model[0].out_proj):
        for name, p in part.named_parameters(recurse=False):
            p.requires_grad_(bias if "bias" in name else weight)
    monarchize(model)
    expected = {"L": weight, "R": weight, "bias": bias}
    for name, p in model.named_parameters():
        assert p.requires_grad == expected[name.split(".")[-1]]
    densify(model)
    for name, p in model.named_parameters():
        assert p.requires_grad == (bias if "bias" in name else weight)


def test_its_projections_are_chosen_by_name():
    model = nn.ModuleDict({"attn": nn.MultiheadAttention(E, H)})
    W = model.attn.in_proj_weight[E : 2 * E].clone()
    done = exchange_linear(
        model, lambda linear: MonarchLinear.from_linear(linear, 4), exclude=["*.k_proj", "*.out*"]
    )
    assert [layer.name for layer in done] == ["attn.q_proj", "attn.v_proj"]
    assert [layer.before for layer in done] == ["MultiheadAttention"] * 2
    torch.testing.assert_close(model.attn.k_proj.weight, W)


@pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
def test_what_is_not_offered_is_refused_and_the_model_stays(option):
    model = nn.ModuleDict(
        {"a": nn.Linear(E, E), "attn": nn.MultiheadAttention(E, H, **{option: 1})}
    )
    with pytest.raises(ValueError, match=rf"attn is a MultiheadAttention with {option}=True"):
        monarchize(model)
    assert type(model.a) is nn.Linear
    monarchize(model, exclude="attn")
    assert type(model.attn) is nn.MultiheadAttention


def test_a_hint_without_a_mask_is_refused():
    _, ours = pair()
    with pytest.raises(ValueError, match=r"is_causal=True is a hint about attn_mask, got None"):
        ours(*inputs(False), is_causal=True)
