"""results.json: complete, strict JSON, honest about cost and origin."""

import dataclasses
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from monarch_core.runs import results
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.results import (
    git_commit,
    report_metrics,
    versions,
    write_results,
)
from monarch_core.training.config import FitConfig

REQUIRED = [
    "task",
    "dataset",
    "model",
    "transform",
    "seed",
    "split_sizes",
    "metrics",
    "n_parameters",
    "train_seconds",
    "seconds_per_epoch",
    "peak_memory_bytes",
    "device",
    "versions",
    "git_commit",
    "config",
]


@dataclass
class Config:
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 4


def write(run_dir, **values):
    defaults = {
        "task": "pde",
        "dataset": "navier_stokes",
        "model": "fno",
        "transform": "monarch",
        "seed": 4,
        "split_sizes": {"train": 11, "valid": 3, "test": 2},
        "metrics": {"relative_l2": 0.125},
        "n_parameters": 7,
        "config": Config(),
    }
    return write_results(run_dir, **{**defaults, **values})


def log_epochs(run_dir, seconds):
    for epoch, value in enumerate(seconds, start=1):
        RunFolder(run_dir).log.append(
            {
                "epoch": epoch,
                "valid_error": None if epoch == 1 else 1.0 + abs(epoch - 3),
                "seconds": value,
                "valid_seconds": 0.5,
                "peak_memory_bytes": 1000 + epoch % 3,
                "device": "a device",
            },
        )


def test_every_key_is_there_and_the_file_is_strict_json(tmp_path):
    log_epochs(tmp_path, [1.0])
    returned = write(tmp_path)
    text = (tmp_path / "results.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == returned
    assert set(REQUIRED) <= set(returned)
    assert returned["config"]["fit"]["epochs"] == 500


def test_what_transform_and_data_are_is_kept_in_plain_values(tmp_path):
    declares = {"basis": "cosine", "control": False, "learns": "forward"}
    identity = {"generator": "phantom", "sizes": (32, 16), "seed": np.int64(3)}
    found = write(tmp_path, transform_declares=declares, data_identity=identity)
    assert found["transform_declares"] == declares
    assert found["data_identity"] == {"generator": "phantom", "sizes": [32, 16], "seed": 3}
    assert RunFolder(tmp_path).read_results() == found
    plain = write(tmp_path)
    assert plain["transform_declares"] is plain["data_identity"] is None


def test_the_command_is_what_hydra_was_given(tmp_path):
    assert write(tmp_path)["command"] is None
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- transform=fft\n- seed=1\n")
    assert write(tmp_path)["command"] == "python pde/train.py transform=fft seed=1"
    (tmp_path / ".hydra" / "hydra.yaml").write_text("hydra: {job: {name: calibrate}}")
    assert write(tmp_path)["command"] == "python pde/calibrate.py transform=fft seed=1"


def test_where_a_run_began_is_said(tmp_path):
    assert write(tmp_path)["started_from"] is None
    RunFolder(tmp_path).origin.write_text('{"weights": "runs/a", "taken": 3}')
    assert write(tmp_path)["started_from"] == {"weights": "runs/a", "taken": 3}


def test_cost_comes_from_the_log_without_the_warm_up(tmp_path):
    log_epochs(tmp_path, [100.0, 1.0, 2.0, 9.0])
    found = write(tmp_path)
    assert found["seconds_per_epoch"] == 2.0
    assert found["train_seconds"] == 112 + 4 * 0.5
    assert found["peak_memory_bytes"] == 1002
    assert found["device"] == "a device"
    assert (found["n_epochs"], found["best_epoch"]) == (4, 3)


def test_without_a_log_the_cost_is_null(tmp_path):
    found = write(tmp_path)
    cost = ("train_seconds", "seconds_per_epoch", "peak_memory_bytes", "device")
    assert [found[key] for key in cost] == [None] * 4


def test_numbers_of_any_library_are_written_and_nan_becomes_null(tmp_path):
    metrics = {
        "numpy": np.float32(0.5),
        "torch": torch.tensor(0.25),
        "per_step": torch.tensor([1.0, float("inf")]),
        "nan": float("nan"),
        "whole": 3,
    }
    assert write(tmp_path, metrics=metrics)["metrics"] == {
        "numpy": 0.5,
        "torch": 0.25,
        "per_step": [1.0, None],
        "nan": None,
        "whole": 3,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_main_metric_that_is_not_finite_is_an_error_after_all_were_logged(
    tmp_path, caplog, value
):
    metrics = {"relative_l2": value, "error_low": 0.25, "psnr_gain": float("nan")}
    message = rf"the test split of {tmp_path} gives relative_l2={value}, which is no result: either"
    caplog.set_level("INFO")
    with pytest.raises(ValueError, match=message) as caught:
        report_metrics(tmp_path, metrics, required=["relative_l2", "error_low"])
    assert "\n" not in str(caught.value)
    assert [record.getMessage() for record in caplog.records] == [
        f"relative_l2: {value}",
        "error_low: 0.25",
        "psnr_gain: nan",
    ]
    report_metrics(tmp_path, metrics, required=["error_low"])


def test_an_unfinished_run_is_measured_with_a_warning(tmp_path, caplog):
    log_epochs(tmp_path, [1.0, 2.0])
    write(tmp_path)
    assert "was trained for 2 of its 500 epochs only" in caplog.text


@pytest.mark.parametrize("key", ["seconds", "valid_seconds", "peak_memory_bytes"])
def test_a_log_without_costs_is_named(tmp_path, key):
    record = {"epoch": 1, "seconds": 1.0, "valid_seconds": 1.0, "peak_memory_bytes": 1}
    (tmp_path / "log.jsonl").write_text(json.dumps({**record, key: "x"}) + "\n")
    with pytest.raises(ValueError, match=rf"log\.jsonl has {key}='x' for epoch 1, .*from a copy"):
        write(tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_what_json_cannot_hold_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.relative_l2 is a object"):
        write(tmp_path, metrics={"relative_l2": object()})
    assert not (tmp_path / "results.json").exists()


def test_versions_name_what_matters_and_null_what_is_missing(monkeypatch):
    libraries = {"torch", "neuraloperator", "transformers", "hydra-core"}
    assert {"python", *libraries, "monarch-science"} == set(versions())
    monkeypatch.setattr(results, "PACKAGES", ("torch", "not-installed-anywhere"))
    found = versions()
    assert found["torch"] is not None
    assert torch.__version__.startswith(found["torch"])  # which may name the build, as in +cpu
    assert found["not-installed-anywhere"] is None
    assert found["python"].startswith("3.")


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def test_commit_of_tracked_sources_only(tmp_path):
    source, installed = tmp_path / "source.py", tmp_path / "installed.py"
    source.write_text("1")
    assert git_commit(source) is None
    git(tmp_path, "init")
    git(tmp_path, "add", "source.py")
    git(tmp_path, "commit", "-m", "first")
    installed.write_text("1")
    clean = git_commit(source)
    assert clean is not None
    assert len(clean) == 40
    assert git_commit(installed) is None
    source.write_text("2")
    assert git_commit(source) == f"{clean}-dirty"


def test_no_git_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(Path(results.__file__)) is None


def test_the_defaults_of_the_options_are_recorded(tmp_path):
    config = FitConfig(epochs=77)
    results = write(tmp_path, config=config)
    assert results["config"]["epochs"] == 77
    assert results["defaults"] == dataclasses.asdict(FitConfig())
