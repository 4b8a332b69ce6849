"""The arrows between packages: who may import whom, read from the syntax trees."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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
    "pde": {"monarch_core", "data_scripts", "pde"},
    "mri": {"monarch_core", "data_scripts", "mri"},
    "data_scripts": {"monarch_core", "pde", "mri", "data_scripts"},
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
    """Return the most specific package of ALLOWED that holds a file."""
    relative = path.relative_to(ROOT).as_posix()
    return max((name for name in ALLOWED if relative.startswith(f"{name}/")), key=len)


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


@pytest.mark.parametrize("folder", ["pde", "mri"])
def test_no_module_hides_a_standard_one(folder):
    names = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    assert not names & set(sys.stdlib_module_names)


@pytest.mark.parametrize("script", ["pde/train.py", "mri/train.py"])
def test_training_scripts_read_as_a_table_of_contents(script):
    assert len((ROOT / script).read_text().splitlines()) <= 60
