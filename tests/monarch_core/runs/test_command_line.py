"""What hydra cannot compose is refused in our words, by every script and in one paragraph."""

import logging
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import TextIO
from unittest.mock import Mock

import pytest
from hydra.errors import HydraException
from pde_configs import composed
from programs import ROOT, run_program

from monarch_core.runs.command_line import _WithoutRefusals, explained
from monarch_core.runs.flags import foreign_flags, instead_of

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


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_what_to_type_instead_of_a_flag(tmp_path, script):
    key = "seed" if Path(script).name in ("train.py", "calibrate.py", "diagnose.py") else "run"
    said = refused(script, f"--{key}", "3", folder=tmp_path)
    assert said.startswith(f"--{key} 3 is no flag of this script, whose options are key=value; ")
    assert f"did you mean {key}=3? (python" in said


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--epochs 3", "fit.epochs=3"),
        ("-epochs=3", "fit.epochs=3"),
        ("seed=2 --fit.epochs=3 --lr 1e-3", "fit.epochs=3, fit.learning_rate=1e-3"),
        ("--batch-size 3", "fit.batch_size=3 or dataset.batch_size=3"),
        ("--data my.npy model=fno_fast --width 3", "dataset.path=my.npy? nothing is like --width"),
        ("--path", "dataset.path=VALUE"),
    ],
)
def test_what_is_meant_by_a_flag(words, meant):
    flags = foreign_flags(words.split())
    assert f"did you mean {meant}" in instead_of(flags, composed("pde"))


@pytest.mark.parametrize(
    "words", ["", "-m seed=0,1", "--cfg job", "-r seed=1", "--help", "--version", "-cn", "seed=-1"]
)
def test_flags_of_hydra_stay_its_own(words, capsys):
    assert foreign_flags(words.split()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("word", ["dataset.path=F", "dataset=own", "fit.epochs=3"])
@pytest.mark.parametrize("script", ["pde/evaluate.py", "pde/export.py"])
def test_what_belongs_to_training_is_said_where_a_run_is_read(tmp_path, script, word):
    said = refused(script, word, folder=tmp_path)
    assert said.startswith(f"{word}: {word.partition('=')[0]} is an option of training, and ")
    assert "config of a finished run, as in run=RUN_DIR; " in said
    assert f"for a new run: python {ROOT / 'pde/train.py'} {word} (" in said
    if script == "pde/evaluate.py" and word != "dataset=own":
        assert "known here: run, evaluation.grids; " in said


def test_a_failed_sweep_says_nothing_but_what_is_wrong(tmp_path):
    words = ["seed=0,1", "-m", "fit.epochs=0"]  # the flag may stand between overrides
    script = ROOT / "pde/train.py"
    done = run_program(script, *words, folder=tmp_path, imports=("pde.train",))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("Error: fit.epochs must be from 1 to") for line in lines)


def test_what_hydra_says_of_a_defect_in_a_sweep_stays():
    out = Mock(spec=TextIO)
    stream = _WithoutRefusals(out)
    stream.write("Error executing job with overrides: ['seed=1']\n")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        stream.write("Traceback")
    stream.write("Error executing job with overrides: []\n")
    stream.release()
    written = "".join(call.args[0] for call in out.write.call_args_list)
    assert written == "Error executing job with overrides: ['seed=1']\nTraceback" + (
        "Error executing job with overrides: []\n"
    )
