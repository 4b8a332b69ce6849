"""A sweep, with whichever launcher: finished runs are skipped, unfinished ones go on."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from monarch_core.runs import sweep
from monarch_core.runs.overrides import job_name
from monarch_core.runs.sweep import folder_names, main, multirun

ROOT = Path(__file__).parents[3]

# A stand-in for a training script: one checkpoint per epoch, results at the end.
SCRIPT = """
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
import hydra
from omegaconf import DictConfig
from monarch_core.runs.failures import AlreadyFinishedError, user_errors
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.start import read_start, take_folder

@dataclass
class Config:
    seed: int = 0
    wait: float = 0.0
    meet: int = 1
    n_workers: int = 0
    path: str = ""

@hydra.main(version_base="1.3", config_path="conf", config_name="config")
@user_errors
def main(raw: DictConfig) -> None:
    config, run_dir, _ = read_start(raw, Config)
    run_dir, state = take_folder(run_dir, config, is_resumed=False)
    if state == "finished":
        raise AlreadyFinishedError(run_dir)
    folder = RunFolder(run_dir)
    if config.seed == 13:
        raise ValueError("unlucky")
    if config.n_workers:
        with ProcessPoolExecutor(config.n_workers, mp_context=get_context("spawn")) as pool:
            assert pool.submit(abs, -1).result() == 1
    epoch = int(folder.checkpoint.read_text()) if folder.can_resume else 0
    with (run_dir / "starts").open("a") as file:
        file.write(f"{epoch} ")
    deadline = time.monotonic() + 60
    while len(list(run_dir.parent.glob("*/starts"))) < config.meet:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for epoch in range(epoch, 4):
        if epoch == 2 and config.seed == 1 and Path("stop").exists():
            raise ValueError("stopped")
        time.sleep(config.wait)
        folder.checkpoint.write_text(str(epoch + 1))
    folder.results.write_text("{}")

if __name__ == "__main__":
    main()
"""
CONFIG = """
seed: 0
wait: 0
meet: 1
n_workers: 0
path: ""
hydra:
  output_subdir: null
  sweep:
    subdir: ${job_name:${hydra.overrides.task}}
"""
LAUNCHERS = {
    "basic": "hydra",
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
}


def has(launcher):
    try:
        return importlib.util.find_spec(LAUNCHERS[launcher]) is not None
    except ModuleNotFoundError:
        return False


def needs(launcher):
    reason = f"needs hydra's {launcher} launcher: pip install 'monarch-science[launch]'"
    return pytest.mark.skipif(not has(launcher), reason=reason)


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text(CONFIG)
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def starts(folder):
    """Return the epochs after which the attempts at a run began."""
    return [int(word) for word in (folder / "starts").read_text().split()]


@pytest.mark.parametrize("launcher", [pytest.param(name, marks=needs(name)) for name in LAUNCHERS])
def test_the_same_command_goes_on_and_skips_what_is_finished(script, launcher):
    command = [sys.executable, str(script), "-m", "hydra.sweep.dir=out", "seed=0,1", "wait=0"]
    command.append(f"hydra/launcher={launcher}")
    Path("stop").touch()
    assert subprocess.run(command, check=False).returncode == 1
    first, second = Path("out/seed_0-wait_0"), Path("out/seed_1-wait_0")
    assert [(f / "results.json").exists() for f in (first, second)] == [True, False]
    assert "stopped" in (second / "failure.txt").read_text()
    Path("stop").unlink()
    assert subprocess.run(command, check=False).returncode == 0
    assert (second / "results.json").exists()
    assert not (second / "failure.txt").exists()
    assert (starts(first), starts(second)) == ([0], [0, 2])
    assert "holds this run, and it is finished: skipped" in (first / "train.log").read_text()


@pytest.mark.parametrize(
    "launcher", [pytest.param(n, marks=needs(n)) for n in LAUNCHERS if n != "basic"]
)
def test_a_launcher_takes_runs_side_by_side_which_start_processes(script, launcher):
    command = [sys.executable, str(script), "-m", "hydra.sweep.dir=out", "seed=2,3", "meet=2"]
    command += ["n_workers=1", f"hydra/launcher={launcher}"]
    done = subprocess.run(command, check=False)
    assert done.returncode == 0
    assert len(list(Path("out").glob("*/results.json"))) == 2


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=needs("joblib"))])
def test_after_the_time_is_up_the_same_command_goes_on(script, jobs, capfd, monkeypatch):
    monkeypatch.setattr(sweep, "GRACE_S", 3.0)
    command = ["out", str(script), "wait=0.1", "seed=0,1,2", "--jobs", str(jobs)]
    slow = [*command[:2], "wait=30", *command[3:]]
    assert main([*slow, "--minutes", "0.05"]) == 1
    assert "not all is finished; the same command goes on with it" in capfd.readouterr().out
    assert not list(Path("out").glob("*/results.json"))
    for run in Path("out").glob("seed_*"):  # whatever was started had finished no epoch
        assert not (run / "checkpoint.pt").exists()
    assert main(command) == 0
    assert sorted(p.parent.name for p in Path("out").glob("*/results.json")) == [
        "seed_0",
        "seed_1",
        "seed_2",
    ]


def test_a_sweep_that_is_told_to_stop_ends_its_runs(script, capfd):
    def stop():
        while not list(Path("out").glob("*/starts")):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    assert main(["out", str(script), "wait=60", "seed=0,1"]) == 1
    assert "Interrupted by SIGTERM" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert starts(Path("out/seed_0")) == [0]
    assert not Path("out/seed_1").exists()


def test_a_failed_run_is_reported_and_the_others_are_finished(script, capfd):
    assert main(["out", str(script), "seed=0,13,2"]) == 1
    assert {path.parent.name for path in Path("out").glob("*/results.json")} == {"seed_0", "seed_2"}
    assert "Error: unlucky (details: " in capfd.readouterr().err


def test_a_folder_of_another_run_is_refused(script, capfd):
    assert main(["out", str(script), "path=/a/x,/b"]) == 0
    assert main(["out", str(script), "path=/a_x,/b"]) == 1  # two names that look alike
    assert "it was started with path=/a/x, now asked for is path=/a_x" in capfd.readouterr().err
    assert main(["out", str(script), "path=/a/x,/b", "wait=0.01"]) == 1
    assert "now asked for is path=/a/x wait=0.01" in capfd.readouterr().err


def test_the_name_of_a_folder_tells_the_values():
    overrides = ["model=fno", "dataset.viscosity=0.001", "+seed=0"]
    assert job_name(overrides) == "model_fno-viscosity_0.001-seed_0"
    assert job_name(overrides, ["seed", "dataset.viscosity"]) == "viscosity_0.001-seed_0"
    assert job_name(overrides, []) == "run"
    assert job_name(["evaluation.grids=[16,64]", "x='../a b'"]) == "grids__16_64-x__.._a_b"
    long = [job_name([f"path={'x' * n}"]) for n in (999, 1000)]
    assert long[0] != long[1]
    assert max(map(len, long)) < 200


def test_only_what_varies_names_the_folders_of_the_command(tmp_path, script):
    given = ["model=a", "+seed=0,1", "dataset.n='x,y'", "x=range(2)"]
    command = multirun(tmp_path, script, given, 1)
    override = next(word for word in command if word.startswith("hydra.sweep.subdir"))
    name = OverridesParser.create().parse_override(override).value()
    task = ["model=a", "added=b", "+seed=0", "dataset.n='x,y'", "x=1"]
    config = OmegaConf.create({"hydra": {"overrides": {"task": task}}, "name": name})
    assert config.name == "seed_0-x_1"
    assert config.name in folder_names(given)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=0,"], "cannot read"),
        (["x='測','量'"], "x='測' and x='量' would both be in the folder x"),
        (["seed=0,1", "x=a/b,a_b"], "seed=0 x=a/b and seed=0 x=a_b would both be in the folder"),
        (["x='測','量'"], "; write these values with other letters, or start a sweep for each"),
        (["seed=0,0"], "seed=0 stands twice; leave a value out"),
        (["seed=0,1", "x=a,b,a"], "seed=0 x=a stands twice; leave a value out"),
        (["model=glob(fno*)"], "model=glob(fno*) would name the runs after files that only"),
        (["seed=0", "seed=1"], "seed is set by the sweep or given twice"),
        (["hydra.run.dir=x"], "hydra.run.dir is set by the sweep"),
        (["resume=x"], "resume is set by the sweep"),
        (["seed=0", "--jobs", "0"], "--jobs must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_a_sweep_is_refused(script, capsys, overrides, message):
    assert main(["out", str(script), *overrides]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_missing_script_or_launcher_is_named(tmp_path, script, capsys, monkeypatch):
    assert main([str(tmp_path), "nothing.py"]) == 2
    assert "there is no script nothing.py" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "hydra_plugins.hydra_joblib_launcher", raising=False)
    monkeypatch.setitem(sys.modules, "hydra_plugins", None)
    assert main(["out", str(script), "seed=0,1", "--jobs", "2"]) == 2
    assert "pip install 'monarch-science[launch]'" in capsys.readouterr().err


NAMES = [
    "a=b/c,d",
    "it's",
    "x\\",
    "x\\'y",
    "a b",
    "[1]",
    "{x: 1}",
    "choice(a,b)",
    "(",
    "#",
    "null,",
    "tab\there",
    'a "b"',
    "/".join(["x" * 100] * 5),
]


@pytest.mark.parametrize("name", NAMES)
def test_hydra_reads_any_name_of_a_folder(tmp_path, script, name):
    command = multirun(tmp_path / name, script, ["seed=1"], 1)
    override = OverridesParser.create().parse_override(command[3])
    assert override.key_or_group == "hydra.sweep.dir"
    assert override.value() == str(tmp_path / name)


def test_home_and_what_no_folder_can_be_called(tmp_path, monkeypatch, capsys, script):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["~/out", str(script), "seed=0"]) == 0
    assert (tmp_path / "out/run/results.json").exists()
    assert main([f"{tmp_path}/${{x}}", str(script), "seed=0"]) == 2
    assert "cannot hold ${" in capsys.readouterr().err
