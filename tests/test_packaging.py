"""What a wheel holds and needs, what an import loads, and what runs beside another `pde`."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path
from pkgutil import resolve_name

import pytest
from test_imports import OURS, modules, named, of_others

import monarch_core
from monarch_core import commands

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What may be imported beside torch, jaxtyping and numpy, by the extras that bring it.
EXTRAS = {
    "monarch_core/transforms": (),
    "monarch_core/layers": (),
    "monarch_core/adapters": ("neuralop", "mrpro", "deepinv"),
    "monarch_core/runs": ("train",),
    "monarch_core/training": ("train", "neuralop", "deploy"),
    "monarch_core/report": ("report",),
    "data_scripts/pde": ("pde", "zarr"),
    "data_scripts/mri": ("mri",),
    "pde": ("pde",),
    "mri": ("mri",),
    "sparse": ("sparse", "glue"),
}
WITH_TORCH = {"triton"}  # what a torch for CUDA brings


def python(*arguments, **options):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the checkout, built without network from a copy."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in OURS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    python("-c", "from setuptools import build_meta; build_meta.build_wheel('dist')", cwd=source)
    (path,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as file:
        yield file


def test_a_wheel_holds_the_core_alone_and_all_of_it(wheel):
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    ours = {named(path) for path in (ROOT / "monarch_core").rglob("*") if path.is_file()}
    assert packed == {name for name in ours if "__pycache__" not in name}


def test_a_wheel_needs_torch_numpy_and_jaxtyping(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    needs = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", wheel.read(name).decode(), re.MULTILINE)
    assert sorted(needs) == ["jaxtyping", "numpy", "torch"]


def test_a_wheel_has_the_commands_of_the_project(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    commands = ConfigParser()
    commands.read_string(wheel.read(name).decode())
    assert dict(commands["console_scripts"]) == PROJECT["scripts"]
    assert sorted(PROJECT["scripts"]) == ["monarch-report", "monarch-sweep"]
    assert all(callable(resolve_name(target)) for target in PROJECT["scripts"].values())


def declared(*names):
    """The distributions that the package and some extras ask for."""
    found = set()
    lines = [*PROJECT["dependencies"]]
    for name in names:
        lines += PROJECT["optional-dependencies"][name]
    for line in lines:
        if inner := re.fullmatch(r"monarch-science\[(.+)\]", line):
            found |= declared(*inner[1].split(","))
        else:
            found.add(re.match(r"[\w-]+", line)[0].lower())
    return found


@pytest.mark.parametrize("folder", EXTRAS)
def test_what_is_imported_is_declared(folder):
    distributions = packages_distributions()
    known = declared(*EXTRAS[folder]) | WITH_TORCH
    for path in modules(folder):
        for name in of_others(path):
            brings = {dist.lower() for dist in distributions.get(name, [name])}
            assert brings & known, f"{named(path)} imports {name}, which {EXTRAS[folder]} lacks"


@pytest.mark.parametrize(("extra", "part"), [("report", "report.cli"), ("train", "training.fit")])
def test_with_one_extra_each_module_of_a_wheel_loads_or_names_another(wheel, tmp_path, extra, part):
    wheel.extractall(tmp_path)
    distributions = packages_distributions()
    used = {name for path in modules("monarch_core") for name in of_others(path)}
    lacking = [
        name
        for name in sorted(used)
        if not {dist.lower() for dist in distributions.get(name, [])} & declared(extra)
    ]
    code = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({lacking}))
import monarch_core
from monarch_core.extras import MissingExtraError
print(monarch_core.__file__)
for module in pkgutil.walk_packages(monarch_core.__path__, "monarch_core.", lambda name: None):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except MissingExtraError:
            pass
        except ImportError as error:
            if error.name not in {WITH_TORCH}:
                raise
        else:
            print(module.name)
"""
    place, *loaded = python("-c", code, cwd=tmp_path).splitlines()
    assert Path(place).is_relative_to(tmp_path)
    assert f"monarch_core.{part}" in loaded
    assert "monarch_core.adapters.neuralop" not in loaded


def test_the_core_is_imported_at_once_and_alone():
    code = """
import sys, time, torch, numpy, jaxtyping
before = {name.split(".")[0] for name in sys.modules}
begin = time.perf_counter()
import monarch_core
print(time.perf_counter() - begin)
print(*{name.split(".")[0] for name in sys.modules} - before - set(sys.stdlib_module_names))
"""
    seconds, loaded = python("-c", code, cwd=ROOT).splitlines()
    assert loaded == "monarch_core"
    assert float(seconds) < 0.3


@pytest.mark.parametrize(
    ("part", "module", "extra"),
    [
        ("report", "matplotlib", "report"),
        ("runs", "hydra", "train"),
        ("training", "lightning_fabric", "train"),
        ("training.export", "tensorly", "neuralop"),
        ("adapters.neuralop", "neuralop", "neuralop"),
        ("adapters.mrpro", "mrpro", "mrpro"),
        ("adapters.deepinv", "deepinv", "deepinv"),
    ],
)
def test_a_part_without_its_packages_says_what_to_install(monkeypatch, part, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"monarch_core.{part}", raising=False)
    with pytest.raises(ImportError, match=rf"{module}; run pip install '.*\[{extra}\]'"):
        __import__(f"monarch_core.{part}")


@pytest.mark.parametrize(("command", "module"), [("report", "scipy"), ("sweep", "omegaconf")])
def test_a_command_without_its_packages_says_so_in_one_line(monkeypatch, capsys, command, module):
    for name in [name for name in sys.modules if name.startswith("monarch_core.r")]:
        monkeypatch.delitem(sys.modules, name)
    for part in ("report", "runs"):  # which an import would find without them
        monkeypatch.delattr(monarch_core, part, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as ending:
        getattr(commands, command)()
    assert ending.value.code == 2
    assert re.fullmatch(rf"monarch-{command}: .* {module}; run pip .*\n", capsys.readouterr().err)


def test_scripts_run_beside_another_package_called_pde(tmp_path):
    """As with py-pde; what a launcher starts finds the modules of the checkout, too."""
    other = tmp_path / "site" / "pde"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('this is py-pde')\n")
    code = f"""
import os, runpy, sys
sys.argv = ["pde/train.py", "--cfg", "job"]
runpy.run_path({str(ROOT / "pde/train.py")!r}, run_name="__main__")
print(os.environ["PYTHONPATH"])
"""
    site = str(tmp_path / "site")
    said = python("-c", code, cwd=tmp_path, env={"PYTHONPATH": site, "HOME": str(tmp_path)})
    assert "viscosity: " in said
    assert said.splitlines()[-1].split(":") == [str(ROOT), site]
