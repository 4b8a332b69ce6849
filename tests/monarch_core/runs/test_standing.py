"""Where a run stands is read from its folder, whatever is in it, and without taking its lock."""

import json
import math
import os
import platform
import subprocess
import sys

import pytest

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.lock import leave, occupy
from monarch_core.runs.standing import Standing, is_worked_in, standing_of


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def configure(folder, epochs=30):
    folder.config.write_text(f"fit: {{epochs: {epochs}}}\n")


def log(folder, *errors, seconds=2.0):
    for epoch, error in enumerate(errors, start=1):
        line = {"epoch": epoch, "valid_error": error, "seconds": seconds, "valid_seconds": 0.5}
        folder.log.append(line)


def test_a_run_goes_from_waiting_to_finished(folder):
    assert standing_of(folder) == Standing("waiting")
    configure(folder)
    assert standing_of(folder) == Standing("stopped", n_epochs=30)
    occupy(folder.path)
    log(folder, 0.5, 0.25)
    assert standing_of(folder) == Standing("running", 2, 30, 0.25, 2.5)
    assert standing_of(folder).n_left == 28
    leave(folder.path)
    assert standing_of(folder).stage == "stopped"
    folder.mark_failed("Traceback\n  ...\nValueError: loss is nan\n")
    found = standing_of(folder)
    assert (found.stage, found.why) == ("failed", "ValueError: loss is nan")
    occupy(folder.path)  # another attempt
    assert standing_of(folder).stage == "running"
    folder.results.write_text("{}")
    assert standing_of(folder).stage == "finished"
    leave(folder.path)


def test_looking_is_not_in_the_way_of_the_run(folder):
    occupy(folder.path)
    before = folder.lock.read_bytes()
    assert is_worked_in(folder)
    assert folder.lock.read_bytes() == before
    leave(folder.path)
    assert not is_worked_in(folder)
    assert not folder.lock.exists()


def test_a_lock_counts_while_its_process_lives(folder):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for holder, works in (
        (f"process {os.getpid()} on {platform.node()}", True),
        (f"process {gone.pid} on {platform.node()}", False),
        (f"process {gone.pid} on another-node", True),
        ("process 1 on", False),
        (f"process {10**30} on {platform.node()}", False),
        ("", False),
    ):
        folder.lock.write_text(holder)
        assert is_worked_in(folder) == works, holder


def test_the_words_say_what_is_known(folder):
    assert standing_of(folder).words == "epoch 0"
    configure(folder)
    log(folder, 0.5, 0.012345)
    assert standing_of(folder).words == "epoch 2 of 30, validation error 0.0123"


def test_an_error_that_is_not_finite_is_said_to_be(folder):
    log(folder, 0.5, math.inf)
    found = standing_of(folder)
    assert math.isnan(found.valid_error)
    assert found.words == "epoch 2, validation error nan"


@pytest.mark.parametrize("text", ["fit: 3\n", "[1, 2]\n", "fit: {epochs: many}\n", "\0", "fit: *a"])
def test_a_config_that_tells_nothing_is_no_obstacle(folder, text):
    folder.config.write_text(text)
    folder.log.path.write_text(json.dumps({"epoch": 1, "seconds": "long"}) + "\nbroken\n")
    found = standing_of(folder)
    assert (found.n_epochs, found.n_left, found.seconds_per_epoch) == (None, None, None)
    assert (found.n_done, found.valid_error) == (1, None)


def test_pipes_and_links_are_not_opened(folder):
    for path in (folder.lock, folder.log.path, folder.failure, folder.config):
        os.mkfifo(path)
    assert standing_of(folder).stage == "failed"
