import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from monarch_core.runs.sweep import Job, expand, main

# A stand-in for a training script: one checkpoint per epoch, results at the end.
SCRIPT = """
import os, sys, time
from pathlib import Path
options = dict(item.split("=", 1) for item in sys.argv[1:])
folder = Path(options.get("resume") or options["hydra.run.dir"])
(folder / ".hydra").mkdir(parents=True, exist_ok=True)
checkpoint = folder / "checkpoint.pt"
(folder / "pid").write_text(str(os.getpid()))
if "resume" not in options:
    lines = [f"- {key}={value}" for key, value in options.items() if key != "hydra.run.dir"]
    (folder / ".hydra/overrides.yaml").write_text("\\n".join(lines) + "\\n")
    (folder / "first.txt").write_text(" ".join(sys.argv[1:]))
    if options.get("seed") == "13":
        raise SystemExit("unlucky")
epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
for epoch in range(epoch, 4):
    time.sleep(float((folder / "first.txt").read_text().split("wait=")[1].split()[0]))
    checkpoint.write_text(str(epoch + 1))
(folder / "results.json").write_text(str(epoch))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_values_separated_by_commas_are_combined_and_name_the_folders(tmp_path):
    jobs = expand(["model=fno", "dataset.viscosity=1e-3,1e-4", "seed=range(0,2)"], tmp_path)
    assert [job.folder.name for job in jobs] == [
        "viscosity_0.001-seed_0",
        "viscosity_0.001-seed_1",
        "viscosity_0.0001-seed_0",
        "viscosity_0.0001-seed_1",
    ]
    assert jobs[2].overrides == ("model=fno", "dataset.viscosity=0.0001", "seed=0")


def test_a_list_is_one_value(tmp_path):
    (job,) = expand(["evaluation.grids=[16,64]"], tmp_path)
    assert job.overrides == ("evaluation.grids=[16,64]",)


@pytest.mark.parametrize("varied", ["seed=0,0", "dataset.path=/a/x,/a_x"])
def test_two_runs_in_one_folder_are_refused(varied, tmp_path):
    with pytest.raises(ValueError, match="would share the folder"):
        expand([varied], tmp_path)


def test_each_run_is_done_once(tmp_path, script, capsys):
    out = tmp_path / "out"
    command = [str(out), str(script), "--jobs", "2", "seed=0,1,2", "wait=0.01"]
    assert main(command) == 0
    made = {path: path.stat().st_mtime_ns for path in out.glob("*/results.json")}
    assert len(made) == 3
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/results.json")} == made
    assert "3 runs, 3 of them finished before" in capsys.readouterr().out


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["shell", "background"])
def sigint(request):
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint")
def test_after_the_time_is_up_the_same_command_goes_on(tmp_path, script, capsys):
    out = tmp_path / "out"
    command = [str(out), str(script), "wait=1.5", "seed=0,1"]
    assert main([*command, "--jobs", "2", "--minutes", "0.05"]) == 1
    assert "not finished; the same command goes on" in capsys.readouterr().out
    epochs = int((out / "seed_0/checkpoint.pt").read_text())
    assert 1 <= epochs < 4
    assert main([*command, "--jobs", "2"]) == 0
    # The second command did not start again: what the first start wrote is still there.
    assert "hydra.run.dir" in (out / "seed_0/first.txt").read_text()


def test_a_sweep_that_is_told_to_stop_ends_its_runs(tmp_path, script, capsys):
    out = tmp_path / "out"
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert main([str(out), str(script), "wait=60", "seed=0,1"]) == 1
    assert "seed_0: not finished; the same command goes on" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(ProcessLookupError):
        os.kill(int((out / "seed_0/pid").read_text()), 0)


def test_a_failed_run_is_reported_and_the_others_are_finished(tmp_path, script, capsys):
    out = tmp_path / "out"
    assert main([str(out), str(script), "seed=0,13,2", "wait=0"]) == 1
    assert {path.parent.name for path in out.glob("*/results.json")} == {"seed_0", "seed_2"}
    assert f"seed_13: failed, see {out / 'seed_13/output.log'}" in capsys.readouterr().out
    assert "unlucky" in (out / "seed_13/output.log").read_text()


def test_runs_go_side_by_side(tmp_path, script):
    out = tmp_path / "out"
    command = [str(out), str(script), "--jobs", "3", "seed=0,1,2", "wait=0.5"]
    thread = threading.Thread(target=main, args=(command,))
    thread.start()
    deadline = time.monotonic() + 20
    started = 0
    while started < 3 and time.monotonic() < deadline:
        started = len(list(out.glob("*/first.txt")))
        assert not list(out.glob("*/results.json"))
    thread.join()
    assert started == 3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=0,"], "cannot read"),
        (["seed=0", "seed=1"], "seed is set by the sweep or given twice"),
        (["hydra.run.dir=x"], "hydra.run.dir is set by the sweep"),
    ],
)
def test_what_cannot_be_a_sweep_is_refused(tmp_path, script, capsys, overrides, message):
    assert main([str(tmp_path / "out"), str(script), *overrides]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_sweep_is_refused(tmp_path, script, capsys):
    out = str(tmp_path / "out")
    assert main([out, str(script), "seed=0", "wait=0"]) == 0
    assert main([out, str(script), "seed=0", "wait=0", "fit.epochs=2"]) == 2
    assert "was started with seed=0 wait=0, now asked for is" in capsys.readouterr().err


def test_a_missing_script_is_named(tmp_path, capsys):
    assert main([str(tmp_path), "nothing.py"]) == 2
    assert "there is no script nothing.py" in capsys.readouterr().err


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
]


@pytest.mark.parametrize("name", NAMES)
def test_hydra_reads_any_name_of_a_folder(tmp_path, name):
    job = Job(tmp_path / name, ("seed=1",))
    parser = OverridesParser.create()
    for started in (False, True):
        if started:
            job.folder.mkdir(parents=True)
            (job.folder / "checkpoint.pt").touch()
        override = parser.parse_override(job.command(Path("train.py"))[-1])
        assert override.key_or_group == ("resume" if started else "hydra.run.dir")
        assert override.value() == str(job.folder)


def test_home_and_what_no_folder_can_be_called(tmp_path, monkeypatch, capsys, script):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["~/out", str(script), "seed=0", "wait=0"]) == 0
    assert (tmp_path / "out/run/results.json").exists()
    assert main([f"{tmp_path}/${{x}}", str(script), "seed=0"]) == 2
    assert "cannot hold ${" in capsys.readouterr().err
