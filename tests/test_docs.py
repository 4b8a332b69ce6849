"""Every table in the documents is what the committed results say."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import pytest

import benchmarks.report
import mri.compare
from monarch_core.report import cli

ROOT = Path(__file__).parents[1]
PROGRAMS = {
    ("monarch-report",): cli.main,
    ("python", "mri/compare.py"): mri.compare.main,
    ("python", "-m", "benchmarks.report"): benchmarks.report.main,
}
CSV_TABLES = ("operator_proxy", "operator_designs")
COMMANDS = [
    shlex.split(line)
    for line in (ROOT / "docs/tables.sh").read_text().splitlines()
    if line.startswith(("monarch-report", "python"))
]


def run(command):
    for words, main in PROGRAMS.items():
        if tuple(command[: len(words)]) == words:
            arguments = command[len(words) :]
            return main([path for word in arguments for path in expand(word)])
    raise AssertionError(f"unknown command {command}")


def expand(word):
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture
def documents(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    return [Path("README.md"), *Path("docs").glob("*.md")]


def test_tables_are_what_the_results_say(documents):
    before = {path: path.read_text() for path in documents}
    for command in COMMANDS:
        assert run(command) == 0, command
    for path in documents:
        assert path.read_text() == before[path], f"{path} is out of date; run `make tables`"


def test_every_marked_table_has_a_command(documents):
    def markers(path):
        return set(re.findall(r"^<!-- (\w+) -->$", path.read_text(), re.MULTILINE))

    marked = {(str(path), marker) for path in documents for marker in markers(path)}
    written = {
        (command[command.index("--update") + 1], command[command.index("--marker") + 1])
        for command in COMMANDS
        if "--marker" in command
    }
    speed = {("docs/speed.md", path.stem) for path in Path("docs/results/speed").glob("*.json")}
    assert marked == written | speed | {("docs/operators.md", name) for name in CSV_TABLES}


@pytest.mark.parametrize("name", CSV_TABLES)
def test_tables_of_trials_are_their_files(documents, name):
    text = Path("docs/operators.md").read_text()
    lines = re.search(rf"<!-- {name} -->\n(.*)\n<!-- /{name} -->", text, re.DOTALL)[1].splitlines()
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    with Path(f"docs/results/{name}.csv").open() as file:
        assert [rows[0], *rows[2:]] == list(csv.reader(file))
