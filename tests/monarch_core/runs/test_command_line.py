"""What hydra cannot compose is refused in our words, by every script and in one paragraph."""

import logging
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hydra.errors import HydraException
from pde_configs import composed
from programs import ROOT, run_program

from monarch_core.runs.command_line import explained

SCRIPTS = [
    path.relative_to(ROOT).as_posix()
    for task in ("pde", "mri", "sparse")
    for path in sorted((ROOT / task).glob("*.py"))
    if "@entry_script(" in path.read_text(encoding="utf-8")
]


def refused(script, *words, folder):
    """Return what a script says of words that it refuses; no run is left behind."""
    module = script.removesuffix(".py").replace("/", ".")
    done = run_program(ROOT / script, *words, folder=folder, imports=(module,))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert not [
        path for path in Path(folder).rglob("*") if path.is_file() and path.name != "multirun.yaml"
    ]
    return done.stderr.removeprefix("Error: ").strip()


def test_every_script_is_an_entry():
    assert len(SCRIPTS) == 10


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_names_the_unknown_key_and_where_all_are(tmp_path, script):
    said = refused(script, "sed=3", folder=tmp_path)
    assert said.startswith("sed=3: unknown config key sed; ")
    assert said.endswith(f"(python {ROOT / script} --help shows all)")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("fit.epocs=3", "fit.epocs=3: unknown config key fit.epocs; did you mean fit.epochs"),
        ("epochs=3", "epochs=3: unknown config key epochs; did you mean fit.epochs?"),
        ("models=fno", "models=fno: unknown config key models; did you mean model?"),
        ("experiments=smoke", "did you mean experiment?"),
        ("model.n_mods=3", "unknown config key model.n_mods; did you mean model.n_modes"),
        ("dataset.recipe.grd=1", "unknown config key dataset.recipe.grd; did you mean dataset."),
        ("hydra.run.dirr=x", "did you mean hydra.run.dir?"),
        ("model=fn0", "there is no model=fn0; did you mean model=fno?"),
        ("transform=xyz", "there is no transform=xyz; choose one of calibrated, cosine_frozen"),
        ("seed=abc", "config key seed has the wrong type: Value 'abc' of type 'str' could not"),
        ("model=3", "Config group override must be a string or a list. Got int"),
        ("seed=0,1", "give seed=[0,1] for a list, or run once for each with -m, or with monarch-"),
        ("fit.epochs=[", "cannot read 'fit.epochs=[': no viable alternative"),
        ("fno", "cannot read 'fno': missing EQUAL at '<EOF>'; an override is key=value"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_near(word, said):
    with pytest.raises((HydraException, ValueError)) as refusal:
        composed("pde", word)
    told = explained(refusal.value, ["experiment"])
    assert said in told
    assert "_options" not in told
    assert "\n" not in told


def test_a_sweep_is_refused_as_a_whole(tmp_path):
    said = refused("pde/train.py", "-m", "model=fno,fn0", folder=tmp_path)
    assert "did you mean model=fno" in said


def test_the_exception_of_hydra_is_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    script = ROOT / "pde/train.py"
    done = run_program(script, "fit.epocs=3", folder=tmp_path, imports=("pde.train",))
    assert done.returncode == 1
    assert "ConfigCompositionException" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_a_spawned_process_imports_changes_nothing(script, tmp_path, monkeypatch):
    import_module(
        script.removesuffix(".py").replace("/", ".")
    )  # libraries may change what they like
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(os.environ), [*sys.argv], sys.stderr, [*logging.getLogger().handlers]
    runpy.run_path(str(ROOT / script), run_name="__mp_main__")  # as multiprocessing does
    assert before == (dict(os.environ), sys.argv, sys.stderr, logging.getLogger().handlers)
    assert not [*tmp_path.iterdir()]
    assert Path.cwd() == tmp_path
