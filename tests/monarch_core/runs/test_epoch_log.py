"""The log survives kills and holds strict JSON."""

import json
import os

import pytest

from monarch_core.runs.epoch_log import append_epoch, read_log, truncate_log


def test_lines_come_back_in_order_and_strict(tmp_path):
    for epoch in (1, 2):
        append_epoch(tmp_path, {"epoch": epoch, "x": 0.1 * epoch, "bad": float("nan")})
    assert read_log(tmp_path) == [
        {"epoch": 1, "x": 0.1, "bad": None},
        {"epoch": 2, "x": 0.2, "bad": None},
    ]
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_line_cut_short_is_dropped_and_written_anew(tmp_path):
    append_epoch(tmp_path, {"epoch": 1})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"epoch": 2, "tra')
    assert read_log(tmp_path) == [{"epoch": 1}]
    truncate_log(tmp_path, last_epoch=1)
    append_epoch(tmp_path, {"epoch": 2})
    assert read_log(tmp_path) == [{"epoch": 1}, {"epoch": 2}]


def test_truncation_keeps_the_epochs_up_to_the_checkpoint(tmp_path):
    for epoch in (1, 2, 3, 4):
        append_epoch(tmp_path, {"epoch": epoch})
    truncate_log(tmp_path, last_epoch=2)
    assert [record["epoch"] for record in read_log(tmp_path)] == [1, 2]
    truncate_log(tmp_path, last_epoch=0)
    assert read_log(tmp_path) == []


def test_no_log_is_an_empty_one(tmp_path):
    assert read_log(tmp_path) == []


def test_a_log_without_an_end_is_refused(tmp_path):
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises(ValueError, match=r"log\.jsonl is no file; restore it"):
        read_log(tmp_path)


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2, is not JSON"):
        read_log(tmp_path)


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match=r"could not write .*log\.jsonl: No space left"):
        append_epoch(tmp_path, {"epoch": 1})
