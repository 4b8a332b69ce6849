"""Arrays beside those of PDEBench's groups and of The Well: listed, with what has them used."""

import re
import shlex

import h5py
import numpy as np
import pde_configs
import pytest
from pde_files import flow

from pde.config.own import OwnConfig
from pde.config.run import choose_own
from pde.dataset.summary import summarize
from pde.dataset.understanding import Understanding
from pde.understand import understood

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


WRITERS = pytest.mark.parametrize("write", [groups, well])


@WRITERS
@pytest.mark.parametrize("grid", [False, True])
def test_every_other_array_is_listed(tmp_path, write, grid):
    write(tmp_path / "own.h5", grid=grid)
    found = unused(tmp_path / "own.h5")
    assert {*found} == {"pressure", "walls", "hours", "odd", "label"} | (
        {"scalars/drive"} if write is well else set()
    )
    assert ("times_key" in found["hours"]) != grid
    assert "holds no real numbers" in found["label"] or "cannot be read" in found["label"]
    assert "fits neither" in found["odd"]
    assert "varies in time" in found.get("scalars/drive", "varies in time")
    # numbers with the name of a parameter that differ between trajectories are inputs
    config = Understanding(OwnConfig(path=str(tmp_path / "own.h5"))).config
    assert config.constants == (["nu", "reynolds"] if write is groups else ["reynolds"])
    assert "parameters=[reynolds]" in unused(tmp_path / "own.h5", parameters=[])["reynolds"]


@WRITERS
def test_what_is_said_of_an_array_has_it_used(tmp_path, write):
    path = tmp_path / "own.h5"
    write(path, grid=False)
    ways = [
        (name, way)
        for name, reason in unused(path).items()
        for way in re.findall(r"dataset\.[^,]*(?:,[^, ][^,]*)*", reason)
    ]
    assert {name for name, _ in ways} == {"pressure", "walls", "hours"}
    for name, way in ways:
        words = [word for word in shlex.split(way) if word.startswith("dataset.")]
        raw = understood(pde_configs.composed("pde", *choose_own([f"dataset.path={path}", *words])))
        assert name not in unused(
            path,
            **{key: raw.dataset[key] for key in ("key", "input_key", "times_key")},
            axes=list(raw.dataset.axes),
        )


def test_an_input_is_not_left_out_in_silence(tmp_path):
    groups(tmp_path / "own.h5", grid=True)
    axes = ["trajectory", "time", "x", "y", "channel"]
    said = {"input_key": "walls", "key": "data", "axes": axes}
    assert Understanding(OwnConfig(path=str(tmp_path / "own.h5"), **said)).config.constants[:1] == [
        "walls"
    ]
    alone = Understanding(OwnConfig(path=str(tmp_path / "own.h5"), input_key="walls"))
    assert "walls" in alone.config.constants
