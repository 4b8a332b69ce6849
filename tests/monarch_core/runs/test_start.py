"""A run starts with checked values, one seed for everything and a folder of its own."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.start import load_config, run_to_read
from monarch_core.training.config import FitConfig
from monarch_core.training.start import note_changes, start_run


@dataclass
class RunConfig:
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 0


def start(run_dir, **values):
    return start_run(OmegaConf.create({"run_dir": str(run_dir), **values}), RunConfig)


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_config_and_folder_are_ready(tmp_path):
    config, run_dir = start(tmp_path / "runs" / "a", seed=3, fit={"epochs": 2})
    assert config == RunConfig(fit=FitConfig(epochs=2), seed=3)
    assert run_dir == tmp_path / "runs" / "a"
    assert load_config(run_dir, RunConfig) == config


def test_one_seed_determines_every_generator(tmp_path):
    drawn = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        start(tmp_path / name, seed=seed)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(x != y for x, y in zip(drawn[0], drawn[2], strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_do_not_fit_are_refused(tmp_path, seed):
    with pytest.raises(ValueError, match=f"seed must be from 0 to 4294967295, got {seed}"):
        start(tmp_path, seed=seed)


def test_threads_are_those_asked_for_or_the_usable_cores(tmp_path, monkeypatch):
    start(tmp_path / "a", fit={"n_threads": 3})
    assert torch.get_num_threads() == 3
    monkeypatch.setattr("monarch_core.training.start.usable_cores", lambda: 2)
    start(tmp_path / "b")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)  # what OMP_NUM_THREADS=1 does
    start(tmp_path / "c")
    assert torch.get_num_threads() == 1


def test_resume_takes_the_config_of_the_folder(tmp_path):
    config, run_dir = start(tmp_path / "a", seed=5, fit={"epochs": 2})
    raw = OmegaConf.create({"resume": str(run_dir), "seed": 0, "fit": {"epochs": 500}})
    assert start_run(raw, RunConfig) == (config, run_dir)
    assert load_config(run_dir, RunConfig) == config


def test_resume_needs_a_run_folder(tmp_path):
    with pytest.raises(ValueError, match="is not a run folder"):
        start_run(OmegaConf.create({"resume": str(tmp_path / "none")}), RunConfig)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["checkpoint.pt", "results.json"])
def test_a_folder_with_finished_work_is_refused(tmp_path, name):
    start(tmp_path)
    start(tmp_path, seed=1)  # nothing was finished: the folder may be used again
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"already holds a run .{name}.; go on .* resume="):
        start(tmp_path)
    assert load_config(tmp_path, RunConfig).seed == 1


def test_a_folder_is_needed():
    with pytest.raises(ValueError, match="no run folder was given; add run_dir=FOLDER"):
        start_run(OmegaConf.create({"seed": 1}), RunConfig)


def test_mistakes_are_found_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"did you mean fit\.epochs"):
        start(tmp_path / "a", fit={"epoch": 1})
    assert list(Path(tmp_path).iterdir()) == []


def test_bfloat16_is_refused_where_it_is_slow_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    fit = {"precision": "bf16-mixed", "accelerator": "cpu"}
    with pytest.raises(
        ValueError, match=r"fit\.precision=bf16-mixed: .*use fit\.precision=32-true"
    ):
        start(tmp_path / "a", fit=fit)
    assert list(tmp_path.iterdir()) == []
    start(tmp_path / "a", fit={**fit, "precision": "32-true"})


def test_a_run_in_bfloat16_from_elsewhere_goes_on_and_says_that_it_is_slow(
    tmp_path, monkeypatch, caplog
):
    fit = {"precision": "bf16-mixed", "accelerator": "cpu"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    config, run_dir = start(tmp_path / "a", fit=fit)
    assert not caplog.records
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert start_run(OmegaConf.create({"resume": str(run_dir)}), RunConfig) == (config, run_dir)
    assert "5 to 20 times" in caplog.text


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match=r"could not write .*config\.yaml: No space left"):
        start(tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == []


def started_in(folder, run_dir):
    """Leave what hydra notes about where it was called."""
    (run_dir / ".hydra").mkdir(parents=True)
    record = {"hydra": {"runtime": {"cwd": str(folder)}, "job": {"num": "???"}}}
    OmegaConf.save(OmegaConf.create(record), run_dir / ".hydra/hydra.yaml")
    (run_dir / "config.yaml").touch()
    return run_dir


def test_a_run_is_read_where_it_was_started(tmp_path, monkeypatch):
    home, run_dir = tmp_path / "home", started_in(tmp_path / "home", tmp_path / "runs/a")
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_to_read(OmegaConf.create({"run": "runs/a"})) == run_dir
    assert Path.cwd() == home


def test_resuming_goes_to_where_the_run_was_started(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    start(tmp_path / "runs/a", seed=5)
    started_in(home, tmp_path / "runs/a")
    monkeypatch.chdir(tmp_path)
    config, run_dir = start_run(OmegaConf.create({"resume": "runs/a"}), RunConfig)
    assert (config.seed, run_dir, Path.cwd()) == (5, tmp_path / "runs/a", home)


@pytest.mark.parametrize("record", ["hydra: {runtime: {cwd: /none/such}}", "[]", "hydra: 1", None])
def test_a_run_from_elsewhere_is_read_where_we_are(tmp_path, monkeypatch, record):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "config.yaml").touch()
    if record is not None:
        (tmp_path / ".hydra/hydra.yaml").write_text(record)
    monkeypatch.chdir(tmp_path)
    assert run_to_read(OmegaConf.create({"run": str(tmp_path)})) == tmp_path
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("name", ["none", "."])
def test_what_is_read_must_be_a_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"run={name} is not a run folder"):
        run_to_read(OmegaConf.create({"run": name}))


def resumed(run_dir, monkeypatch, *overrides):
    asked = [f"resume={run_dir}", *overrides]
    monkeypatch.setattr("monarch_core.runs.start.asked_overrides", lambda: asked)
    return start_run(OmegaConf.from_dotlist(asked), RunConfig)


def test_more_epochs_are_a_further_cycle_and_the_folder_says_so(tmp_path, monkeypatch):
    _, run_dir = start(tmp_path / "a", seed=5, fit={"epochs": 2})
    (run_dir / ".hydra").mkdir()
    (run_dir / ".hydra/overrides.yaml").write_text("- seed=5\n- fit.epochs=2\n")
    (run_dir / "results.json").write_text("{}")
    config, _ = resumed(run_dir, monkeypatch, "fit.epochs=6")
    assert (config.fit.epochs, config.fit.restarts, config.seed) == (6, [2], 5)
    assert load_config(run_dir, RunConfig).fit.epochs == 2  # its data may still refuse it
    assert (run_dir / "results.json").exists()
    note_changes(RunFolder(run_dir), config.fit)
    assert load_config(run_dir, RunConfig) == config
    noted = OmegaConf.load(run_dir / ".hydra/overrides.yaml")
    assert noted == ["seed=5", "fit.epochs=6", "fit.restarts=[2]"]
    assert not (run_dir / "results.json").exists()
    assert resumed(run_dir, monkeypatch, "fit.epochs=6")[0] == config  # again: nothing new
    again, _ = resumed(run_dir, monkeypatch, "fit.epochs=7", "fit.n_threads=1")
    assert (again.fit.restarts, again.fit.n_threads) == ([2, 6], 1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fit.epochs=1", "fit.epochs=1 is below the 2 epochs that the run was started with"),
        ("seed=1", "so seed=1 cannot be given with it; fit.epochs, .*fit.n_threads.* can; leave"),
    ],
)
def test_what_would_be_another_run_is_refused(tmp_path, monkeypatch, override, message):
    _, run_dir = start(tmp_path / "a", fit={"epochs": 2})
    before = {path: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=message):
        resumed(run_dir, monkeypatch, override)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_run_of_another_script_is_refused(tmp_path, monkeypatch):
    _, run_dir = start(tmp_path / "a")
    started_in(tmp_path, run_dir)
    record = {"hydra": {"runtime": {"cwd": str(tmp_path)}, "job": {"name": "calibrate"}}}
    OmegaConf.save(OmegaConf.create(record), run_dir / ".hydra/hydra.yaml")
    monkeypatch.setattr("monarch_core.runs.start._script", lambda: "train")
    with pytest.raises(
        ValueError, match=r"is a run of calibrate\.py, which train\.py cannot go on"
    ):
        start_run(OmegaConf.create({"resume": str(run_dir)}), RunConfig)
