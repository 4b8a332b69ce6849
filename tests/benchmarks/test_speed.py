"""A tiny suite runs, and its contenders compute the same function before learning."""

import json
import os
import sys

import pytest
import torch

import monarch_core
from benchmarks import applications, contenders, speed
from benchmarks.options import TITLES, Options
from benchmarks.rows import in_new_process
from benchmarks.suites import dense_layers, layers, machine
from monarch_core.transforms import Monarch
from mri.physics.axis_transforms import axis_transforms


def test_a_tiny_suite_leaves_its_results(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(layers, "SWEEP", [((8, 8), 2, 20, 20)])
    arguments = [f"out={tmp_path}", "suites=sweep", "rounds=2"]
    monkeypatch.setattr(sys, "argv", ["speed", *arguments])
    n_threads = torch.get_num_threads()
    assert speed.main() == 0
    torch.set_num_threads(n_threads)
    result = json.loads((tmp_path / "sweep.json").read_text())
    assert (result["threads"], result["rounds"]) == (1, 2)
    assert [row["contender"] for row in result["rows"]] == [
        "torch.fft",
        "ours, frozen",
        "ours, learned",
    ]
    for row in result["rows"]:
        assert row["milliseconds"] > 0
        assert (row["grid"], row["modes"], row["pass"]) == ([8, 8], 2, "training")
    assert capsys.readouterr().out.count("sweep grid=[8, 8]") == 3


@pytest.mark.parametrize("argument", ["rounds=1", "suites=none", "turns=3"])
def test_a_wrong_option_is_one_line(monkeypatch, capsys, argument):
    monkeypatch.setattr(sys, "argv", ["speed", argument])
    assert speed.main() == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert argument.split("=")[0] in message


def test_every_suite_has_a_title():
    assert list(speed.SUITES) == list(TITLES)


@pytest.mark.skipif(not hasattr(monarch_core, "prepared"), reason="nothing makes matrices once")
def test_a_single_sample_goes_through_matrices_made_once(monkeypatch):
    monkeypatch.setattr(layers, "SINGLES", [((8, 8), 2, 3, 1), ((16,), 2, 3, 1)])
    rows = layers.single(Options(rounds=2))
    names = ["torch.fft", "neuralop", "ours, frozen", "ours, learned", "ours, prepared"]
    assert [row["contender"] for row in rows] == 2 * names
    assert {row["pass"] for row in rows} == {"forward"}


def test_a_process_of_its_own_has_its_variables_and_threads():
    assert in_new_process({"MALLOC_TOP_PAD_": "7"}, 1, os.getenv, "MALLOC_TOP_PAD_") == "7"
    assert "MALLOC_TOP_PAD_" not in os.environ
    assert in_new_process({}, 2, torch.get_num_threads) == 2


def test_limits_and_the_cost_of_factors(monkeypatch):
    monkeypatch.setattr(layers, "BARS", [((8, 8), 2, 2, 3)])
    monkeypatch.setattr(machine, "FACTORS", (12,))
    options = Options(rounds=2)
    for row in machine.roofline(options):
        assert row["GFLOP"] > 0
        assert row["ratio_at_the_bound"] == pytest.approx(row["fft_ms"] / row["bound_ms"])
    (row,) = machine.factors(options)
    assert row["blocks"] == [3, 4]
    assert row["cost"] > 0


def test_dense_layers_are_compared_in_both_passes_and_in_views(monkeypatch):
    for name, value in {"WIDTHS": ((6, 8),), "ROWS": (3,), "BLOCKS": (2,), "WIDTH": 24}.items():
        monkeypatch.setattr(dense_layers, name, value)
    monkeypatch.setattr(dense_layers, "BATCHES", ((2, 5),))
    rows = dense_layers.linear(Options(rounds=2))
    assert [(row["pass"], row["contender"]) for row in rows] == [
        ("forward", "nn.Linear"),
        ("forward", "2 blocks"),
        ("forward", "2 blocks, prepared"),
        ("training", "nn.Linear"),
        ("training", "2 blocks"),
    ]
    assert {(row["width"], row["rows"]) for row in rows} == {("6 to 8", 3)}
    pytest.importorskip("transformers")
    rows = dense_layers.block(Options(rounds=2))
    assert [row["contender"] for row in rows] == ["dense", "2 blocks"]
    assert {(row["rows"], row["batch"]) for row in rows} == {(10, 2)}


def test_a_step_moves_the_network_and_leaves_no_gradient(monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr(dense_layers, "TRAINED", {"width": 8, "n_heads": 2, "n_layers": 1})
    for name, value in {"BLOCKS": (2,), "TOKENS": 5, "VOCABULARY": 7}.items():
        monkeypatch.setattr(dense_layers, name, value)
    rows = dense_layers.step(Options(rounds=2))
    assert [row["contender"] for row in rows] == ["dense", "2 blocks"]
    assert {(row["width"], row["rows"]) for row in rows} == {(8, 20)}
    network = torch.nn.Sequential(torch.nn.Embedding(7, 7))
    before = network[0].weight.detach().clone()
    dense_layers.take_step(network, torch.arange(6)[None])()
    assert (network[0].weight != before).any()
    assert network[0].weight.grad is None


def test_the_sense_contenders_are_one_function():
    torch.manual_seed(0)
    images = [run() for run in applications.zero_filled_sense((10, 12), 3, "cpu").values()]
    for image in images[1:]:
        torch.testing.assert_close(image.squeeze(1), images[0], rtol=1e-4, atol=1e-4)
    maps, mask = torch.randn(1, 3, 10, 12, dtype=torch.cfloat), torch.rand(1, 10, 12)
    image = torch.randn(1, 10, 12, dtype=torch.cfloat)
    ours = applications.SenseNormal(maps, mask, axis_transforms(Monarch, (10, 12)))
    expected = applications.FftNormal(maps, mask)(image)
    torch.testing.assert_close(ours(image), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("grid", [(16,), (12, 16)])
def test_the_layers_are_one_function(grid):
    torch.manual_seed(0)
    modules = contenders.layers(4, grid, 3)
    plain, neuralop = modules.pop("torch.fft"), modules["neuralop"]
    x = torch.randn(2, 4, *grid)
    for name in ("ours, frozen", "ours, learned"):
        modules[name].copy_weight(neuralop.weight.to_tensor())
        with torch.no_grad():
            modules[name].bias.copy_(neuralop.bias)
        torch.testing.assert_close(modules[name](x), neuralop(x), rtol=1e-5, atol=1e-5)
    # The plain layer leaves out the highest frequency of the last axis, and has its own order.
    with torch.no_grad():
        weight = neuralop.weight.to_tensor()[..., :-1]
        for axis in range(2, weight.ndim - 1):
            weight = weight.roll(-3, axis)
        plain.weight.copy_(weight)
        neuralop.weight.to_tensor()[..., -1] = 0
    torch.testing.assert_close(plain(x) + neuralop.bias, neuralop(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suites": "layer,speed"}, "suites must be among layer, .*, got 'speed'"),
        ({"rounds": 1}, "rounds must be at least 2, got 1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)
