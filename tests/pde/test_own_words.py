"""What a newcomer reads of own data: arrays left over, names to paste, one long trajectory."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pde_configs
import pytest
from pde_files import flow
from programs import run_program

from pde.config.own import OwnConfig
from pde.config.run import choose_own
from pde.dataset.splits import load_splits
from pde.dataset.summary import summarize
from pde.dataset.understanding import Understanding
from pde.understand import understood

ROOT = Path(__file__).parents[2]
U = flow(12, 8, (16, 16))
LONG = flow(1, 60, (16, 16), seed=4)


def words_of(path, **said):
    found = Understanding(OwnConfig(path=str(path), **said))
    return summarize(found.fields, found.config, found.notes)


def unused(text):
    """The arrays that are listed as not used, and what is said of each."""
    return dict(re.findall(r"^  not used +(.+? \(.*?\)): (.*)$", text, re.MULTILINE))


@pytest.fixture
def odd_names(tmp_path):
    others = {
        "tt": np.arange(8) * 0.25,
        "east": np.arange(16) / 16,
        "Reyn": np.linspace(1, 2, 12),
        "one": np.ones(1),
        "extra": np.zeros((3, 5)),
        "label": np.array(["a", "b"]),
    }
    np.savez(tmp_path / "own.npz", u=U, **others)
    return tmp_path / "own.npz"


def test_every_array_that_is_not_used_is_listed_with_the_option_that_would(odd_names):
    found = unused(words_of(odd_names))
    names = ["tt (8,)", "east (16,)", "Reyn (12,)", "one (1,)", "extra (3, 5)", "label (2,)"]
    assert [*found] == names
    assert "dataset.times_key=tt" in found["tt (8,)"]
    assert "dataset.x_key=east" in found["east (16,)"]
    assert "dataset.y_key=east" in found["east (16,)"]
    assert "dataset.parameters=[Reyn]" in found["Reyn (12,)"]
    assert "not on the grid of u" in found["extra (3, 5)"]
    assert "no real numbers" in found["label (2,)"]
    said = {"times_key": "tt", "x_key": "east", "parameters": ["Reyn"]}
    text = words_of(odd_names, **said)
    assert [*unused(text)] == names[3:]
    for words in ("times 0 to 1.75, steps of 0.25", "x 16 points from 0 to 0.9375", "frame, Reyn"):
        assert words in text


def test_a_used_array_is_never_listed(tmp_path):
    np.savez(tmp_path / "a.npz", u=U, t=np.arange(8.0), x=np.arange(16.0), dy=0.5, nu=np.arange(12))
    assert unused(words_of(tmp_path / "a.npz")) == {}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"times_key": "time"}, r"no arrays time; .*name one as in dataset\.times_key=tt"),
        ({"z_key": "east"}, r"z_key is for an axis that u .* does not have"),
        ({"times_key": "Reyn"}, r"Reyn, which dataset\.times_key names, has 12 values, .* 8 ent"),
    ],
)
def test_what_is_named_has_to_fit(odd_names, said, message):
    axes = ["trajectory", "time", "x", "y"]
    with pytest.raises(ValueError, match=message):
        words_of(odd_names, axes=axes, **said)


NAMES = ["my pressure", "p, q", "p(x)", "speed [m/s]", "null", "a=b", "it's", "ρ"]


@pytest.mark.parametrize("name", NAMES)
def test_a_suggestion_can_be_pasted(tmp_path, name):
    np.savez(tmp_path / "own.npz", **{"my field": U, name: 2 * U + 1})
    ways = unused(words_of(tmp_path / "own.npz", key="my field"))[f"{name} {U.shape}"]
    both, _, alone = ways.removesuffix(" to predict it alone").partition(" to predict it, too, ")
    for way, channels in ((both, ["my field", name]), (alone, [name])):
        arguments = choose_own([f"dataset.path={tmp_path / 'own.npz'}", *shlex.split(way)])
        raw = understood(pde_configs.composed("pde", *arguments))
        assert list(raw.dataset.channels) == channels


def test_names_need_no_quotes_of_hydra_but_in_a_sweep():
    line = ["dataset.path=a", "dataset.key=u,my v"]
    assert choose_own(line)[-1] == 'dataset.key="u,my v"'
    for same in ([*line[:1], "dataset.key='u,v'"], [*line, "-m"], [*line[:1], "dataset.key=null"]):
        assert choose_own(same)[2:] == same[1:]


def test_names_in_a_file_are_never_looked_up(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "precious")
    np.savez(tmp_path / "own.npz", **{"${oc.env:SECRET}": U, "v": U})
    raw = pde_configs.composed("pde", "dataset=own", f"dataset.path={tmp_path}/own.npz")
    with pytest.raises(ValueError, match="stands for another value") as refused:
        understood(raw)
    assert "precious" not in str(refused.value)


def test_one_long_trajectory_names_the_remedy(tmp_path):
    np.savez(tmp_path / "long.npz", u=LONG, t=np.arange(60.0))
    with pytest.raises(ValueError, match=r"there are 1 trajectories.*dataset\.window=6 makes 10 "):
        words_of(tmp_path / "long.npz")
    assert "10 of 6 frames without overlap" in words_of(tmp_path / "long.npz", window=6)


def test_windows_of_different_splits_share_no_frame(tmp_path):
    np.savez(tmp_path / "long.npz", u=LONG, t=np.arange(60.0))
    config = Understanding(OwnConfig(path=str(tmp_path / "long.npz"), window=7)).config
    splits = load_splits(config)
    seen = {}
    for name in ("train", "valid", "test"):
        part = getattr(splits, name).frames
        frames = [
            (LONG[0] == frame.numpy()).all((1, 2)).nonzero()[0] for frame in part.flatten(0, 1)
        ]
        seen[name] = {int(i) for found in frames for i in found}
        assert len(seen[name]) == part.shape[0] * part.shape[1]
    assert max(seen["train"]) < min(seen["valid"]) < max(seen["valid"]) < min(seen["test"])


def test_one_trajectory_trains_and_evaluates_from_the_command_line(tmp_path):
    np.savez(tmp_path / "long.npz", u=LONG, t=np.arange(60.0))
    small = ["model.hidden_channels=4", "model.n_layers=1", "model.n_modes=4", "fit.epochs=1"]
    small += ["fit.accelerator=cpu", "fit.transform_learning_rate=1e-3", "hydra.run.dir=run"]
    words = ["dataset.path=long.npz", "dataset.window=6", *small]
    imports = ("pde.train", "pde.evaluate")
    done = run_program(ROOT / "pde/train.py", *words, folder=tmp_path, imports=imports)
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "run/results.json").read_text())
    done = run_program(ROOT / "pde/evaluate.py", "run=run", folder=tmp_path, imports=imports)
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "run/results.json").read_text())
    assert again["split_sizes"] == first["split_sizes"] == {"train": 8, "valid": 1, "test": 1}
    timed = "milliseconds_per_trajectory"
    assert {k: v for k, v in first["metrics"].items() if k != timed} == {
        k: v for k, v in again["metrics"].items() if k != timed
    }


@pytest.mark.parametrize(("shape", "window"), [((200, 64, 64), 20), ((60, 32), 6)])
def test_an_unclear_order_of_axes_comes_with_each_reading_and_its_window(tmp_path, shape, window):
    u = np.cumsum(np.random.default_rng(0).normal(size=shape), 0)
    np.savez(tmp_path / "long.npz", u=u)
    with pytest.raises(ValueError, match=r"order of the axes of u .*dataset\.axes=\[") as refused:
        words_of(tmp_path / "long.npz")
    ways = re.findall(r"dataset\.axes=(\[[a-z,]+\])(?: dataset\.window=(\d+))?", str(refused.value))
    of_one = [way for way in ways if "trajectory" not in way[0]]
    assert of_one == [("[time,x,y]" if len(shape) > 2 else "[time,x]", str(window))]
    for axes, frames in ways:
        said = {"axes": axes.strip("[]").split(","), "window": int(frames or 0)}
        words_of(tmp_path / "long.npz", **said)


def test_names_with_commas_in_a_list_of_names_are_found(tmp_path):
    arrays = {"u": U, "p,q": U + 1, "a,b,c": U + 2, "b": U + 3}
    np.savez(tmp_path / "own.npz", **arrays)
    for key, channels in {
        "u,p,q": ["u", "p,q"],
        "p,q,u": ["p,q", "u"],
        "a,b,c,b, u": ["a,b,c", "b", "u"],
        "b,p,q,a,b,c": ["b", "p,q", "a,b,c"],
    }.items():
        found = Understanding(OwnConfig(path=str(tmp_path / "own.npz"), key=key))
        assert found.config.channels == channels
    with pytest.raises(ValueError, match="no arrays p; "):
        words_of(tmp_path / "own.npz", key="u,p")


def test_no_list_of_names_is_proposed_that_would_be_read_otherwise(tmp_path):
    np.savez(tmp_path / "own.npz", **{"p": U, "q": U + 1, "p,q": U + 2})
    ways = unused(words_of(tmp_path / "own.npz", key="p"))
    assert "p,q" not in ways[f"q {U.shape}"]
    assert "dataset.key=q to predict it alone" in ways[f"q {U.shape}"]
    assert "p,p,q" in ways[f"p,q {U.shape}"]
