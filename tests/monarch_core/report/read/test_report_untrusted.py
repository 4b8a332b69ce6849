"""Files of strangers are read where that is safe, and no text of theirs acts anywhere."""

import csv
import io
import json
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from exploits import Exploit

from monarch_core.report.read.collect import collect_runs, read_run
from monarch_core.report.read.untrusted import as_float, finite, not_finite
from monarch_core.report.render import fields, lines
from monarch_core.report.render.names import Names, slug
from monarch_core.report.render.page import write_report
from monarch_core.report.render.text_table import Cell, TextTable, write_csv

SECRET = "password=hunter2"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.txt"
    path.write_text(f'{{"metrics": {{"{SECRET}": 1}}}}\n{SECRET}\n')
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Draw no pixels."""
    for module in (lines, fields):
        monkeypatch.setattr(module, "png_of", lambda figure: b"png")


@pytest.fixture
def everything(runs, tmp_path):
    """Return a function that writes the report and returns all its text."""

    def write(*kinds):
        write_report(collect_runs([runs]), tmp_path / "report")
        files = (tmp_path / "report").rglob("*")
        shown = [path for path in files if path.suffix in (kinds or (".html", ".md", ".csv"))]
        return "\n".join(path.read_text(encoding="utf-8") for path in shown)

    return write


@pytest.mark.parametrize("value", [3, -2.5, 0, 1e149])
def test_numbers_are_what_they_are(value):
    assert finite(value) == value == as_float(value)
    assert not not_finite(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e151, 10**400])
def test_what_cannot_be_computed_with_is_not_finite(value):
    assert finite(value) is None
    assert not_finite(value)
    assert math.isnan(as_float(value))


@pytest.mark.parametrize("value", ["1", True, [1], {}])
def test_what_is_no_number_is_none(value):
    assert finite(value) is None
    assert not not_finite(value)


@pytest.mark.parametrize("file", ["results.json", "log.jsonl", "failure.txt", "artifacts.npz"])
def test_a_link_out_of_a_run_folder_is_not_followed(make_run, everything, secret, file):
    make_run("fft")
    folder = make_run("monarch", n_epochs=2, artifacts=True)
    (folder / "failure.txt").touch()
    if file == "failure.txt":
        (folder / "results.json").unlink()
    (folder / file).unlink()
    (folder / file).symlink_to(secret)
    text = everything()
    assert SECRET not in text
    assert f"{file} is a link to {secret}, outside of its folder, and is not followed" in text


def test_a_link_within_a_run_folder_is_followed(make_run):
    folder = make_run("fft")
    (folder / "results.json").rename(folder / "results-1.json")
    (folder / "results.json").symlink_to("results-1.json")
    assert read_run(folder).status == "finished"


def test_a_linked_folder_of_runs_is_named_once_and_not_entered(runs, make_run, tmp_path):
    folder = make_run("fft")
    make_run("fft", name="sweep/0", seed=1)
    (runs / "sweep").rename(tmp_path / "elsewhere")
    for name in ("one", "two"):
        (runs / name).symlink_to(tmp_path / "elsewhere")
    (runs / "latest").symlink_to(folder)  # found without it
    (runs / "loop").symlink_to(runs)
    (runs / "data").symlink_to(tmp_path / "report")
    found = {run.folder.name: run for run in collect_runs([runs])}
    assert set(found) == {folder.name, "one", "two"}
    assert found["one"].status == "unreadable"
    assert found["one"].reason.endswith("elsewhere, not followed; give that folder itself")
    assert len(collect_runs([runs, tmp_path / "elsewhere"])) == 2


@pytest.mark.parametrize("file", ["results.json", "log.jsonl", "failure.txt", "artifacts.npz"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "device"])
def test_what_is_no_plain_file_is_named_and_not_waited_for(make_run, everything, file, kind):
    make_run("fft")
    folder = make_run("monarch", n_epochs=2, artifacts=True)
    if file == "failure.txt":
        (folder / "results.json").unlink()
    (folder / file).unlink(missing_ok=True)
    match kind:
        case "folder":
            (folder / file).mkdir()
        case "pipe":
            os.mkfifo(folder / file)
        case "dangling link":
            (folder / file).symlink_to("nowhere")
        case "device":
            (folder / file).symlink_to("/dev/zero")
    text = everything()
    assert str(folder) in text
    if kind != "dangling link":
        assert f"{file} is " in text


def test_a_huge_file_is_named_and_not_read(make_run):
    folder = make_run("fft")
    os.truncate(folder / "results.json", 1 << 40)
    assert "has 1099511627776 bytes, more than the" in read_run(folder).reason


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "[1e999]"])
def test_json_that_breaks_parsers_is_unreadable(make_run, text):
    folder = make_run("fft", n_epochs=1)
    (folder / "results.json").write_text(text)
    with (folder / "log.jsonl").open("a") as log:
        log.write(text)
    run = read_run(folder)
    assert run.status == "unreadable"
    assert [line["epoch"] for line in run.log] == [1]


def test_more_metrics_than_anybody_reads_are_refused(make_run):
    run = read_run(make_run("fft", metrics={f"m{i}": i for i in range(5000)}))
    assert run.status == "unreadable"
    assert "5002 metrics, more than 1000" in run.reason


def test_reading_artifacts_runs_nothing(make_run, everything, tmp_path):
    made = tmp_path / "made"
    folder = make_run("monarch", artifacts=True)
    with np.load(folder / "artifacts.npz") as file:
        arrays = dict(file)
    arrays["0.x"] = np.array([Exploit(made)] * 3, dtype=object)
    np.savez(folder / "artifacts.npz", **arrays)
    assert f"{folder}, artifacts.npz: " in everything()
    (folder / "artifacts.npz").write_bytes(pickle.dumps(Exploit(made)))
    assert f"{folder}, artifacts.npz: " in everything()
    assert not made.exists()
    pickle.loads(pickle.dumps(Exploit(made)))
    assert made.exists(), "the exploit works where it is let"


def test_names_in_an_archive_write_nowhere(make_run, everything, tmp_path):
    folder = make_run("monarch", artifacts=True)
    with np.load(folder / "artifacts.npz") as file:
        arrays = dict(file)
    np.savez(folder / "artifacts.npz", **arrays, **{"../../../evil": np.zeros(3)})
    everything()
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf ~",
        "python pde/train.py; rm -rf ~",
        "python pde/train.py $(rm -rf ~)",
        "python pde/train.py\nrm -rf ~",
        "python pde/train.py > ~/.bashrc",
        "python ../evil/train.py",
        "python -c 'import os'",
        "python pde/train.py 'unclosed",
        ["python", "pde/train.py"],
        7,
    ],
)
def test_a_command_that_does_more_than_train_is_not_offered(make_run, everything, command):
    make_run("fft", command=command)
    text = everything()
    assert "rm -rf" not in text
    assert "its command is not one that a training script records" in text


def test_a_recorded_command_is_offered(make_run, everything):
    make_run("fft", command="python pde/train.py 'evaluation.grids=[64, 128]' seed=0")
    assert "python pde/train.py &#39;evaluation.grids=[64, 128]&#39; seed=0" in everything()


TEXTS = ["task", "dataset", "model", "transform", "device", "git_commit"]


@pytest.mark.parametrize("key", [*TEXTS, "metric", "setting", "version", "split"])
def test_markup_in_any_text_of_the_results_is_shown_and_not_obeyed(make_run, everything, key):
    evil = "<img src=x onerror=alert(1)>|![i](http://evil) {{ 7 * 7 }}"
    folder = make_run("fft", n_epochs=2, artifacts=True)
    path = folder / "results.json"
    results = json.loads(path.read_text())
    match key:
        case "metric":
            results["metrics"][evil] = 1.0
        case "setting":
            results["config"]["fit"][evil] = evil
            make_run("fft")
        case "version":
            results["versions"] = {evil: evil}
        case "split":
            results["split_sizes"][evil] = evil
            make_run("fft")
        case _:
            results[key] = evil
            results["config"].get(key, {}).update(name=evil)
    path.write_text(json.dumps(results))
    text = everything(".html", ".md")
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "{{ 7 * 7 }}" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("[x](y) ![x](y) [x][y]", "[x\\](y) \\![x\\](y) [x\\][y]"),
        ("`c` $x$ ~~s~~ \\", "\\`c\\` \\$x\\$ \\~\\~s\\~\\~ \\\\"),
        ("two\nlines", "two lines"),
        ("monarch_frozen [0.01] (R) 5 % ± 1", "monarch_frozen [0.01] (R) 5 % ± 1"),
        ("<!-- /results -->", "&lt;!-- /results --&gt;"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text, shown):
    table = TextTable("key", "title", [text, "b"], [[Cell(text), Cell("2")]], caption=text)
    header, _, row, _, caption = table.markdown().rstrip("\n").split("\n")
    assert header == f"| {shown} | b |"
    assert row == f"| {shown} | 2 |"
    assert caption == shown


@pytest.mark.parametrize("text", ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "-x", "+"])
def test_no_cell_is_a_formula(text):
    (header, row) = csv.reader(io.StringIO(write_csv([text], [[text]])))
    assert header == row == [f"'{text}"]


@pytest.mark.parametrize(
    "cell", [-1.5, "-25.0 %", "+1.25 dB", "-22.5 % ± 2.0", "+1.5e-04", "-3", "a=b", "", None]
)
def test_numbers_stay_numbers(cell):
    _, row = csv.reader(io.StringIO(write_csv(["a", "b"], [["a", cell]])))
    assert row == ["a", "" if cell is None else str(cell)]


def test_names_are_short_and_given_once():
    names = Names({"runs"})
    assert [names.free(name) for name in ("runs", "a", "a", "a-2")] == [
        "runs-2",
        "a",
        "a-2",
        "a-2-2",
    ]
    long = [slug("task", "x" * 1000), slug("task", "x" * 999)]
    assert len(set(long)) == 2
    assert max(map(len, long)) < 150
    assert slug("../../etc/passwd", "..") == "etc-passwd"


def test_names_that_look_alike_do_not_overwrite_each_other(make_run, everything, tmp_path):
    for dataset in ("navier stokes", "Navier-Stokes", "\u6d41", "\u6d41\u4f53"):
        make_run("fft", config={"dataset.name": dataset}, artifacts=True, task="runs")
    text = everything()
    tables = [path.stem for path in (tmp_path / "report/tables").glob("*distance*.csv")]
    assert len(tables) == 4
    assert (tmp_path / "report/tables/runs.csv").read_text().startswith("folder,")
    assert (tmp_path / "report/tables/runs-2.csv").is_file()
    ids = [part.partition('"')[0] for part in text.split(' id="')[1:]]
    assert len(ids) == len(set(ids)) == 5


def test_a_folder_whose_name_is_no_text_is_named(runs, make_run, everything):
    folder = os.fsencode(make_run("fft"))
    Path(os.fsdecode(folder)).rename(os.fsdecode(folder + b"\xff\x1b[31m"))
    assert "\\udcff\\x1b[31m" in everything()
