"""The arrows between packages: who may import whom, read from the syntax trees."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What an application takes of the data scripts: how files are read, not how data are made.
READING = {
    "pde": {"data_scripts.pde.conventions", "data_scripts.pde.readers"},
    "mri": {
        "data_scripts.mri.centred_fft",
        "data_scripts.mri.coil_maps",
        "data_scripts.mri.dataset_check",
        "data_scripts.mri.schema",
    },
}
# The scripts that make data by the options of an application, and no others, import it.
MAKERS = ("burgers", "darcy", "generation", "navier_stokes")
ALLOWED = {
    "monarch_core/transforms": {"monarch_core.transforms"},
    "monarch_core/layers": {"monarch_core.transforms", "monarch_core.layers"},
    "monarch_core/runs": {"monarch_core.runs", "monarch_core.training"},
    "monarch_core/training": {
        "monarch_core.transforms",
        "monarch_core.runs",
        "monarch_core.training",
    },
    "monarch_core/report": {"monarch_core.runs", "monarch_core.report"},
    "pde": {"monarch_core", "pde", *READING["pde"]},
    "mri": {"monarch_core", "mri", *READING["mri"]},
    "data_scripts": {"monarch_core", "data_scripts"},
    **{f"data_scripts/pde/{name}.py": {"monarch_core", "data_scripts", "pde"} for name in MAKERS},
    "benchmarks": {"monarch_core", "pde", "mri", "data_scripts", "benchmarks"},
}
TORCH_ONLY = {"torch", "jaxtyping"}  # what monarch_core/transforms may need beside Python
OURS = ("monarch_core", "pde", "mri", "data_scripts", "benchmarks")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            found.add(node.module)
    return found


def layer(path: Path) -> str:
    """Return the most specific entry of ALLOWED that holds a file, or is it."""
    relative = path.relative_to(ROOT).as_posix()
    names = (name for name in ALLOWED if f"{relative}/".startswith(f"{name}/"))
    return max(names, key=len)


def modules() -> list[Path]:
    files = [path for package in OURS for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in files if path != ROOT / "monarch_core/__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_arrows(path):
    allowed = ALLOWED[layer(path)]
    for name in imports(path):
        if name.split(".")[0] in OURS:
            assert any(name == a or name.startswith(f"{a}.") for a in allowed), (
                f"{path.relative_to(ROOT)} imports {name}; {layer(path)} may import {allowed}"
            )


@pytest.mark.parametrize("path", sorted((ROOT / "monarch_core/transforms").glob("*.py")))
def test_transforms_need_torch_only(path):
    for name in imports(path):
        top = name.split(".")[0]
        assert top in {*OURS, *TORCH_ONLY, *sys.stdlib_module_names}, f"{path}: {name}"


def test_a_wrong_arrow_is_found(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from pde.models import RollOut\nimport mri.physics.encoding\n")
    assert imports(wrong) == {"pde.models", "mri.physics.encoding"}


@pytest.mark.parametrize("folder", ["pde", "mri", "data_scripts/pde", "data_scripts/mri"])
def test_no_module_hides_a_standard_one(folder):  # that of a script is searched first
    packages = [path.parent for path in (ROOT / folder).glob("*/__init__.py")]
    names = {path.stem for path in [*(ROOT / folder).glob("*.py"), *packages]} - {"__init__"}
    assert not names & set(sys.stdlib_module_names)


def test_what_modules_read_beside_them_is_packaged():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packaged = {
        path
        for package, patterns in project["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    packages = ("monarch_core", "pde", "mri", "data_scripts")
    files = {path for name in packages for path in (ROOT / name).rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} == packaged


@pytest.mark.parametrize("script", ["pde/train.py", "mri/train.py"])
def test_training_scripts_read_as_a_table_of_contents(script):
    assert len((ROOT / script).read_text().splitlines()) <= 60
