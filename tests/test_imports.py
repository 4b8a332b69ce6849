"""The arrows between packages, and the size of modules, read from the syntax trees."""

import ast
import re
import statistics
import sys
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("monarch_core", "pde", "mri", "sparse", "data_scripts", "benchmarks")
SHARED_DATA = {f"data_scripts.{path.stem}" for path in (ROOT / "data_scripts").glob("*.py")}
# What each package may import of ours; the most specific one that holds a file counts.
ALLOWED = {
    "monarch_core": {"monarch_core"},
    "monarch_core/transforms": {"monarch_core.transforms"},
    "monarch_core/layers": {"monarch_core.transforms", "monarch_core.layers"},
    "monarch_core/adapters": {
        "monarch_core.transforms",
        "monarch_core.layers",
        "monarch_core.adapters",
        "monarch_core.extras",
    },
    "monarch_core/runs": {"monarch_core.runs", "monarch_core.extras"},
    "monarch_core/training": {
        "monarch_core.transforms",
        "monarch_core.layers",
        "monarch_core.runs",
        "monarch_core.training",
        "monarch_core.extras",
    },
    "monarch_core/report": {"monarch_core.runs", "monarch_core.report", "monarch_core.extras"},
    "monarch_core/report/read": {"monarch_core.runs", "monarch_core.report.read"},
    "monarch_core/report/compare": {
        "monarch_core.runs",
        "monarch_core.report.read",
        "monarch_core.report.compare",
        "monarch_core.report.statistics",
        "monarch_core.report.wording",
    },
    "data_scripts": {"monarch_core", *SHARED_DATA},
    "data_scripts/pde": {"monarch_core", "data_scripts.pde", *SHARED_DATA},
    "data_scripts/mri": {"monarch_core", "data_scripts.mri", *SHARED_DATA},
    "pde": {"monarch_core", "data_scripts.pde", "pde", *SHARED_DATA},
    "mri": {"monarch_core", "data_scripts.mri", "mri", *SHARED_DATA},
    "sparse": {"monarch_core", "sparse"},
    "benchmarks": set(OURS),
}
TORCH_ALONE = {"monarch_core/transforms", "monarch_core/layers"}
# A torch for CUDA brings Triton.
FOR_TRITON = {f"triton_{name}.py" for name in ("build", "factors", "kernels", "product")}
KNOW_NEURALOP = {"monarch_core/adapters", "pde", "benchmarks"}
# Modules that start a process of themselves, to end a library that may never return.
START_THEMSELVES = {"mri/physics/poisson.py"}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    return named(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def is_script(path: Path) -> bool:
    started = 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
    return started and named(path) not in START_THEMSELVES


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            found.update(modules_from(node))
    return found


def modules_from(node: ast.ImportFrom) -> set[str]:
    """Return what `from x import y` takes: x.y where that is one of our modules, else x."""
    folder = ROOT / node.module.replace(".", "/")
    places = {alias.name: folder / alias.name for alias in node.names}
    return {
        f"{node.module}.{name}"
        if place.is_dir() or place.with_suffix(".py").is_file()
        else node.module
        for name, place in places.items()
    }


def of_others(path: Path) -> set[str]:
    """The packages beside ours and Python's that a module imports."""
    tops = {name.split(".")[0] for name in imports(path)}
    return tops - set(OURS) - set(sys.stdlib_module_names)


def package(path: Path) -> str:
    """The most specific package of ALLOWED that holds a file."""
    return max((name for name in ALLOWED if named(path).startswith(f"{name}/")), key=len)


def is_allowed(name: str, allowed: set[str]) -> bool:
    return any(name == a or name.startswith(f"{a}.") for a in allowed)


def module_names(path: Path) -> set[str]:
    """The strings of a module that are the name of one of ours, such as "pde.models"."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant)}
    name = re.compile(rf"({'|'.join(OURS)})(\.\w+)+")
    return {text for text in strings if isinstance(text, str) and name.fullmatch(text)}


each = partial(pytest.mark.parametrize, "path", ids=named)


@each(modules(*OURS))
def test_arrows(path):
    allowed = ALLOWED[package(path)]
    for name in imports(path):
        if name.split(".")[0] in OURS:
            assert is_allowed(name, allowed), f"{named(path)} imports {name}, may import {allowed}"


def test_no_imports_go_in_a_circle():
    names = {dotted(path): path for path in modules(*OURS)}
    graph = {name: imports(path) & names.keys() - {name} for name, path in names.items()}
    list(TopologicalSorter(graph).static_order())  # CycleError names one


@each(modules(*sorted(TORCH_ALONE)))
def test_transforms_and_layers_need_torch_alone(path):
    with_torch = {"triton"} if path.name in FOR_TRITON else set()
    assert of_others(path) <= {"torch", "jaxtyping"} | with_torch


@each(modules(*OURS))
def test_adapters_and_applications_alone_know_neuralop(path):
    assert "neuralop" not in of_others(path) or package(path) in KNOW_NEURALOP


@each([path for path in modules("pde", "mri", "sparse") if named(path) not in START_THEMSELVES])
def test_nothing_is_started_through_the_name_of_a_module(path):
    assert not module_names(path)
    assert not imports(path) & {"importlib", "multiprocessing", "runpy", "subprocess"}


@each(modules(*OURS, "tests"))
def test_no_module_is_too_long(path):
    assert n_lines(path) <= 400


def test_most_modules_are_short():
    assert statistics.median(map(n_lines, modules(*OURS))) <= 130


@each([path for path in modules("pde", "mri", "sparse") if is_script(path)])
def test_entry_scripts_read_as_a_table_of_contents(path):
    assert n_lines(path) < 60


@each([path for path in modules("pde", "mri", "sparse", "data_scripts") if is_script(path)])
def test_scripts_put_their_checkout_first(path):
    """Before an installed package of the same name: `pde` is also that of py-pde."""
    depth = named(path).count("/")
    line = f"sys.path.insert(0, str(Path(__file__).resolve().parents[{depth}]))\n"
    before, found, after = path.read_text(encoding="utf-8").partition(line)
    assert found, f"{named(path)} lacks the line {line}"
    ours = re.compile(rf"^(from|import) ({'|'.join(OURS)})\b", re.MULTILINE)
    assert not ours.search(before), f"{named(path)} has an import of ours before it"
    assert ours.search(after)


@pytest.mark.parametrize("folder", ["pde", "mri", "sparse"])
def test_no_module_hides_a_standard_one(folder):
    names = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    assert not names & set(sys.stdlib_module_names)


def test_what_is_wrong_is_found(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from pde.models import RollOut\nimport mri.physics, sigpy.mri\n"
        "generator = 'data_scripts.pde.darcy'\nsaid = 'see pde.models'\n"
    )
    assert imports(wrong) == {"pde.models", "mri.physics", "sigpy.mri"}
    assert of_others(wrong) == {"sigpy"}
    assert module_names(wrong) == {"data_scripts.pde.darcy"}
    assert not is_allowed("monarch_core.runs_of_others", {"monarch_core.runs"})
    assert package(ROOT / "monarch_core/layers/kernel/operator.py") == "monarch_core/layers"
