"""The counted sizes: those of whole networks, and near those of the paper where they should be."""

import pytest
import torch

from benchmarks.sparse_sizes import ALL, CHOICES, IMAGE, NETWORKS, Choice, count
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
