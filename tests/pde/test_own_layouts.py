"""Arrays beside those of PDEBench's groups and of The Well: listed, with what has them used."""

import dataclasses
import re
import shlex

import h5py
import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from pde_files import flow

from monarch_core.runs.schema import to_dataclass
from pde.config.own import OwnConfig
from pde.config.run import choose_own
from pde.dataset.own import load_own_splits
from pde.dataset.summary import summarize
from pde.dataset.understanding import Understanding

U = flow(10, 8, (16, 16))
MASK = flow(1, 1, (16, 16), seed=5)[0, 0]


def groups(path, *, grid):
    with h5py.File(path, "w") as file:
        for i, u in enumerate(U):
            file[f"{i:04d}/data"] = u[..., None]
            file[f"{i:04d}/pressure"] = 2 * u[..., None] + 1
            file[f"{i:04d}/nu"] = 0.1 * i
            file[f"{i:04d}/label"] = "word"
            if grid:
                file[f"{i:04d}/grid/t"] = np.arange(8.0)
                for axis in "xy":
                    file[f"{i:04d}/grid/{axis}"] = np.arange(16) / 16
        file["walls"], file["reynolds"] = MASK, np.linspace(1, 2, 10)
        file["hours"], file["odd"] = np.arange(8) * 0.5, np.ones((3, 5))


def well(path, *, grid):
    with h5py.File(path, "w") as file:
        file.attrs["n_spatial_dims"] = 2
        file["t0_fields/density"] = U
        file["t1_fields/velocity"] = np.stack([U, U + 1], -1)
        file["scalars/drive"] = np.ones((10, 8))
        file["scalars/drive"].attrs["time_varying"] = True
        if grid:
            file["dimensions/time"] = np.arange(8.0)
            for axis in "xy":
                file[f"dimensions/{axis}"] = np.arange(16) / 16
        file["pressure"], file["walls"], file["reynolds"] = 2 * U + 1, MASK, np.linspace(1, 2, 10)
        file["hours"], file["odd"] = np.arange(8) * 0.5, np.ones((3, 5))
        file["label"] = "word"


def unused(path, **said):
    found = Understanding(OwnConfig(path=str(path), **said))
    text = summarize(found.fields, found.config, found.notes)
    return dict(re.findall(r"^  not used +(\S+) (.*)$", text, re.MULTILINE))


PURPOSE = r" to predict it(?:, too| alone)(?:, )?| as an input(?:, )?| if [^,]*(?:, )?"


def said_by(way):
    """Return the options that words of a command line give, through the shell and hydra."""
    said = {}
    for word in choose_own(["dataset.path=x", *shlex.split(way)])[2:]:
        parsed = OverridesParser.create().parse_override(word)
        value = OmegaConf.create({"value": parsed.value()})["value"]
        key = parsed.key_or_group.removeprefix("dataset.")
        said[key] = value if isinstance(value, str) else list(value)
    return said


WRITERS = pytest.mark.parametrize("write", [groups, well])


@WRITERS
@pytest.mark.parametrize("grid", [False, True])
def test_every_other_array_is_listed(tmp_path, write, grid):
    write(tmp_path / "own.h5", grid=grid)
    found = unused(tmp_path / "own.h5")
    names = {"0000/label"} if write is groups else {"label", "scalars/drive"}
    assert {*found} == {"pressure", "walls", "hours", "odd", *names}
    assert ("times_key" in found["hours"]) != grid
    said = "cannot be read" + ("; so are 9 more, #/label" if write is groups else "")
    assert found[min(name for name in found if "label" in name)].endswith(said)
    assert "fits neither" in found["odd"]
    assert "varies in time" in found.get("scalars/drive", "varies in time")
    # numbers with the name of a parameter that differ between trajectories are inputs
    config = Understanding(OwnConfig(path=str(tmp_path / "own.h5"))).config
    assert config.constants == (["reynolds", "nu"] if write is groups else ["reynolds"])
    assert "parameters=[reynolds]" in unused(tmp_path / "own.h5", parameters=[])["reynolds"]


@WRITERS
def test_what_is_said_of_an_array_has_it_used(tmp_path, write):
    path = tmp_path / "own.h5"
    write(path, grid=False)
    ways = [
        (name, way)
        for name, reason in unused(path).items()
        for way in re.split(PURPOSE, reason.partition("): ")[2])
        if way.lstrip("'").startswith("dataset.")
    ]
    assert {name for name, _ in ways} == {"pressure", "walls", "hours"}
    for name, way in ways:
        assert name not in unused(path, **said_by(way))


def test_an_input_is_not_left_out_in_silence(tmp_path):
    groups(tmp_path / "own.h5", grid=True)
    axes = ["trajectory", "time", "x", "y", "channel"]
    said = {"input_key": "walls", "key": "data", "axes": axes}
    assert Understanding(OwnConfig(path=str(tmp_path / "own.h5"), **said)).config.constants[:1] == [
        "walls"
    ]
    alone = Understanding(OwnConfig(path=str(tmp_path / "own.h5"), input_key="walls"))
    assert "walls" in alone.config.constants


def test_what_could_not_be_read_is_not_proposed(tmp_path):
    path = tmp_path / "own.h5"
    well(path, grid=True)
    with h5py.File(path, "a") as file:  # a tensor, which The Well alone has
        file["t2_fields/stress"] = np.stack([np.stack([U, U], -1)] * 2, -1)
    said = unused(path)["pressure"]
    assert "to predict it alone" in said
    assert "too" not in said


def test_numbers_belong_to_the_trajectories_of_their_groups(tmp_path):
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for i in range(12):  # as text 10 comes before 2
            file[f"{i}/data"] = np.full((4, 8, 8, 1), float(i)) + np.arange(4)[:, None, None, None]
            file[f"{i}/nu"] = 0.5 * i
    fields = Understanding(OwnConfig(path=str(tmp_path / "own.h5"))).fields
    first = fields.read()[:, 0, 0, 0, 0]
    np.testing.assert_array_equal(first, np.arange(12))
    np.testing.assert_array_equal(fields.numbers["nu"], 0.5 * first)


def test_arrays_of_one_name_in_two_groups_have_names_of_their_own(tmp_path):
    path = str(tmp_path / "own.h5")
    with h5py.File(path, "w") as file:
        file["fluid/u"], file["solid/u"], file["solid/w"] = U, -U, U + 1
    config = Understanding(OwnConfig(path=path, key="fluid/u,solid/u,w")).config
    assert config.channels == ["fluid/u", "solid/u", "w"]
    one = Understanding(OwnConfig(path=path, channels=["solid/u"], parameters=[])).config
    train = load_own_splits(one).train.frames
    np.testing.assert_array_equal(train[0, 0], -U[0, 0])
    for said in ({"key": "w,w"}, {"key": "w", "channels": ["w", "w"]}):
        with pytest.raises(ValueError, match=r"channels must differ in their names, got"):
            _ = Understanding(OwnConfig(path=path, **said)).config


def test_a_stored_run_that_names_a_channel_twice_is_read(tmp_path):
    path = str(tmp_path / "own.h5")
    with h5py.File(path, "w") as file:
        file["fluid/u"], file["solid/u"] = U, -U
    config = Understanding(OwnConfig(path=path, key="fluid/u")).config
    stored = OmegaConf.create({**dataclasses.asdict(config), "channels": ["u", "u"]})
    stored.units = ["", ""]
    twice = to_dataclass(stored, OwnConfig)
    frames = load_own_splits(twice).train.frames
    np.testing.assert_array_equal(frames[0, :2], U[0, [0, 0]])
    twice.key = "fluid/u,solid/u"
    with pytest.raises(ValueError, match=r"holds u, .* but fluid/u, solid/u; .*start a new run"):
        load_own_splits(twice)
