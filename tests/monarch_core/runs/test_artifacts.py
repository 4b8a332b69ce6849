"""Artifacts come back as they went in, and nothing half-written or malformed gets through."""

import dataclasses
import zipfile

import jaxtyping
import numpy as np
import pytest
import torch
from report_runs import basis

from monarch_core.runs.artifacts import (
    Comparison,
    Curve,
    Picture,
    Table,
    load_artifacts,
    save_artifacts,
)

generator = np.random.default_rng(0)
FIELD = generator.normal(size=(5, 7))


@pytest.fixture
def as_users_run_it(monkeypatch):
    """Switch the shape checks of the tests off, so that our own errors are what is seen."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def curve(**changes):
    values = {
        "figure": "error_over_time",
        "title": "Error over time",
        "x_label": "t (s)",
        "y_label": "relative L2",
        "x": np.arange(3.0),
        "y": np.array([0.1, np.nan, 0.3]),
    }
    return Curve(**{**values, **changes})


def comparison(**changes):
    values = {
        "figure": "vorticity",
        "title": "Vorticity at t = 10 s",
        "unit": "1/s",
        "truth": FIELD,
        "prediction": FIELD + 0.1,
    }
    return Comparison(**{**values, **changes})


EVERYTHING = [
    curve(),
    curve(line="validation", x_scale="log", y_scale="log", shared=True),
    comparison(),
    comparison(
        truth=FIELD.astype(np.float32),
        extras={"zero-filled / 4×": FIELD - 1, "input": FIELD.astype(np.float16)},
        style="gray",
        zoom=(1, 5, 0, 7),
    ),
    Picture("matrix", "Learned matrix", FIELD, "input", "frequency", "1"),
    basis(0.1),
    Table("distance", "Distance from the DFT", ["layer", "distance"], [["1", 0.5], ["é | 2", 3]]),
]


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


def test_a_round_trip_changes_nothing(tmp_path):
    save_artifacts(tmp_path, EVERYTHING)
    loaded = load_artifacts(tmp_path)
    assert [type(item) for item in loaded] == [type(item) for item in EVERYTHING]
    for before, after in zip(EVERYTHING, loaded, strict=True):
        for field in dataclasses.fields(before):
            assert same(getattr(before, field.name), getattr(after, field.name)), field.name


def test_no_artifacts_are_artifacts_too(tmp_path):
    save_artifacts(tmp_path, [])
    assert load_artifacts(tmp_path) == []


def test_the_file_holds_no_pickle_and_nothing_else_is_left(tmp_path):
    path = save_artifacts(tmp_path, EVERYTHING)
    assert [item.name for item in tmp_path.iterdir()] == ["artifacts.npz"]
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert b"'descr': '|O'" not in archive.read(name)


def test_saving_again_replaces(tmp_path):
    save_artifacts(tmp_path, EVERYTHING)
    save_artifacts(tmp_path, EVERYTHING[:1])
    assert len(load_artifacts(tmp_path)) == 1


@pytest.mark.usefixtures("as_users_run_it")
def test_lists_integers_and_tensors_become_arrays():
    assert curve(x=[1, 2, 3], y=torch.tensor([1, 2, 3])).y.dtype == np.float64


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="evaluate the run again"):
        load_artifacts(tmp_path)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.6, 0.99])
def test_a_truncated_file_is_named(tmp_path, part):
    path = save_artifacts(tmp_path, EVERYTHING)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"artifacts\.npz cannot be read.*evaluate the run"):
        load_artifacts(tmp_path)


def test_a_file_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "artifacts.npz", metadata=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        load_artifacts(tmp_path)


def test_another_format_is_refused(tmp_path):
    text = np.frombuffer(b'{"format": 99, "artifacts": []}', dtype=np.uint8)
    np.savez(tmp_path / "artifacts.npz", metadata=text)
    with pytest.raises(ValueError, match="format 99, this version reads 1"):
        load_artifacts(tmp_path)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: curve(figure=" "), r"Curve.figure is empty; name what is shown"),
        (lambda: curve(x=np.arange(4.0)), r"x has 4 points and y has 3"),
        (lambda: curve(x=np.empty(0), y=np.empty(0)), r"x has 0 points"),
        (lambda: curve(y=FIELD), r"y has shape \(5, 7\); give an array with 1 axes"),
        (lambda: curve(y_scale="ln"), r"y_scale is 'ln'; use one of linear, log"),
        (lambda: comparison(truth=FIELD[0]), r"truth has shape \(7,\)"),
        (
            lambda: comparison(truth=FIELD.T),
            r"prediction has shape \(5, 7\) and the truth \(7, 5\)",
        ),
        (lambda: comparison(extras={"input": FIELD[:2]}), r"input has shape \(2, 7\)"),
        (lambda: comparison(prediction=FIELD + 1j), r"dtype complex128; give real numbers"),
        (lambda: comparison(style="jet"), r"style is 'jet'; use one of diverging, gray"),
        (lambda: comparison(zoom=(0, 6, 0, 3)), r"zoom \(0, 6, 0, 3\) is not a window"),
        (lambda: comparison(zoom=(3, 3, 0, 3)), r"is not a window"),
        (lambda: Picture("a", "b", FIELD[0]), r"image has shape \(7,\)"),
        (
            lambda: dataclasses.replace(basis(0.1), frequencies=np.arange(3.0)),
            r"frequencies has shape \(3,\); give one of shape \(12,\)",
        ),
        (lambda: Table("a", "b", ["x", "y"], [[1.0]]), r"a row has 1 cells and there are 2"),
    ],
)
def test_malformed_artifacts_say_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
