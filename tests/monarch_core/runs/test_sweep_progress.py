"""What a sweep shows is where its runs are, and how long those that are left will take."""

import io
import os
import platform

import pytest
from rich.console import Console

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.standing import Standing
from monarch_core.runs.sweep import folder_names
from monarch_core.runs.sweep_progress import Lines, Screen, Watch, display_for, table_of, time_left

NAMES = ["seed_0", "seed_1", "seed_2"]


@pytest.fixture
def run(tmp_path):
    """Return a function that brings a run to a stage and returns its folder."""

    def bring(name, stage, n_done=0):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir(exist_ok=True)
        folder.config.write_text("fit: {epochs: 10}\n")
        for path in (folder.lock, folder.log.path, folder.results, folder.failure):
            path.unlink(missing_ok=True)
        for epoch in range(1, n_done + 1):
            folder.log.append({"epoch": epoch, "valid_error": 1 / epoch, "seconds": 2.0})
        if stage == "running":
            folder.lock.write_text(f"process {os.getpid()} on {platform.node()}")
        elif stage == "failed":
            folder.failure.write_text("Traceback\nValueError: unlucky\n")
        elif stage == "finished":
            folder.results.write_text("{}")
        return folder

    return bring


def test_time_left_is_that_of_the_epochs_that_are_left():
    done = Standing("finished", 10, 10, 0.1, 2.0)
    half = Standing("running", 5, 10, 0.2, 4.0)
    runs = {"a": done, "b": half, "c": Standing("waiting")}
    # 5 epochs of 4 s, and 10 of the mean of 2 and 4 s
    assert time_left(runs, 1) == pytest.approx(5 * 4 + 10 * 3)
    assert time_left(runs, 2) == pytest.approx(10 * 3)  # the longest, with the other beside it
    assert time_left({"a": done}, 1) == 0
    assert time_left({"c": Standing("waiting"), "d": Standing("running")}, 1) is None
    failed = Standing("failed", 3, 10, 0.1, 2.0)
    assert time_left({"a": failed}, 1) == 0


def test_old_failures_and_stopped_runs_wait(tmp_path, run):
    run("seed_0", "failed")
    run("seed_1", "stopped", n_done=4)
    watch = Watch(tmp_path, NAMES)
    found = watch.look()
    assert [s.stage for s in found.values()] == ["waiting"] * 3
    assert found["seed_1"].n_done == 4
    os.utime(run("seed_0", "failed").failure, ns=(1, 1))  # failed once more
    assert watch.look()["seed_0"].stage == "failed"


def test_lines_say_what_happens_once(tmp_path, run, capsys):
    run("seed_0", "finished", n_done=10)
    run("seed_1", "stopped", n_done=3)
    now = [0.0]
    lines = Lines(Watch(tmp_path, NAMES), 1, lambda: now[0])
    with lines:
        lines.update()
        run("seed_1", "running", n_done=4)
        lines.update()
        now[0] += 61
        lines.update()
        lines.update()
        run("seed_1", "finished", n_done=10)
        run("seed_2", "failed")
        lines.update()
    assert capsys.readouterr().out.splitlines() == [
        "3 runs, 1 of them done before",
        "seed_1: running, goes on after epoch 3 of 10, validation error 0.333",
        "1 of 3 done, 1 running, 1 waiting; about 0:00:32 left; "
        "seed_1: epoch 4 of 10, validation error 0.25",
        "seed_1: done, epoch 10 of 10, validation error 0.1",
        "seed_2: failed: ValueError: unlucky",
        "2 of 3 done, 1 failed",
    ]


def shown(table):
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    return console.file.getvalue().splitlines()


def test_the_table_has_a_row_for_every_run():
    runs = {
        "seed_0": Standing("finished", 10, 10, 0.1, 2.0),
        "seed_1": Standing("running", 4, 10, 0.25, 2.0),
        "seed_2": Standing("failed", 0, 10, why="ValueError: [bold]unlucky[/bold]"),
        "seed_3": Standing("waiting"),
    }
    title, _, *rows = shown(table_of(runs, 1, 10))
    assert title.strip() == "1 of 4 done, 1 running, 1 failed, 1 waiting; about 0:00:32 left"
    assert [row.split() for row in rows] == [
        ["seed_0", "done", "10/10", "0.1"],
        ["seed_1", "running", "4/10", "0.25", "0:00:12"],
        ["seed_2", "failed", "ValueError:", "[bold]unlucky[/bold]"],
        ["seed_3", "waiting"],
    ]


def test_a_table_that_does_not_fit_shows_what_happens():
    runs = {f"seed_{i}": Standing("waiting") for i in range(50)}
    runs["seed_30"] = Standing("running", 4, 10, 0.25, 2.0)
    runs["seed_40"] = Standing("failed", why="ValueError: unlucky")
    text = "\n".join(shown(table_of(runs, 1, 5)))
    assert "seed_30 " in text
    assert "seed_40 " in text
    assert "45 more are not shown" in text


def test_a_terminal_gets_the_table_and_what_is_said_above_it(tmp_path, run):
    run("seed_1", "running", n_done=4)
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    watch = Watch(tmp_path, NAMES)
    assert isinstance(display_for(watch, 1, console), Screen)
    with display_for(watch, 1, console) as display:
        display.pass_on("Error: [bold]unlucky\n")
        run("seed_1", "finished", n_done=10)
        display.update()
    text = console.file.getvalue()
    assert "Error: [bold]unlucky" in text
    assert "1 of 3 done, 2 waiting" in text.rpartition("validation error")[0][-400:]
    assert isinstance(display_for(watch, 1, Console(file=io.StringIO())), Lines)


def test_the_names_are_those_of_the_folders():
    overrides = ["experiment=burgers", "transform=fft,monarch", "+seed=range(2)", "model.x=1e-3"]
    assert folder_names(overrides) == [
        f"transform_{transform}-seed_{seed}" for transform in ("fft", "monarch") for seed in (0, 1)
    ]
    assert folder_names(["seed=0"]) == ["run"]
