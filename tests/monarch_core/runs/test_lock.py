"""Two processes never work in one run folder, and a dead one holds nobody up."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monarch_core.runs.lock import (
    FolderInUseError,
    is_in_use,
    leave,
    occupied,
    occupied_folder,
    occupy,
)

OTHER = """
import os, sys, time
from pathlib import Path
from monarch_core.runs.lock import occupy

occupy(Path(sys.argv[1]))
if os.fork() > 0:
    print(os.getpid(), flush=True)
time.sleep(120)  # both, as a run and its worker that loads data
"""


@pytest.fixture
def other(tmp_path):
    """Return the id of a process that occupies tmp_path and has a forked worker."""
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGKILL)


def test_a_folder_in_use_names_its_user_until_that_is_killed(tmp_path, other):
    assert is_in_use(tmp_path)
    with pytest.raises(FolderInUseError, match=rf"is in use by process {other} on .*; wait until"):
        occupy(tmp_path)
    assert occupied_folder() is None
    os.kill(other, signal.SIGSTOP)  # a process that does nothing still holds it
    assert is_in_use(tmp_path)
    os.kill(other, signal.SIGKILL)  # its worker lives on
    deadline = time.monotonic() + 20
    while is_in_use(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert occupy(tmp_path)
    leave(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_may_enter_its_folder_again(tmp_path):
    with occupied(tmp_path):
        with occupied(tmp_path / "." / "../" / tmp_path.name):
            assert occupied_folder() == tmp_path
        assert occupied_folder() == tmp_path
    assert occupied_folder() is None
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_process_go_when_the_next_one_comes(tmp_path):
    for name in (".results.json.7.tmp", "results.json"):
        (tmp_path / name).touch()
    occupy(tmp_path)
    leave(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path, exists):
    folder, victim = tmp_path / "sent", tmp_path / "victim"
    folder.mkdir()
    (folder / ".lock").symlink_to(victim)
    if exists:
        victim.write_text("precious")
    with occupied(folder):
        assert not (folder / ".lock").is_symlink()
    assert not is_in_use(folder)
    assert (victim.read_text() if exists else not victim.exists()) in ("precious", True)


def test_of_several_processes_of_one_run_only_the_first_locks(tmp_path, monkeypatch):
    monkeypatch.setattr("monarch_core.runs.lock.is_main_process", lambda: False)
    assert not occupy(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["os.open", "fcntl.flock"])
def test_where_there_can_be_no_lock_the_work_goes_on(tmp_path, monkeypatch, call):
    def refuse(*_):
        raise OSError(30 if call == "os.open" else 37, "a read-only folder, or no locks")

    monkeypatch.setattr(f"monarch_core.runs.lock.{call}", refuse)
    assert occupy(tmp_path)
    assert not is_in_use(tmp_path)
    leave(tmp_path)
