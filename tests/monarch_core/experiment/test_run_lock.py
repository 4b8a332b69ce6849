"""Two processes never work in one run folder, and a dead one holds nobody up."""

import os
import signal
import time

import pytest

from monarch_core.experiment.run_lock import (
    FolderInUseError,
    is_in_use,
    leave,
    occupied,
    occupied_folder,
    occupy,
)


@pytest.fixture
def other(tmp_path):
    """Return a function that starts a process which occupies tmp_path, as its forked worker may."""
    children = []

    def start(*, with_worker=False):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            occupy(tmp_path)
            worker = os.fork() if with_worker else None
            if worker != 0:
                os.write(write, str(worker or 0).encode())
            time.sleep(60)
            os._exit(1)
        children.append(child)
        worker = int(os.read(read, 20))
        os.close(read)
        os.close(write)
        if worker:
            children.append(worker)
        return child

    yield start
    for child in children:
        os.kill(child, signal.SIGKILL)


def test_a_folder_in_use_names_its_user_until_that_is_killed(tmp_path, other):
    child = other()
    assert is_in_use(tmp_path)
    with pytest.raises(FolderInUseError, match=rf"is in use by process {child} on .*; wait until"):
        occupy(tmp_path)
    assert occupied_folder() is None
    os.kill(child, signal.SIGSTOP)  # a process that does nothing still holds it
    assert is_in_use(tmp_path)
    os.kill(child, signal.SIGCONT)
    os.kill(child, signal.SIGKILL)
    while is_in_use(tmp_path):
        time.sleep(0.01)
    assert occupy(tmp_path)
    leave(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path, other):
    child = other(with_worker=True)
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_in_use(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
    monkeypatch.setattr("monarch_core.experiment.run_lock.is_main_process", lambda: False)
    assert not occupy(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["os.open", "fcntl.flock"])
def test_where_there_can_be_no_lock_the_work_goes_on(tmp_path, monkeypatch, call):
    def refuse(*_):
        raise OSError(30 if call == "os.open" else 37, "a read-only folder, or no locks")

    monkeypatch.setattr(f"monarch_core.experiment.run_lock.{call}", refuse)
    assert occupy(tmp_path)
    assert not is_in_use(tmp_path)
    leave(tmp_path)
