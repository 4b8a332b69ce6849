"""A run folder that somebody sends runs nothing, reads no secret and takes no memory."""

import copy
import io
import json
import pickle
import random
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from pde_configs import config_of
from programs import run_program

from monarch_core.runs.folder import RunFolder
from monarch_core.runs.plain_files import LARGEST_YAML, read_yaml
from monarch_core.runs.results import write_results
from monarch_core.runs.schema import load_config, save_config, to_dict
from monarch_core.training.start import start_run
from monarch_core.training.transform_config import TransformConfig
from mri.config.run import MriConfig
from mri.evaluate import evaluate as evaluate_mri
from pde.config.run import PdeConfig
from pde.evaluate import evaluate as evaluate_pde
from pde.export import export_run

ROOT = Path(__file__).parents[3]


class Shell:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return (subprocess.check_call, (self.command,))


def called(name, *args, **options):
    return {"_target_": name, "_args_": list(args), **options}


def shell(marker):
    return called("monarch_core.layers.kernel.build._output", ["touch", str(marker)])


def touch(marker):
    return called("pathlib.Path.touch", called("pathlib.Path", str(marker)))


def torch_load(marker):
    archive = marker.with_name("evil.pt")
    archive.write_bytes(pickle.dumps(Shell(["touch", str(marker)])))
    return called("torch.load", str(archive), weights_only=False)


def numpy_load(marker):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Shell(["touch", str(marker)])]), allow_pickle=True)
    archive = marker.with_name("evil.npy")
    archive.write_bytes(buffer.getvalue())
    return called("numpy.load", str(archive), allow_pickle=True)


# The layout that named functions, and where it had room for one more.
FORMER = {
    "name": "monarch",
    "axis": {"_target_": "monarch_core.Monarch", "_partial_": True, "heads": 1},
    "spectral_conv": {
        "_target_": "monarch_core.MonarchSpectralConv.configured",
        "_partial_": True,
        "transform": {"_target_": "monarch_core.Monarch", "_partial_": True, "heads": 1},
        "learn": "both",
    },
}


def in_axis(evil):
    return {**FORMER, "axis": {**FORMER["axis"], "evil": evil}}


def in_spectral_conv(evil):
    return {**FORMER, "spectral_conv": {**FORMER["spectral_conv"], "evil": evil}}


def as_axis(evil):
    return {**FORMER, "axis": evil}


def as_spectral_conv(evil):
    return {**FORMER, "spectral_conv": evil}


def in_start(evil):
    return {"name": "monarch", "kind": "monarch", "start": evil}


def in_kind(evil):
    return {"name": "monarch", "kind": evil}


def as_transform(evil):
    return {"name": "monarch", **evil}


PLACES = [in_axis, in_spectral_conv, as_axis, as_spectral_conv, in_start, in_kind, as_transform]
ENTRIES = {
    "pde/evaluate": lambda run: evaluate_pde(run),
    "pde/export": lambda run: export_run(run, run / "model.pt2", "pt2", 1),
    "pde/train resume": lambda run: start_run(OmegaConf.create({"resume": str(run)}), PdeConfig),
    "mri/evaluate": lambda run: evaluate_mri(run),
    "mri/train resume": lambda run: start_run(OmegaConf.create({"resume": str(run)}), MriConfig),
}


def stored(task="pde"):
    config = MriConfig() if task == "mri" else config_of("model.n_modes=4", "dataset.grid=16")
    config.transform = TransformConfig("monarch")
    return to_dict(config)


def write(run, config):
    run.mkdir(exist_ok=True)
    (run / "config.yaml").write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return run


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("evil", [shell, touch, torch_load, numpy_load])
def test_no_name_in_a_config_is_ever_called(tmp_path, evil, place, entry):
    marker = tmp_path / "ran"
    config = {**stored(entry[:3]), "transform": place(evil(marker))}
    with pytest.raises(ValueError, match=r"config\.yaml: ") as caught:
        ENTRIES[entry](write(tmp_path / "run", config))
    assert not marker.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["fit", "model", "dataset", "evaluation", "seed", "evil"])
def test_no_other_key_is_called_either(tmp_path, key):
    marker = tmp_path / "ran"
    for task, entry in (("pde", "pde/export"), ("mri", "mri/evaluate")):
        config = stored(task)
        evil = shell(marker)
        config[key] = {**config[key], "evil": evil} if isinstance(config.get(key), dict) else evil
        with pytest.raises(ValueError, match=r"config\.yaml: "):
            ENTRIES[entry](write(tmp_path / "run", config))
    assert not marker.exists()


@pytest.mark.parametrize("task", ["pde", "mri"])
def test_data_are_made_by_our_scripts_from_any_folder(tmp_path, monkeypatch, task):
    """A `data_scripts` in the folder of the caller, such as one that came with the run."""
    planted = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    for name in ("__init__", "pde/__init__", "pde/navier_stokes", "mri/__init__", "mri/phantom"):
        path = tmp_path / "data_scripts" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(planted)
    monkeypatch.chdir(tmp_path)
    config = stored(task)
    if task == "pde":
        config["dataset"]["data_dir"] = "/dev/null/x"
    else:
        config["dataset"] |= {"root": "/dev/null/x", "recipe": {"name": "phantom"}}
    with pytest.raises(OSError, match=r"cannot write below /dev/null"):
        ENTRIES[f"{task}/evaluate"](write(tmp_path / "run", config))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("script", ["os", "../evil", "mri_phantom.evil", "mri_check", "burgers"])
def test_only_known_recipes_make_data(tmp_path, script):
    for recipe in ({"script": script}, {"recipe": {"name": script}}):
        config = stored("mri")
        del config["dataset"]["recipe"]
        config["dataset"] |= {**recipe, "root": str(tmp_path / "none")}
        name = script.removeprefix("mri_") if "script" in recipe else script
        with pytest.raises(ValueError, match=rf"recipe\.name must be one of .*, got '{name}'"):
            evaluate_mri(write(tmp_path / "run", config))


def test_the_command_line_says_it_in_one_paragraph(tmp_path):
    marker = tmp_path / "ran"
    run = write(tmp_path / "run", {**stored(), "transform": in_spectral_conv(shell(marker))})
    for script in ("evaluate", "export"):
        out = [] if script == "evaluate" else [f"out={tmp_path}/model.pt2", "format=pt2"]
        path, imports = ROOT / f"pde/{script}.py", (f"pde.{script}",)
        done = run_program(path, f"run={run}", *out, imports=imports)
        assert done.returncode == 1
        assert "nothing that a config names is called" in done.stderr
        assert "Traceback" not in done.stderr
    assert not marker.exists()


@pytest.mark.parametrize(
    "value", ["${oc.env:SECRET}", "x${oc.env:SECRET}y", "${seed}", "${oc.decode:'1'}", "???"]
)
@pytest.mark.parametrize("key", ["name", "dataset", "path", "list"])
def test_nothing_is_looked_up_for_a_stored_config(tmp_path, monkeypatch, key, value):
    monkeypatch.setenv("SECRET", "swordfish")
    config = stored()
    config["model"]["name"] = value if key == "name" else "fno"
    config["dataset"]["path"] = value if key == "path" else None
    config["evaluation"]["grids"] = [8, value] if key == "list" else []
    if key == "dataset":
        config["dataset"] = value
    with pytest.raises(ValueError, match="stands for another value; a stored config") as caught:
        load_config(write(tmp_path, config), PdeConfig)
    assert "swordfish" not in str(caught.value)


def test_overrides_are_repeated_as_they_were_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "swordfish")
    (tmp_path / ".hydra").mkdir()
    overrides = ["dataset.path=${oc.env:SECRET}", "seed=1"]
    (tmp_path / ".hydra/overrides.yaml").write_text(yaml.safe_dump(overrides))
    assert RunFolder(tmp_path).started_with() == overrides
    names = {"task": "pde", "dataset": "a", "model": "b", "transform": "c"}
    results = write_results(
        tmp_path, **names, seed=0, split_sizes={}, metrics={}, n_parameters=0, config={}
    )
    assert "swordfish" not in json.dumps(results)


BILLION = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n"
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BILLION, r"refers to itself \(an anchor or alias, 'a'\) in line 1"),
        ("a: 1\nb: *a\n", r"refers to itself \(an anchor or alias, 'a'\) in line 2"),
        ("a: &a\n  b: *a\n", r"refers to itself \(an anchor or alias, 'a'\) in line 1"),
        ("[" * 100_000, "has more than 20 levels in line 1"),
        ("{a: " * 5_000, "has more than 20 levels in line 1"),
        ("\n".join(" " * n + "a:" for n in range(400)), "has more than 20 levels in line 21"),
        ("a: !!python/object/apply:os.system [id]", "asks for an object .*python/object.* line 1"),
        ("a: !!python/name:os.system", "asks for an object"),
        ("!evil\na: 1", "asks for an object"),
        ("a: !!binary aWQ=", "asks for an object"),
        ("a: " + "x" * LARGEST_YAML, f"is larger than the {LARGEST_YAML} bytes"),
        ("a: " + "9" * 5000, "is not valid YAML .*limit"),
        ('a: "\\e]0;title"', "holds control characters"),
        ('"\\e[31ma": 1', "holds control characters"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML"),
        ("a: 1\na: 2\n", "is not valid YAML .*duplicate"),
        ("? [1, 2]\n: 3\n", "is not valid YAML"),
        ("%TAG ! tag:x,2000:\n---\n!y z", "asks for an object"),
    ],
    ids=range(18),
)
def test_no_file_takes_memory_or_makes_objects(tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    begin = time.monotonic()
    with pytest.raises(ValueError, match=message) as caught:
        read_yaml(path)
    assert time.monotonic() - begin < 5
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match=message):
        load_config(tmp_path, PdeConfig)


def test_what_is_no_plain_file_is_not_opened(tmp_path):
    (tmp_path / "config.yaml").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="is no file"):
        read_yaml(tmp_path / "config.yaml")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("a: 1\n")
    with pytest.raises(ValueError, match=r"overrides\.yaml is no list of overrides"):
        RunFolder(tmp_path).started_with()


def leaves(node, path=()):
    """Yield the path of everything in nested dicts and lists."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))


def try_load(run, config, schema):
    """Return the config, or the message of its refusal."""
    try:
        return load_config(write(run, config), schema)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("task", ["pde", "mri"])
def test_any_value_anywhere_is_taken_or_refused(tmp_path, task):
    """Of every key, values of every type: a config comes back, or one paragraph."""
    schema = {"pde": PdeConfig, "mri": MriConfig}[task]
    rng = random.Random(0)
    values = [None, True, -1, 0, 10**30, 1e300, float("nan"), float("-inf"), "", "x", "1"]
    values += [[], [[]], ["a", 1], {}, {"name": "x"}, {1: 2}, {"_target_": "os.getcwd"}, "a" * 3000]
    sound, refused = stored(task), 0
    for path in leaves(sound):
        for value in rng.sample(values, 2):
            config = copy.deepcopy(sound)
            node = config
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
            loaded = try_load(tmp_path, config, schema)
            if isinstance(loaded, str):
                refused += 1
                assert "\n" not in loaded
            else:
                save_config(tmp_path, loaded)
                assert repr(load_config(tmp_path, schema)) == repr(loaded)
    assert refused > 50
