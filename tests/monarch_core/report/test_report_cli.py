"""The command writes the report, prints the table, or updates a document between its markers."""

import os
import runpy
import sys

import pytest

from monarch_core.report.cli import main, markdown_table
from monarch_core.report.read.collect import collect_runs

MODULE = "monarch_core.report"
DOCUMENT = "# Title\n\n<!-- results -->\nold text\n<!-- /results -->\n\nThe end <!-- other -->\n"


@pytest.fixture
def two(runs, make_run):
    make_run("fft", error=0.04)
    make_run("monarch", error=0.03)
    return str(runs)


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(DOCUMENT)
    return path


def test_the_report_ends_with_the_path_of_its_page(two, tmp_path, capsys):
    assert main([two, "--out", str(tmp_path / "out")]) == 0
    page = tmp_path / "out" / "index.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert page.is_file()


def test_a_page_of_something_else_is_not_written_over(two, tmp_path, capsys):
    page = tmp_path / "index.html"
    page.write_text("<p>home</p>")
    assert main([two, "--out", str(tmp_path)]) == 2
    assert (
        f"{page} is no report, and would be written over; give another" in capsys.readouterr().err
    )
    assert page.read_text() == "<p>home</p>"


def test_a_full_disk_is_named_and_keeps_the_report_of_before(two, tmp_path, capsys, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    assert main([two, "--out", str(tmp_path)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    assert {"index.html", "groups.csv", "runs.csv"} <= {path.name for path in before}
    monkeypatch.setattr(os, "fsync", no_space)
    assert main([two, "--out", str(tmp_path)]) == 2
    assert "/tables/groups.csv: No space left on device; " in capsys.readouterr().err
    assert all(path.read_bytes() == content for path, content in before.items())


def test_the_module_is_the_command(two, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", two, "--table", "relative_l2"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module(MODULE, run_name="__main__")
    assert exit_.value.code == 0
    assert "-25.0 %" in capsys.readouterr().out


def test_the_table_is_printed_and_nothing_is_written(two, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([two, "--table", "h1_error, relative_l2"]) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert header.startswith("| transform | h1 error | relative l2 | seeds |")
    assert not (tmp_path / "report").exists()


def test_without_names_the_table_has_every_metric(two, capsys):
    assert main([two, "--table", ""]) == 0
    assert "| transform | relative l2 | h1 error | seeds |" in capsys.readouterr().out


def test_a_short_table_names_the_whole_one(two, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([two, "--short", "--table", "relative_l2", "--csv", "raw/all.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| transform | relative l2 | parameters |"
    assert lines[2].startswith("| fft | 0.0400 |")
    assert "0.0300 (-25 %)" in lines[3]
    assert lines[-1].endswith("All metrics and costs: [all.csv](raw/all.csv).")
    header = (tmp_path / "raw/all.csv").read_text().splitlines()[0]
    assert {"relative l2", "h1 error", "peak memory"} < set(header.split(","))


def test_update_replaces_what_is_between_the_markers_and_nothing_else(two, document):
    arguments = [two, "--table", "relative_l2", "--update", str(document), "--marker", "results"]
    assert main(arguments) == 0
    text = document.read_text()
    table = markdown_table(collect_runs([two]), ["relative_l2"]).strip()
    assert text == DOCUMENT.replace("old text", table)
    assert main(arguments) == 0
    assert document.read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "has 0 lines '<!-- results -->'; put exactly one"),
        ("<!-- results -->\n", "has 0 lines '<!-- /results -->'"),
        (DOCUMENT * 2, "has 2 lines '<!-- results -->'"),
        ("<!-- /results -->\n<!-- results -->", "has '<!-- /results -->' before"),
    ],
)
def test_update_without_its_markers_changes_nothing(two, document, capsys, text, message):
    document.write_text(text)
    assert main([two, "--update", str(document), "--marker", "results"]) == 2
    assert message in capsys.readouterr().err
    assert document.read_text() == text


def test_user_errors_are_one_line_without_traceback(runs, make_failed, tmp_path, capsys):
    def error(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert error(runs).startswith("monarch-report: no run found in ")
    assert "does not exist" in error(tmp_path / "nowhere")
    make_failed()
    assert "no finished run in" in error(runs, "--table", "")
    assert "go together" in error(runs, "--marker", "results")
    assert "go together" in error(runs, "--update", tmp_path / "x.md")


def test_an_unknown_metric_is_named(two, capsys):
    assert main([two, "--table", "l3"]) == 2
    assert (
        "no run has the metric 'l3'; use some of relative_l2, h1_error" in capsys.readouterr().err
    )


def test_a_document_that_does_not_exist_is_named(two, tmp_path, capsys):
    assert main([two, "--update", str(tmp_path / "no.md"), "--marker", "results"]) == 2
    assert "no.md" in capsys.readouterr().err


def test_what_a_table_does_not_show_is_said_beside_it(runs, two, make_run, make_failed, capsys):
    make_failed("broken")
    make_run("fft", error=0.05, git_commit="fedcba")
    assert main([two, "--table", "relative_l2"]) == 0
    out, err = capsys.readouterr()
    assert "occurs twice" not in out
    assert "navier_stokes, fno, fft: seed 0 occurs twice: " in err
    assert f"{runs}/broken is failed: ValueError: loss is nan; lower the rate" in err
