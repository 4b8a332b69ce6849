"""Pieces of `benchmarks.gpu`, tiny, on the CPU, and what becomes of those without time or luck."""

import json
import re
import sys

import pytest

from benchmarks import gpu, report
from benchmarks.suites import gpu as suites
from benchmarks.suites import networks

SUITES = ["check", "layer", "memory"]  # what is left out takes longer, and comes from `speed`


@pytest.fixture
def call(tmp_path, monkeypatch):
    # On a CPU that is a process for each network.
    monkeypatch.setattr(networks, "in_new_process", lambda *_: 2**20)

    def run(*arguments):
        tiny = ("size=tiny", "device=cpu", "rounds=2", "calls=1")
        monkeypatch.setattr(sys, "argv", ["gpu", f"out={tmp_path}", *tiny, *arguments])
        return gpu.main()

    return run


def test_a_piece_leaves_its_result_and_is_not_done_again(call, tmp_path, capsys):
    pieces = f"pieces={','.join(SUITES)}"
    assert call(pieces) == 0
    results = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert sorted(results) == sorted(f"gpu_{name}" for name in SUITES)
    errors = [row["error"] for row in results["gpu_check"]["rows"]]
    assert errors[0] < 1e-5 < errors[1] < 0.1  # float32, bfloat16
    page = (tmp_path / "speed.md").read_text()
    assert all(report.ALL_TITLES[name] in page for name in results)
    capsys.readouterr()
    (tmp_path / "gpu_memory.json").unlink()
    assert call(pieces) == 0
    assert capsys.readouterr().out.count("there already") == len(SUITES) - 1
    page = (tmp_path / "speed.md").read_text()
    assert all(report.ALL_TITLES[name] in page for name in results)


def test_what_has_no_time_left_is_named(call, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "RESERVE", 1e9)
    assert call("pieces=check,memory") == 1
    said = capsys.readouterr().out
    assert "left out: check" in said
    assert "left out: memory" in said


def test_a_piece_that_fails_does_not_end_the_others(call, capsys, monkeypatch):
    def fail(*_):
        raise RuntimeError("CUDA error")

    fail.__name__ = "check"
    monkeypatch.setattr(suites, "check", fail)
    assert call("pieces=check,bfloat16") == 1
    said = capsys.readouterr()
    assert "CUDA error" in said.err
    assert "left out: check (not finished)" in said.out
    assert "bfloat16: " in said.out


def test_the_trainings_are_one_sweep_that_may_take_what_is_left(call, tmp_path, monkeypatch):
    started = []

    def run_all(out, script, overrides, n_at_once, minutes):
        started.append((overrides, n_at_once, minutes))
        for name, error in (("fft", 0.5), ("monarch", 0.25)):
            folder = tmp_path / "paper_1e-4" / name
            folder.mkdir(parents=True)
            results = {"transform": name, "seed": 0, "metrics": {"relative_l2": error}}
            results |= {"n_parameters": 3, "seconds_per_epoch": 2.0}
            (folder / "results.json").write_text(json.dumps(results))
        return 0

    monkeypatch.setattr(suites, "run_all", run_all)
    assert call("pieces=paper_1e-4", "epochs=7", "seeds=0,1", "minutes=4") == 0
    ((overrides, n_at_once, minutes),) = started
    assert {"dataset.viscosity=1e-4", "fit.epochs=7", "transform=fft,monarch", "seed=0,1"} <= {
        *overrides
    }
    assert n_at_once == 4
    assert 3 < minutes < 4
    rows = json.loads((tmp_path / "gpu_paper_1e-4.json").read_text())["rows"]
    assert [row["relative_l2"] for row in rows] == [0.5, 0.25]
    assert "| fft | 0 | 0.5 | 3 | 2 |" in (tmp_path / "speed.md").read_text()


def test_trainings_that_are_not_finished_leave_no_result(call, tmp_path, monkeypatch):
    monkeypatch.setattr(suites, "run_all", lambda *_: 1)
    assert call("pieces=paper_1e-3") == 1
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("pieces=none", "pieces must be among check, .*, got 'none'"),
        ("size=huge", "size must be one of full, tiny, got 'huge'"),
        ("size=full", "device=cpu is for size=tiny"),
        ("device=tpu", "device must be cuda or cpu, got 'tpu'"),
        ("minutes=0", "minutes must be positive, got 0"),
        ("rounds=1", "rounds must be at least 2, got 1"),
        ("calls=0", "calls must be at least 1, got 0"),
    ],
)
def test_a_wrong_option_is_one_line(call, capsys, argument, message):
    assert call(argument) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_the_options_of_the_suites_are_those_of_a_gpu(monkeypatch):
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: True)
    assert gpu.GpuOptions(rounds=3).measuring().device == "cuda"


def test_every_piece_has_a_title():
    assert [f"gpu_{name}" for name in gpu.MINUTES] == list(report.GPU_TITLES)
