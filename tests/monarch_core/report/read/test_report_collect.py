"""Every run is found once, and whatever is wrong with one is said and stays with it."""

import json
import math

import pytest

from monarch_core.report.read.collect import collect_runs, read_run
from monarch_core.training.start import CHANGEABLE


def statuses(folder):
    return {run.folder.name: run.status for run in collect_runs([folder])}


def test_runs_are_found_at_any_depth_and_each_once(runs, make_run):
    make_run(name="a/b/one")
    make_run(name="two")
    paths = [runs, runs / "two", runs / "two" / "results.json", runs / "a" / ".." / "two"]
    assert [run.folder.name for run in collect_runs(paths)] == ["one", "two"]


def test_hidden_folders_are_not_entered(runs, make_run):
    folder = make_run(name="one")
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("seed: 0\n")
    assert statuses(runs) == {"one": "finished"}


def test_every_status_is_told(runs, make_run, make_failed):
    make_run(name="finished")
    make_failed("failed")
    running = runs / "running"
    running.mkdir()
    (running / "config.yaml").write_text("seed: 0\n")
    (running / "log.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    cut = make_run(name="cut")
    (cut / "results.json").write_text((cut / "results.json").read_text()[:40])
    assert statuses(runs) == {
        "finished": "finished",
        "failed": "failed",
        "running": "unfinished",
        "cut": "unreadable",
    }
    reasons = {run.folder.name: run.reason for run in collect_runs([runs])}
    assert reasons["failed"] == "ValueError: loss is nan; lower the rate"
    assert reasons["running"] == "stopped after epoch 2"
    assert reasons["cut"].startswith("results.json: ")


def test_a_failure_without_words_is_still_a_failure(make_failed):
    assert read_run(make_failed(text="\n\n")).reason == "no reason given"


def test_results_win_over_the_failure_of_another_attempt(make_run):
    folder = make_run()
    (folder / "failure.txt").write_text("killed\n")
    run = read_run(folder)
    assert run.status == "finished"
    assert "failure.txt of another attempt" in run.notes[0]


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"metrics": 3}', "\x00", "null"])
def test_damaged_results_are_unreadable_and_nothing_worse(make_run, content):
    folder = make_run()
    (folder / "results.json").write_text(content)
    assert read_run(folder).status == "unreadable"


def test_bytes_that_are_no_text_are_unreadable(make_run):
    folder = make_run()
    (folder / "results.json").write_bytes(b"\xff\xfe\x00{")
    assert read_run(folder).status == "unreadable"


def test_metrics_are_numbers_or_not_finite_and_lists_are_left_to_curves(make_run):
    values = {"a": float("nan"), "b": None, "c": float("inf"), "d": "x", "e": {"f": 2}, "g": [1, 2]}
    run = read_run(make_run(metrics=values, peak_memory_bytes=None))
    diverged = [name for name, value in run.metrics.items() if math.isnan(value)]
    assert diverged == ["a", "b", "c"]
    measured = {name: value for name, value in run.metrics.items() if name not in diverged}
    assert measured == {"relative_l2": 0.03, "h1_error": 0.09, "e/f": 2}
    assert run.notes == ("metric d is 'x', which is no number",)
    assert run.costs["peak_memory_bytes"] is None


def test_missing_keys_are_unknown_not_fatal(make_run):
    folder = make_run()
    (folder / "results.json").write_text(json.dumps({"metrics": {"error": 1.5}}))
    run = read_run(folder)
    assert (run.status, run.task, run.seed, run.device, run.command) == (
        "finished",
        "unnamed",
        None,
        "",
        "",
    )


def test_a_log_with_bad_lines_keeps_the_good_ones(make_run):
    folder = make_run()
    (folder / "log.jsonl").write_text('{"epoch": 1}\nnonsense\n[1]\n\n{"epoch": 2}\n{"epo')
    run = read_run(folder)
    assert [line["epoch"] for line in run.log] == [1, 2]
    assert run.notes == ("3 lines of log.jsonl cannot be read and are left out",)


def test_seed_and_bookkeeping_are_no_settings(make_run):
    run = read_run(make_run(seed=7, config={"resume": True, "run_dir": "there"}))
    assert run.seed == 7
    assert run.command == "python pde/train.py transform=monarch seed=7"
    assert not {"seed", "resume", "run_dir"} & set(run.settings)
    assert not any(key.startswith("transform.") for key in run.settings)
    assert run.settings["fit.learning_rate"] == "0.001"
    assert run.settings["split_sizes.train"] == "160"
    assert run.transform_settings["transform.axis.heads"] == "1"


def test_where_a_run_was_made_does_not_matter(make_run):
    """A run may go on with other values of what says where it runs, and stays in its group."""
    keys = ("dataset.data_dir", *(key for key in CHANGEABLE if key != "fit.epochs"))
    own, other = ("data", "cpu", 2, 0, 2, 1), ("/scratch", "cuda", 1, 4, None, 10)
    here, there = (
        read_run(make_run(config=dict(zip(keys, values, strict=True)))) for values in (own, other)
    )
    assert here.settings == there.settings


def test_errors_name_the_path(tmp_path, runs):
    with pytest.raises(ValueError, match="nowhere does not exist; give run folders"):
        collect_runs([tmp_path / "nowhere"])
    with pytest.raises(
        ValueError, match=r"no run found in .*runs; a run folder holds results\.json"
    ):
        collect_runs([runs])
