"""What users see when a script fails: under hydra, alone and in a sweep, in real processes."""

import json

import pytest
from failing_script import run_starts, write_script
from omegaconf import OmegaConf

from monarch_core.report.read.collect import collect_runs
from monarch_core.runs.failures import user_errors
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.standing import standing_of


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """Run the script with several command lines; return the folder and their outcomes."""
    folder = tmp_path_factory.mktemp("script")
    write_script(folder)
    sent = folder / "runs" / "sent"
    sent.mkdir(parents=True)
    (sent.parent / "home").mkdir()
    (sent.parent / "beside").mkdir()
    for name in ("notes", "config.yaml", "script.log"):
        (sent.parent / "beside" / name).write_text("mine")
    (sent / "config.yaml").write_text("seed: 3\n")
    (folder / "victim").write_text("precious")
    for name in ("script.log", ".lock"):
        (sent / name).symlink_to(folder / "victim")
    elsewhere = "hydra.run.dir=runs/elsewhere"
    commands = {
        "value": ["fails=value", "hydra.run.dir=runs/value"],
        "disk": ["fails=disk", "hydra.run.dir=runs/disk"],
        "bug": ["fails=bug", "hydra.run.dir=runs/bug"],
        "type": ["fit.epochs=many", "hydra.run.dir=runs/type"],
        "interrupt": ["fails=interrupt", "hydra.run.dir=runs/interrupt"],
        "sweep": ["-m", "fails=value,none,bug", "seed=4"],
        "SIGTERM": ["fails=SIGTERM", "hydra.run.dir=runs/SIGTERM"],
        "SIGHUP": ["fails=SIGHUP", "hydra.run.dir=runs/SIGHUP"],
        "stopped_sweep": ["-m", "fails=SIGTERM,none", "hydra.sweep.dir=runs/sweep3"],
        "interrupted_sweep": ["-m", "fails=interrupt,none", "hydra.sweep.dir=runs/sweep2"],
        "mended": ["seed=7"],
        "again": [],
        "same_again": ["seed=7"],
        "interrupted_again": ["fails=interrupt", "hydra.run.dir=runs/interrupt"],
        "spoilt": ["seed=7", "hydra.output_subdir=.hydra"],
        "resumed": ["resume=runs/single", elsewhere],
        "resumed_with_changes": ["resume=runs/single", elsewhere, "seed=1", "fit.epochs=4"],
        "same_second": ["seed=8"],
        "sent": ["resume=runs/sent", elsewhere],
        "no_run": ["resume=runs/home", elsewhere],
        "taken": ["seed=9", "hydra.run.dir=runs/single"],
        "resumed_twice": ["resume=runs/single", elsewhere],
        "beside": ["fit.epochs=many", "hydra.run.dir=runs/beside"],
        "another": ["fails=value", "hydra.run.dir=runs/interrupt"],
        "resumed_none": ["resume=runs/none", elsewhere],
        "swept_again": ["-m", "fails=value,disk", "seed=4"],
    }
    taken = dict.fromkeys(("same_second", "taken", "resumed_twice"), "runs/single")
    return folder, run_starts(folder, commands, taken)


def outcome(starts, name, sub="."):
    """Return exit code, standard error and failure.txt (or None) of one command."""
    folder, outcomes = starts
    code, _, errors = outcomes[name]
    failure = folder / "runs" / sub / "failure.txt"
    return code, errors, failure.read_text() if failure.exists() else None


def test_a_user_error_is_one_paragraph_with_the_traceback_in_a_file(starts):
    code, errors, failure = outcome(starts, "disk", "disk")
    assert code == 1
    assert errors.startswith("Error: [Errno 28] No space left on device (details: ")
    assert errors.count("\n") == 1
    assert "runs/disk/failure.txt" in errors
    assert failure.startswith("Traceback")
    assert "OSError" in failure


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("value", "x must divide n, got 7; use 5"),  # of several lines
        ("type", "config key fit.epochs has the wrong type: Value 'many'"),
        ("resumed_none", "runs/none is not a run folder"),
    ],
)
def test_a_start_that_is_refused_leaves_nothing(starts, name, message):
    folder, _ = starts
    code, errors, _ = outcome(starts, name)
    assert code == 1
    assert message in errors
    assert errors.endswith("(HYDRA_FULL_ERROR=1 shows the details)\n")
    assert errors.count("\n") == 1
    assert not any((folder / "runs" / left).exists() for left in (name, "elsewhere"))


def test_a_start_that_is_refused_leaves_what_was_there(starts):
    folder, _ = starts
    assert outcome(starts, "beside")[0] == 1
    left = {path.name: path.read_text() for path in (folder / "runs/beside").iterdir()}
    assert left == dict.fromkeys(("notes", "config.yaml", "script.log"), "mine")
    code, errors, failure = outcome(starts, "another", "interrupt")
    assert code == 1
    assert "already holds a run (checkpoint.pt)" in errors
    assert "KeyboardInterrupt" in failure  # of the attempt before
    assert (folder / "runs/interrupt/config.yaml").exists()


def test_a_refusal_in_a_sweep_is_seen_and_is_no_run(starts):
    folder, _ = starts
    code, errors, failure = outcome(starts, "swept_again", "sweep/0")
    refused = RunFolder(folder / "runs/sweep/0")
    assert code == 1
    assert "runs/sweep/0/refused.txt" in errors
    assert failure is None
    assert standing_of(refused).stage == "failed"
    assert standing_of(refused).why == "use 5"
    assert not refused.is_run
    with pytest.raises(ValueError, match="no run found"):
        collect_runs([refused.path])


def test_a_defect_keeps_its_traceback_and_leaves_the_file(starts):
    code, errors, failure = outcome(starts, "bug", "bug")
    assert code == 1
    assert "Traceback" in errors
    assert "ZeroDivisionError: a defect" in failure


def test_an_interrupt_says_how_to_go_on(starts):
    code, errors, failure = outcome(starts, "interrupt", "interrupt")
    assert code == 130
    assert errors.startswith("Interrupted. Finished epochs are kept; go on with resume=")
    assert errors.rstrip().endswith("runs/interrupt")
    assert errors.count("\n") == 1
    assert "KeyboardInterrupt" in failure


@pytest.mark.parametrize(("name", "expected"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stop_signal_is_an_interrupt(starts, name, expected):
    code, errors, failure = outcome(starts, name, name)
    assert code == expected
    assert errors.startswith(f"Interrupted by {name}. Finished epochs are kept; go on with resume=")
    assert errors.rstrip().endswith(f"runs/{name}")
    assert errors.count("\n") == 1
    assert "StopSignalError" in failure


def test_a_stop_signal_ends_a_sweep(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "stopped_sweep")
    assert code == 143
    assert "Traceback" not in errors
    assert not (folder / "runs/sweep3/1").exists()


def test_a_sweep_goes_on_after_a_failure_and_fails_in_the_end(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "sweep")
    assert code == 1
    assert "Traceback" not in errors
    assert errors.startswith("Error: x must divide n")
    assert "ValueError" in (folder / "runs/sweep/0/refused.txt").read_text()
    assert json.loads((folder / "runs/sweep/1/results.json").read_text()) == {"seed": 4}
    assert not (folder / "runs/sweep/1/failure.txt").exists()
    assert "ZeroDivisionError" in (folder / "runs/sweep/2/failure.txt").read_text()


def test_an_interrupt_ends_a_sweep(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "interrupted_sweep")
    assert code == 130
    assert "Traceback" not in errors
    assert not (folder / "runs/sweep2/1").exists()


def test_success_removes_an_old_failure(starts):
    folder, _ = starts
    code, errors, failure = outcome(starts, "mended", "single")
    assert (code, errors, failure) == (0, "", None)
    assert json.loads((folder / "runs/single/results.json").read_text()) == {"seed": 7}


def test_a_finished_folder_is_not_overwritten(starts):
    code, errors, _ = outcome(starts, "again")
    assert code == 1
    assert "already holds a run (results.json); go on with it through resume=" in errors
    assert "(it was started with seed=7, now asked for is no overrides)" in errors


def test_the_same_command_in_the_folder_of_a_finished_run_is_done(starts):
    folder, outcomes = starts
    code, errors, failure = outcome(starts, "same_again", "single")
    assert (code, errors, failure) == (0, "", None)
    assert "runs/single holds this run, and it is finished: skipped" in outcomes["same_again"][1]
    assert (folder / "runs/single/script.log").read_text().count("skipped") == 1


def test_the_same_command_goes_on_with_an_unfinished_run(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "interrupted_again")
    assert code == 130
    assert "Finished epochs are kept" in errors
    assert (folder / "runs/interrupt/script.log").read_text().count("at work") == 2


def test_overrides_that_hydra_has_written_over_prove_nothing(starts):
    code, errors, _ = outcome(starts, "spoilt")
    assert code == 1
    assert "already holds a run (results.json); go on with it through resume=" in errors


def test_a_resumed_run_stays_in_its_folder(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "resumed")
    assert (code, errors) == (0, "")
    assert not (folder / "runs/elsewhere").exists()
    assert "seed: 7" in (folder / "runs/single/config.yaml").read_text()
    assert (folder / "runs/single/script.log").read_text().count("at work") == 2


def test_other_overrides_do_not_go_with_resume(starts):
    code, errors, failure = outcome(starts, "resumed_with_changes", "single")
    assert code == 1
    assert "so seed=1 cannot be given with it; fit.epochs, " in errors
    assert "HYDRA_FULL_ERROR=1 shows the details" in errors
    assert failure is None  # the run was finished before


def test_runs_of_the_same_second_have_folders_of_their_own(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "same_second")
    assert (code, errors) == (0, "")
    first, second = folder / "runs/single", folder / "runs/single-2"
    assert json.loads((first / "results.json").read_text()) == {"seed": 7}
    assert json.loads((second / "results.json").read_text()) == {"seed": 8}
    overrides = [OmegaConf.load(f / ".hydra/overrides.yaml") for f in (first, second)]
    assert overrides[1] == ["seed=8"]
    assert (second / "script.log").read_text().count("at work") == 1
    assert (first / "script.log").read_text().count("at work") == 2
    assert not (second / ".lock").exists()


def test_links_in_a_folder_that_was_sent_are_not_written_through(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "sent")
    assert (code, errors) == (0, "")
    assert (folder / "victim").read_text() == "precious"
    assert "at work" in (folder / "runs/sent/script.log").read_text()


def test_nothing_is_left_in_a_folder_that_is_no_run(starts):
    folder, _ = starts
    code, errors, _ = outcome(starts, "no_run")
    assert code == 1
    assert "so " in errors
    assert "is not a run folder" in errors
    assert list((folder / "runs/home").iterdir()) == []


@pytest.mark.parametrize("name", ["taken", "resumed_twice"])
def test_a_folder_in_use_is_refused_and_left_alone(starts, name):
    code, errors, failure = outcome(starts, name, "single")
    assert code == 1
    assert errors.count("\n") == 1
    assert "runs/single is in use by process " in errors
    assert "choose another folder (a new run: hydra.run.dir=FOLDER)" in errors
    assert failure is None


def test_without_hydra_errors_pass_through(tmp_path):
    @user_errors
    def job(raw):
        if raw.fails:
            raise ValueError("x")
        return 3

    raw = OmegaConf.create({"run_dir": str(tmp_path), "fails": True})
    with pytest.raises(ValueError, match="x"):
        job(raw)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "checkpoint.pt").touch()
    (tmp_path / "failure.txt").write_text("ValueError: x")
    raw.fails = False
    assert job(raw) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_evaluating_a_run_does_not_mend_its_training(tmp_path):
    job = user_errors(lambda raw: 3)
    (tmp_path / "failure.txt").write_text("why")
    job(OmegaConf.create({"run": str(tmp_path)}))
    assert (tmp_path / "failure.txt").exists()
    job(OmegaConf.create({"resume": str(tmp_path)}))
    assert not (tmp_path / "failure.txt").exists()
