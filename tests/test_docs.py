"""The documents: tables are what the results say, commands and links lead to what is there.

Also the files that run the checks elsewhere: they name what the project does.
"""

import ast
import re
import shlex
import shutil
import tomllib
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from pde_configs import composed

import benchmarks.csv_table
import benchmarks.encodings
import benchmarks.frontier
import benchmarks.headline
import benchmarks.prediction
import benchmarks.report
import benchmarks.sparse_sizes
import monarch_core
import mri.compare
from monarch_core.report import cli
from monarch_core.runs.schema import to_dataclass
from mri.config.reconstruct import ReconstructConfig
from mri.config.run import CalibrationConfig, MriConfig
from pde.config.run import PdeConfig, choose_own
from sparse.config.run import SparseConfig, read_words

ROOT = Path(__file__).parents[1]
SCHEMAS = {"pde": PdeConfig, "mri": MriConfig, "sparse": SparseConfig}
PAGES = sorted(
    path for pattern in ("*.md", "docs/*.md", "data_scripts/**/*.md") for path in ROOT.glob(pattern)
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROGRAMS = {
    ("monarch-report",): cli.main,
    ("python", "mri/compare.py"): mri.compare.main,
    ("python", "-m", "benchmarks.csv_table"): benchmarks.csv_table.main,
    ("python", "-m", "benchmarks.headline"): benchmarks.headline.main,
    ("python", "-m", "benchmarks.encodings"): benchmarks.encodings.main,
    ("python", "-m", "benchmarks.frontier"): benchmarks.frontier.main,
    ("python", "-m", "benchmarks.prediction"): benchmarks.prediction.main,
    ("python", "-m", "benchmarks.report"): benchmarks.report.main,
    ("python", "-m", "benchmarks.sparse_sizes"): benchmarks.sparse_sizes.main,
}
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
    ignore = shutil.ignore_patterns("_build", "generated", "__pycache__")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=ignore)
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    return [Path("README.md"), *Path("docs").glob("*.md")]


def test_tables_are_what_the_results_say(documents):
    raw = sorted(Path("docs/results/tables").glob("*.csv"))
    before = {path: path.read_text() for path in (*documents, *raw)}
    for path in raw:
        path.unlink()
    for command in COMMANDS:
        assert run(command) == 0, command
    assert sorted(Path("docs/results/tables").glob("*.csv")) == raw
    for path, text in before.items():
        assert path.read_text() == text, f"{path} is out of date; run `make tables`"


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
    written |= {("README.md", name) for name in ("headline", "answers")}
    written |= {("docs/when.md", name) for name in ("frontier", "prediction")}
    assert marked == written | speed


def test_no_table_is_wider_than_a_page(documents):
    """Lines break between words: the longest words of all columns are side by side."""
    for path in documents:
        for line in re.findall(r"^\|.*\|$", path.read_text(), re.MULTILINE):
            cells = line[1:-1].split(" | ")
            assert len(cells) <= 8, f"{path}: {line}"
            longest = [max(map(len, re.split(r"[ /]", cell)), default=0) for cell in cells]
            assert sum(longest) <= 90, f"{path}: {line}"


def lines_of_shell(path):
    """The commands of a page, in blocks and in the text, with `\\` and variables resolved."""
    text = path.read_text().replace("\\\n", " ")
    text += "".join(f"\n{' '.join(code.split())}" for code in re.findall(r"`([^`]+)`", text))
    variables = dict(re.findall(r'^ *(\w+)="(.*)"$', text, re.MULTILINE))
    for line in map(str.strip, text.splitlines()):
        yield re.sub(r"\$(\w+)", lambda found: variables.get(found[1], found[0]), line)


def trainings(path):
    """What follows `TASK/train.py` in the commands of a page, without options and hydra's part."""
    command = re.compile(
        r"(?:python|monarch-sweep \S+|torchrun \S+) (pde|mri|sparse)/train\.py\b(.*)"
    )
    for line in lines_of_shell(path):
        if found := command.fullmatch(line):
            words = shlex.split(found[2], comments=True)
            ours = [word for word in words if "=" in word and not word.startswith("hydra")]
            yield found[1], choose_own(ours) if found[1] == "pde" else read_words(ours)


TRAININGS = [
    pytest.param(task, overrides, id=f"{path.name}: {task} {' '.join(overrides)}")
    for path in PAGES
    for task, overrides in trainings(path)
]


@pytest.mark.parametrize(("task", "overrides"), TRAININGS)
def test_commands_name_what_there_is(task, overrides):
    """Every value of a sweep, in as few combinations as hold each of them once."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    values = [
        [f"{item.input_line.split('=')[0]}={value}" for value in item.sweep_string_iterator()]
        if item.is_sweep_override()
        else [item.input_line]
        for item in parsed
    ]
    n = max(map(len, values), default=1)
    for combination in zip(*(islice(cycle(choices), n) for choices in values), strict=True):
        to_dataclass(composed(task, *combination), SCHEMAS[task])


def others(path):
    """What follows `mri/evaluate.py` and `mri/reconstruct.py` in the commands of a page."""
    for line in lines_of_shell(path):
        if found := re.fullmatch(r"python mri/(evaluate|reconstruct)\.py (.*=.*)", line):
            yield found[1], shlex.split(found[2], comments=True)


OTHERS = [
    pytest.param(name, overrides, id=f"{path.name}: {name} {' '.join(overrides)}")
    for path in PAGES
    for name, overrides in others(path)
]


@pytest.mark.parametrize(("name", "overrides"), OTHERS)
def test_commands_on_scans_name_what_there_is(name, overrides):
    with initialize_config_dir(str(ROOT / "configs/mri"), version_base="1.3"):
        raw = compose(name, overrides=overrides)
    if name == "reconstruct":
        to_dataclass(raw, ReconstructConfig)
    else:
        changed = {key: value for key, value in raw.dataset.items() if value is not None}
        to_dataclass(composed("mri", *(f"dataset.{k}={v}" for k, v in changed.items())), MriConfig)


def test_commands_of_calibrations_name_what_there_is():
    found = [
        shlex.split(line, comments=True)[2:]
        for path in PAGES
        for line in lines_of_shell(path)
        if line.startswith("python mri/calibrate.py ")
    ]
    assert found
    for words in found:
        ours = [word for word in words if not word.startswith("hydra")]
        to_dataclass(composed("mri", *ours, script="calibrate"), CalibrationConfig)


def test_commands_are_found():
    assert len(TRAININGS) > 40
    assert {parameter.values[0] for parameter in OTHERS} == {"evaluate", "reconstruct"}


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text()):
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), target
        assert page.resolve().is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(page.read_text()), target


def test_the_site_has_every_page():
    """`CONTENTS` of docs/conf.py lists them; the data sets are below their own page."""
    code = ast.parse((ROOT / "docs/conf.py").read_text())
    (contents,) = (
        ast.literal_eval(node.value)
        for node in code.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CONTENTS"
    )
    names = set(re.findall(r"^(?:.* <)?([\w/]+)>?$", contents, re.MULTILINE))
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in PAGES}
    own = {page for page in pages if not page.startswith("data_scripts/")} - {"README"}
    assert names - own == {"data_scripts/README", "docs/api", "docs/generated/tutorials/index"}
    assert own <= names


@pytest.mark.parametrize("name", monarch_core.__all__)
def test_the_site_describes_what_is_exported(name):
    text = (ROOT / "docs/api.rst").read_text()
    assert re.search(rf"^   (?:\w+\.)?{name}$", text, re.MULTILINE)


TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.py"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_imports_what_there_is(path):
    """Its commands and the whole of it run in `make docs`."""
    assert path.name.startswith("plot_")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_the_snippet_of_the_first_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    names = {}
    exec(code, names)
    torch.testing.assert_close(names["again"](names["x"]), names["y"])


def test_a_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {
        "title": PROJECT["name"],
        "version": PROJECT["version"],
        "abstract": PROJECT["description"],
        "license": PROJECT["license"],
    }.items() <= citation.items()
    (paper,) = citation["references"]
    assert (paper["authors"][0]["family-names"], paper["year"]) == ("Dao", 2022)
    assert paper["title"] in " ".join((ROOT / "README.md").read_text().split())
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2204.00595"}]


@pytest.mark.parametrize("template", ["bug", "results"])
def test_an_issue_asks_for_the_command_the_results_and_the_versions(template):
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{template}.yml").read_text())
    fields = {field["id"]: field["attributes"] for field in form["body"]}
    assert {"command", "versions"} <= fields.keys()
    assert any("results.json" in attributes["label"] for attributes in fields.values())
    assert {"name", "description"} <= form.keys()
    assert all(field["type"] == "textarea" for field in form["body"])


def test_checks_elsewhere_are_those_of_make():
    makefile = (ROOT / "Makefile").read_text()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == ["make check"]
    assert re.search(r"^check:", makefile, re.MULTILINE)
    assert re.search(r"^test:.*\bcheck\b", makefile, re.MULTILINE)


def test_the_workflow_tests_the_oldest_and_the_newest():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    job = workflow["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    (torch,) = (line for line in PROJECT["dependencies"] if line.startswith("torch"))
    pinned = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert PROJECT["requires-python"] == f">={matrix['python'][0]}"
    assert [f"{torch.removeprefix('torch>=')}.0", pinned] == matrix["torch"]
    assert any("make test" in step.get("run", "") for step in job["steps"])
    assert workflow["permissions"] == {"contents": "read"}


def test_a_workflow_builds_the_site_with_warnings_as_errors():
    workflow = yaml.safe_load((ROOT / ".github/workflows/docs.yml").read_text())
    assert any("make docs" in step.get("run", "") for step in workflow["jobs"]["docs"]["steps"])
    assert workflow["permissions"] == {"contents": "read"}
    recipe = (ROOT / "Makefile").read_text().split("\ndocs:")[1].split("\n\n")[0]
    assert "--fail-on-warning" in recipe
