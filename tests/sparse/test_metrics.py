"""What is measured: losses, intervals and costs, against what they are by hand."""

import math

import numpy as np
import pytest
import torch
from sparse_runs import IMAGES, config_of, model_of, smoke, splits_of
from torch import nn

from sparse.dataset.windows import NOT_MASKED
from sparse.figures import draw
from sparse.metrics.cost import count_flops
from sparse.metrics.interval import wilson_interval
from sparse.metrics.losses import cross_entropy
from sparse.metrics.measure import measure


def test_the_loss_is_of_what_is_to_be_predicted():
    logits = torch.randn(4, 7, 5, dtype=torch.float64)
    target = torch.randint(5, (4, 7))
    target[:, ::2] = NOT_MASKED
    p = logits.softmax(-1)
    by_hand = [
        -math.log(p[b, t, target[b, t]]) for b in range(4) for t in range(7) if target[b, t] >= 0
    ]
    assert cross_entropy(logits, target).item() == pytest.approx(np.mean(by_hand))


def test_the_target_itself_is_a_perfect_prediction():
    target = torch.tensor([[3, NOT_MASKED], [1, 2]])
    assert cross_entropy(target, target) == 0
    assert cross_entropy(target.where(target != 2, 0), target) == math.inf


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 10, 0, 0.2775), (95, 100, 0.888, 0.978)]
)
def test_wilson_interval(hits, n, low, high):
    assert wilson_interval(hits, n) == pytest.approx((low, high), abs=5e-4)
    mirrored = wilson_interval(n - hits, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-4)


def test_operations_are_two_for_each_number_of_a_weight():
    model = nn.Sequential(nn.Linear(12, 30, bias=False), nn.Dropout(), nn.Linear(30, 4))
    assert count_flops(model.eval(), torch.randn(5, 12)) == 2 * 5 * (12 * 30 + 30 * 4)
    assert not model.training


@pytest.mark.parametrize("model", ["gpt2", "bert"])
def test_metrics_of_text_are_means_over_tokens(model):
    config = smoke(f"model={model}", "dataset.n_test=5", "fit.batch_size=3")
    splits = splits_of(config)
    network = model_of(config, splits.shape).eval()
    measured = measure(network, splits, config)
    losses = []
    for i in range(5):
        (inputs,), target = splits.test[i]
        with torch.no_grad():
            p = network(inputs[None])[0].log_softmax(-1)
        losses += [-p[t, target[t]].item() for t in range(16) if target[t] != NOT_MASKED]
    assert len(losses) == 5 * (16 if model == "gpt2" else 2)
    metrics = measured.metrics
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))
    assert ("bits_per_byte" in metrics) == (model == "gpt2")
    if model == "gpt2":
        assert metrics["bits_per_byte"] == pytest.approx(metrics["loss"] / math.log(2))
    (curve,) = draw(measured)
    assert np.nanmean(curve.y) > 0
    assert len(curve.x) == 16


@pytest.mark.parametrize("bad", [math.nan, 1e6], ids=["nan", "huge"])
def test_a_window_without_a_number_leaves_no_number(bad):
    """Not even one for the windows that remain, and the perplexity of a huge loss is infinite."""
    config = smoke("model=bert", "dataset.n_test=5", "fit.batch_size=3")
    splits = splits_of(config)

    class Network(nn.Module):
        def forward(self, tokens):
            logits = torch.zeros(*tokens.shape, splits.shape.vocabulary)
            logits[0, :, 0] = bad
            return logits

    metrics = measure(Network(), splits, config).metrics
    assert math.isnan(metrics["loss"]) == math.isnan(bad)
    assert not math.isfinite(metrics["perplexity"])


def test_metrics_of_images_count_errors():
    config = config_of(*IMAGES, "fit.batch_size=500", "fit.accelerator=cpu")
    splits = splits_of(config)
    network = model_of(config, splits.shape).eval()
    nn.init.constant_(network.network.head.bias, -1)
    network.network.head.bias.data[3] = 5  # every image is a three
    measured = measure(network, splits, config)
    metrics = measured.metrics
    assert metrics["accuracy"] == 0.1
    assert metrics["n_errors"] == 900
    assert metrics["accuracy_low"] < 0.1 < metrics["accuracy_high"]
    assert measured.confusion.sum(0).tolist() == [0, 0, 0, 1000, 0, 0, 0, 0, 0, 0]
    (picture,) = draw(measured)
    assert picture.image.sum() == 900
