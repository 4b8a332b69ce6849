"""The log survives kills and holds strict JSON."""

import json
import os

import pytest

from monarch_core.runs.epoch_log import EpochLog


@pytest.fixture
def log(tmp_path):
    return EpochLog(tmp_path / "log.jsonl")


def test_lines_come_back_in_order_and_strict(log):
    for epoch in (1, 2):
        log.append({"epoch": epoch, "x": 0.1 * epoch, "bad": float("nan")})
    assert log.read() == [
        {"epoch": 1, "x": 0.1, "bad": None},
        {"epoch": 2, "x": 0.2, "bad": None},
    ]
    for line in log.path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_line_cut_short_is_dropped_and_written_anew(log):
    log.append({"epoch": 1})
    with log.path.open("a") as file:
        file.write('{"epoch": 2, "tra')
    assert log.read() == [{"epoch": 1}]
    log.truncate(last_epoch=1)
    log.append({"epoch": 2})
    assert log.read() == [{"epoch": 1}, {"epoch": 2}]


def test_truncation_keeps_the_epochs_up_to_the_checkpoint(log):
    for epoch in (1, 2, 3, 4):
        log.append({"epoch": epoch})
    log.truncate(last_epoch=2)
    assert [record["epoch"] for record in log.read()] == [1, 2]
    log.truncate(last_epoch=0)
    assert log.read() == []


def test_no_log_is_an_empty_one(log):
    assert log.read() == []


def test_a_log_without_an_end_is_refused(log):
    os.mkfifo(log.path)
    with pytest.raises(ValueError, match=r"log\.jsonl is no plain file; put a copy"):
        log.read()


def test_a_damaged_line_is_named(log):
    log.path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2, is .* and not the record"):
        log.read()


def test_damaged_lines_are_left_out_where_that_is_asked_for(log):
    log.path.write_text('{"epoch": 1}\n[1]\n\n{"epoch": true}\n{"epoch": 3}\n{"epo')
    damaged: list[str] = []
    assert log.read(damaged) == [{"epoch": 1}, {"epoch": 3}]
    assert damaged == ["[1]", "", '{"epoch": true}', '{"epo']


def test_a_full_disk_is_reported(log, monkeypatch):
    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match=r"could not write .*log\.jsonl: No space left"):
        log.append({"epoch": 1})
