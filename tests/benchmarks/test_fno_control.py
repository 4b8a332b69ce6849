"""The independent FNO of `benchmarks` against the control of the suite."""

import importlib.util
import logging
import sys
from pathlib import Path

import h5py
import numpy as np
import pde_configs
import pytest
import torch

from monarch_core.training.optimization import n_parameters
from pde.metrics.errors import relative_l2
from pde.models import build_model

PATH = Path(__file__).parents[2] / "benchmarks" / "fno_control.py"


@pytest.fixture(scope="module")
def control():
    spec = importlib.util.spec_from_file_location("fno_control", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copy_weights(ours, theirs):
    """Give the control the weights of neuralop's parts."""

    def copy(conv, weight, bias):
        conv.weight.copy_(weight[..., None])
        conv.bias.copy_(bias.flatten())

    blocks = ours.fno_blocks.blocks
    with torch.no_grad():
        copy(theirs.lift, ours.lifting.fcs[0].weight, ours.lifting.fcs[0].bias)
        for layer, conv, skip in zip(theirs.layers, blocks.convs, blocks.fno_skips, strict=True):
            negative, positive = conv.weight.to_tensor().chunk(2, dim=2)
            layer.R.copy_(torch.stack((positive, negative)))
            copy(layer.W, skip.conv.weight, conv.bias)
        for conv, linear in zip(theirs.project[::2], ours.projection.fcs, strict=True):
            copy(conv, linear.weight, linear.bias)


@pytest.mark.parametrize("grid", [(32, 32), (20, 24)])
def test_with_the_same_weights_it_is_the_same_network(control, grid):
    torch.manual_seed(0)
    config = pde_configs.config_of("model=fno", "transform=fft")
    ours = build_model(config, grid)
    theirs = control.FNO(n_inputs=4, width=20, modes=8)
    assert n_parameters(theirs) == n_parameters(ours)
    copy_weights(ours.step, theirs)
    frames = torch.randn(2, 4, *grid)
    torch.testing.assert_close(theirs(frames), ours.step(frames), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        control.roll_out(theirs, frames, 3), ours(frames, n_steps=3), rtol=1e-4, atol=1e-4
    )


def test_it_starts_with_weights_of_the_same_size(control):
    torch.manual_seed(0)
    ours = build_model(pde_configs.config_of("model=fno", "transform=fft"), (32, 32)).step
    theirs = control.FNO(n_inputs=4, width=20, modes=8)
    frames = torch.randn(8, 4, 32, 32)
    for layer, conv in zip(theirs.layers, ours.fno_blocks.blocks.convs, strict=True):
        spread = conv.weight.to_tensor().abs().square().mean().sqrt()
        assert layer.R.abs().square().mean().sqrt().item() == pytest.approx(spread.item(), rel=0.05)
    assert theirs(frames).std().item() == pytest.approx(ours(frames).std().item(), rel=1.0)


def test_it_trains_on_a_file_and_measures_as_the_suite_does(control, tmp_path, monkeypatch, caplog):
    x = np.arange(8) / 8
    t = np.arange(4)
    for seed, (split, n) in enumerate({"train": 6, "test": 3}.items()):
        phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, n)
        angle = 2 * np.pi * (x[:, None] + x - 0.05 * t[:, None, None]) + phase[:, None, None, None]
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        with h5py.File(folder / "waves.hdf5", "w") as file:
            file["t0_fields/vorticity"] = 2 + np.sin(angle).astype(np.float32)
    options = "--modes 2 --width 4 --epochs 3 --batch 4 --inputs 2 --outputs 2 --first 0"
    arguments = [str(PATH), str(tmp_path), "--spacing", "1", *options.split(), "--rate", "1e-2"]
    monkeypatch.setattr(sys, "argv", arguments)
    with caplog.at_level(logging.INFO):
        control.main()
    losses = [float(m.split()[-1]) for m in caplog.messages if "loss" in m]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert "mean over seeds: relative_l2" in caplog.messages[-1]


def test_the_error_is_that_of_the_suite(control):
    class Last(torch.nn.Module):
        def forward(self, frames):
            return frames[:, -1:]

    class Options:
        inputs, batch, mean, std = 2, 3, 0.7, 2.5

    data = torch.randn(5, 4, 8, 8)
    fields = data * Options.std + Options.mean
    expected = relative_l2(fields[:, 1:2].expand(-1, 2, -1, -1), fields[:, 2:])
    error = control.test_error(Last(), Options(), data)
    assert error == pytest.approx(expected.item(), rel=1e-5)
