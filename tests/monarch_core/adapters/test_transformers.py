"""Models of transformers and timm by their own classes: they go on, and have the paper's sizes."""

from importlib import import_module

import pytest
import torch

from monarch_core import MonarchLinear, add_monarch_adapters, densify, merge_adapters, monarchize

transformers = pytest.importorskip("transformers")

SIZES = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 24}
TOKENS = {"vocab_size": 40, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


def gpt2():
    config = transformers.GPT2Config(n_embd=24, n_layer=2, n_head=4, n_positions=16, **TOKENS)
    return transformers.GPT2LMHeadModel(config)


def bert():
    config = transformers.BertConfig(intermediate_size=48, **SIZES, **TOKENS)
    return transformers.BertForMaskedLM(config)


def neox():
    config = transformers.GPTNeoXConfig(intermediate_size=48, **SIZES, **TOKENS)
    return transformers.GPTNeoXForCausalLM(config)


def llama():
    config = transformers.LlamaConfig(
        intermediate_size=48, num_key_value_heads=2, **SIZES, **TOKENS
    )
    return transformers.LlamaForCausalLM(config)


def vit():
    config = transformers.ViTConfig(
        intermediate_size=48, image_size=8, patch_size=4, num_labels=5, **SIZES
    )
    return transformers.ViTForImageClassification(config)


MODELS = [gpt2, bert, neox, llama, vit]


def made(build):
    torch.manual_seed(0)
    return build().eval()


def given(model):
    generator = torch.Generator().manual_seed(1)
    if model.main_input_name == "pixel_values":
        return torch.randn(2, 3, 8, 8, generator=generator)
    return torch.randint(3, 40, (2, 7), generator=generator)


def outputs(model):
    return model(given(model)).logits


def layout(model):
    return {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}


def kinds(model):
    return [(name, type(layer)) for name, layer in model.named_modules()]


@pytest.mark.parametrize("build", MODELS)
def test_one_block_is_the_dense_model(build):
    model = made(build)
    y, before = outputs(model), kinds(model)
    monarchize(model, n_blocks=1)
    assert kinds(model) != before
    torch.testing.assert_close(outputs(model), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", MODELS)
def test_it_learns_and_densified_it_is_a_model_of_its_library_again(build):
    model = made(build)
    names, before = layout(model), kinds(model)
    monarchize(model, n_blocks=4)
    model.train()
    outputs(model).square().mean().backward()
    factors = [m.L for m in model.modules() if isinstance(m, MonarchLinear)]
    assert factors
    assert all(factor.grad.abs().sum() > 0 for factor in factors)
    y = outputs(model.eval())
    densify(model)
    assert kinds(model) == before
    assert layout(model) == names
    torch.testing.assert_close(outputs(model), y, rtol=1e-4, atol=1e-5)
    twin = made(build)
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(outputs(twin), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [gpt2, llama])
def test_it_writes_on(build):
    model = made(build)
    options = {"max_new_tokens": 4, "do_sample": False, "attention_mask": torch.ones(2, 7).long()}
    expected = model.generate(given(model), **options)
    monarchize(model, n_blocks=1)
    torch.testing.assert_close(model.generate(given(model), **options), expected)
    assert monarchize(made(build)).generate(given(model), **options).shape == expected.shape


def test_a_head_tied_to_the_embedding_stays_so():
    model = made(gpt2)
    assert model.lm_head.weight is model.transformer.wte.weight
    monarchize(model)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert type(model.lm_head) is torch.nn.Linear


def test_q_k_and_v_of_gpt2_are_exchanged_one_by_one_and_those_of_neox_in_one_piece():
    told = []
    monarchize(made(gpt2), include="transformer.h.0.attn", report=told.extend)
    names = ["c_attn.q", "c_attn.k", "c_attn.v", "c_proj"]
    assert [layer.name for layer in told] == [f"transformer.h.0.attn.{name}" for name in names]
    assert {layer.before for layer in told} == {"Conv1D"}
    model = monarchize(made(neox))
    fused = model.gpt_neox.layers[0].attention.query_key_value
    assert isinstance(fused, MonarchLinear)
    assert fused.out_features == 72


@pytest.mark.parametrize("build", MODELS)
def test_adapters_change_nothing_and_merge(build):
    model = made(build)
    y, names, before = outputs(model), layout(model), kinds(model)
    add_monarch_adapters(model, n_blocks=4, rank=2)
    torch.testing.assert_close(outputs(model), y, rtol=1e-5, atol=1e-6)
    merge_adapters(model)
    assert (kinds(model), layout(model)) == (before, names)
    torch.testing.assert_close(outputs(model), y, rtol=1e-5, atol=1e-6)


def on_meta(build):
    with torch.device("meta"):
        return build()


def n_million(model):
    return sum(p.numel() for p in model.parameters()) / 1e6


def gpt2_of(**sizes):
    return lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))


def bert_of(**sizes):
    config = transformers.BertConfig(**sizes)
    return lambda: transformers.BertModel(config, add_pooling_layer=False)


def vit_of(**sizes):
    config = transformers.ViTConfig(num_labels=1000, **sizes)
    return lambda: transformers.ViTForImageClassification(config)


LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
# The ViT-S/16 of the paper: its 48.8 M dense parameters are those of this one.
SMALL = {"num_hidden_layers": 8, "num_attention_heads": 8, "intermediate_size": 3 * 768}


@pytest.mark.parametrize(
    ("build", "dense", "paper", "within"),
    [
        (gpt2_of(), 124, 72, 0.02),
        (gpt2_of(n_embd=1024, n_layer=24, n_head=16), 355, 165, 0.02),
        (bert_of(), 109, 55, 0.02),
        (bert_of(**LARGE), 335, 144, 0.02),
        (vit_of(), 86.6, 33.0, 0.02),
        (vit_of(**SMALL), 48.8, 19.6, 0.05),
    ],
    ids=["GPT-2-S", "GPT-2-M", "BERT-base", "BERT-large", "ViT-B/16", "ViT-S/16"],
)
def test_with_four_blocks_a_model_has_as_many_parameters_as_in_the_paper(
    build, dense, paper, within
):
    """Blocks exchanged; embeddings, patches and head dense, and BERT without its pooler."""
    model = on_meta(build)
    assert n_million(model) == pytest.approx(dense, rel=0.006)
    monarchize(model, exclude="classifier" if hasattr(model, "classifier") else ())
    assert n_million(model) == pytest.approx(paper, rel=within)


@pytest.mark.parametrize(
    ("name", "dense", "paper"),
    [("mixer_s16_224", 18.5, 7.0), ("mixer_b16_224", 59.9, 20.9)],
)
def test_a_mixer_has_as_many_if_what_mixes_tokens_stays_dense(name, dense, paper):
    timm = timm_or_skip()
    model = on_meta(lambda: timm.create_model(name))
    assert n_million(model) == pytest.approx(dense, rel=0.01)
    monarchize(model, exclude=["head", "*.mlp_tokens"])
    assert n_million(model) == pytest.approx(paper, rel=0.01)


def timm_or_skip():
    try:
        return import_module("timm")
    except (ImportError, RuntimeError) as error:
        return pytest.skip(f"timm does not import here: {error}")


def test_a_fused_layer_of_timm_is_split():
    timm = timm_or_skip()
    sizes = {"img_size": 8, "patch_size": 4, "embed_dim": 24, "depth": 1, "num_heads": 4}
    model = timm.models.VisionTransformer(num_classes=5, **sizes).eval()
    x, names, before = torch.randn(2, 3, 8, 8), layout(model), model(torch.zeros(1, 3, 8, 8))
    told = []
    monarchize(model, n_blocks=1, report=told.extend)
    assert [layer.name for layer in told][:3] == [f"blocks.0.attn.qkv.{key}" for key in "qkv"]
    torch.testing.assert_close(model(torch.zeros(1, 3, 8, 8)), before)
    y = model(x)
    assert layout(densify(model)) == names
    torch.testing.assert_close(model(x), y)
