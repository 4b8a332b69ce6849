"""The counted sizes: those of whole networks, and near those of the paper where they should be."""

import pytest
import torch

from benchmarks.sparse_sizes import ALL, CHOICES, IMAGE, NETWORKS, Choice, count, following
from sparse.config.dataset import MnistConfig
from sparse.config.model import MixerConfig
from sparse.config.run import SparseConfig
from sparse.config.weight import WeightConfig
from sparse.metrics.cost import count_flops
from sparse.models import build_model

BY_NAME = {network.name: network for network in NETWORKS}


@pytest.mark.parametrize("weight", ["dense", "monarch"])
def test_all_blocks_of_a_network_are_alike(weight):
    given = (
        WeightConfig(weight, weight) if weight == "dense" else WeightConfig(weight, start="random")
    )
    config = SparseConfig(MnistConfig(), MixerConfig(size="small"), given)
    with torch.device("meta"):
        model = build_model(config, IMAGE)
        whole = sum(p.numel() for p in model.parameters())
        flops = count_flops(model, torch.zeros(1, 3, 224, 224))
    assert count(BY_NAME["Mixer-S/16"], ALL, weight) == (whole, flops // 2)


@pytest.mark.parametrize("name", ["GPT-2-S", "GPT-2-M", "ViT-B/16", "BERT-base", "BERT-large"])
def test_a_monarch_of_four_blocks_has_the_parameters_of_the_paper(name):
    network = BY_NAME[name]
    n, _ = count(network, CHOICES[network.config][0], "monarch")
    assert n / 1e6 == pytest.approx(network.parameters[1], rel=0.02)


def test_the_vocabulary_and_the_heads_of_a_text_model_cost_nothing():
    """12 blocks of 12 width^2 multiplications a token, and two products of attention."""
    n = 1024
    _, multiplications = count(BY_NAME["GPT-2-S"], ALL, "dense")
    assert multiplications == 12 * (n * 12 * 768**2 + 2 * n**2 * 768)
    pooled, _ = count(BY_NAME["BERT-base"], Choice(""), "dense")
    bare, _ = count(BY_NAME["BERT-base"], Choice("", drops="pooler"), "dense")
    assert pooled - bare == 768**2 + 768


@pytest.mark.parametrize("name", ["ViT-B/16", "GPT-2-S", "BERT-large"])
@pytest.mark.parametrize("exclude", [[], ["*.0.*"]], ids=["all", "some"])
def test_a_number_of_a_weight_is_multiplied_once_for_each_token(name, exclude):
    network = BY_NAME[name]
    choice = Choice("", exclude=exclude)
    (p0, m0), (p1, m1) = (count(network, choice, weight) for weight in ("dense", "monarch"))
    assert m0 - m1 == network.n_tokens * (p0 - p1) > 0


def test_where_the_columns_of_the_paper_belong_to_one_network():
    fits = {}
    for network in NETWORKS:
        middle, half = following(network)
        own = 0.5 if isinstance(network.flops[1], int) else 0.05
        fits[network.name] = abs(network.flops[1] - middle) <= half + own
    assert {name for name, is_one in fits.items() if not is_one} == {
        "ViT-S/16",
        "ViT-B/16",
        "BERT-base",
        "BERT-large",
    }


def test_the_multiplications_of_bert_base_are_those_without_attention():
    network = BY_NAME["BERT-base"]
    n, multiplications = count(network, CHOICES[network.config][2], "monarch")
    assert round(multiplications / 1e9, 1) == network.flops[1]
    assert n / 1e6 > 1.25 * network.parameters[1]
