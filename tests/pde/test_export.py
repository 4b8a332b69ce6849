"""Exported files compute what the model computes, for any batch size, without the data."""

import importlib.util
from pathlib import Path

import pytest
import torch
from pde_configs import config_of

from monarch_core.runs.schema import save_config
from monarch_core.training import export as export_module
from monarch_core.training.checkpoint import save_weights
from monarch_core.training.export import export, format_of
from pde import export as export_script
from pde.export import export_run
from pde.models import build_model
from pde.models.continuation import _continuation

SMALL = [
    "dataset.grid=12",
    "dataset.n_output_frames=2",
    "model.n_modes=3",
    "model.hidden_channels=4",
    "model.n_layers=1",
]
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in export_module.ONNX_PACKAGES),
    reason="needs the packages of monarch-science[deploy]",
)


def run_of(folder, *overrides):
    """Leave the folder of a run: its config and weights, no data."""
    config = config_of(*SMALL, *overrides)
    torch.manual_seed(0)
    model = build_model(config, (12, 12))
    model.mean.fill_(3.0)
    model.std.fill_(0.5)
    save_config(folder, config)
    save_weights(folder / "weights.pt", model)
    return model


@needs_onnx
@pytest.mark.parametrize(
    ("model", "n_steps"),
    [("fno_fast", None), ("fno", 1), ("uno model.n_layers=5 model.n_modes=2", 1)],
)
def test_onnx(tmp_path, model, n_steps):
    run_of(tmp_path, "transform=monarch", *f"model={model}".split())
    assert export_run(tmp_path, tmp_path / "model.onnx", "onnx", n_steps) < 1e-5


@pytest.mark.parametrize("transform", ["fft", "monarch_frozen"])
@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch 2.11, of itself
def test_pt2(tmp_path, transform):
    model = run_of(tmp_path, "model=fno_fast", f"transform={transform}")
    assert export_run(tmp_path, tmp_path / "model.pt2", "pt2", 2) < 1e-5
    frames = 3.0 + torch.randn(7, 4, 12, 12)
    exported = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(exported(frames), model(frames, n_steps=2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", ["uno model.n_layers=5 model.n_modes=2", "fno_continued"])
@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
def test_models_as_programs(tmp_path, model):
    run_of(tmp_path, "transform=monarch", *f"model={model}".split())
    _continuation.cache_clear()  # as in a process that has not trained the model
    assert export_run(tmp_path, tmp_path / "model.pt2", "pt2", 2) < 1e-5


def test_a_file_that_computes_something_else_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(export_script, "export", lambda model, *others: lambda x: 1.1 * model(x))
    run_of(tmp_path, "model=fno_fast", "transform=monarch")
    with pytest.raises(ValueError, match=r"do not use .*model\.pt2: .* differs .* by 1\.0e-01"):
        export_run(tmp_path, tmp_path / "model.pt2", "pt2", 1)


def test_a_program_for_one_batch_alone_is_refused(tmp_path):
    run_of(tmp_path, "model=tfno", "transform=fft")
    with pytest.raises(ValueError, match=r"batch of any size.*monarch_frozen is the same"):
        export_run(tmp_path, tmp_path / "model.pt2", "pt2", 1)


@needs_onnx
def test_onnx_refuses_the_fft(tmp_path):
    run_of(tmp_path, "transform=fft")
    with pytest.raises(ValueError, match=r"convs.0.weight.tensor is complex.*monarch_frozen"):
        export_run(tmp_path, tmp_path / "model.onnx", "onnx", 1)


@needs_onnx
def test_why_onnx_refuses_the_fft(monkeypatch, tmp_path):
    """When torch translates complex operators, this fails and the refusal can go."""
    monkeypatch.setattr(export_module, "_refuse_complex", lambda model: None)
    model = build_model(config_of(*SMALL, "model=fno_fast", "transform=fft"), (12, 12)).step
    with pytest.raises(torch.onnx.OnnxExporterError, match="complex"):
        export(model, torch.randn(2, 4, 12, 12), tmp_path / "model.onnx", "onnx")


def test_the_model_still_learns_afterwards(tmp_path):
    model = torch.nn.Linear(3, 2)
    export(model, torch.randn(2, 3), tmp_path / "model.pt2", "pt2")
    assert all(p.requires_grad for p in model.parameters())


def test_missing_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs onnx, onnxscript, onnxruntime; .*\[deploy\]"):
        export_run(tmp_path, tmp_path / "model.onnx", "onnx", 1)


@pytest.mark.parametrize(
    ("out", "asked", "format_"),
    [
        ("a.onnx", None, "onnx"),
        ("a.pt2", None, "pt2"),
        ("a.pt2", "pt2", "pt2"),
        ("a", "pt2", "pt2"),
    ],
)
def test_the_name_of_a_file_says_its_format(out, asked, format_):
    assert format_of(Path(out), asked) == format_


@pytest.mark.parametrize(
    ("out", "asked", "message"),
    [
        ("a.pt2", "onnx", r"out=a\.pt2 ends in \.pt2, but format=onnx is asked for"),
        ("a.pt", None, r"out=a\.pt must end in \.onnx or \.pt2"),
    ],
)
def test_a_format_that_is_not_said_or_said_twice(out, asked, message):
    with pytest.raises(ValueError, match=message):
        format_of(Path(out), asked)


@pytest.mark.parametrize(
    ("out", "format_", "n_steps", "message"),
    [
        ("model.pt", "pt", 1, "format must be one of onnx, pt2, got 'pt'"),
        ("model.pt2", "pt2", 0, "n_steps must be at least 1, or null for all, got 0"),
        ("no/model.pt2", "pt2", 1, "out must be in an existing folder"),
        ("weights.pt", "pt2", 1, r"weights\.pt is there already and no file that ends in \.pt2"),
        ("folder.pt2", "pt2", 1, r"folder\.pt2 is there already"),
        ("model.pt2", "pt2", 1, "config.yaml"),
    ],
)
def test_errors(tmp_path, out, format_, n_steps, message):
    (tmp_path / "weights.pt").touch()
    (tmp_path / "folder.pt2").mkdir()
    with pytest.raises(ValueError, match=message):
        export_run(tmp_path, tmp_path / out, format_, n_steps)
