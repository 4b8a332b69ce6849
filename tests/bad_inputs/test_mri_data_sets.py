"""Scans that make no MRI data set together, or not the one that was meant."""

import math

import h5py
import numpy as np
import pytest
from bad_inputs import BadInput, assert_refused, table
from mri_scans import GRID, config, masks_of_an_epoch, write_dataset, write_scan
from programs import ROOT, run_program

from mri.dataset.splits import load_splits

NAN, INF = math.nan, math.inf


def spoil(name, where, value, scan="d"):
    """Return what reads a data set before training, after one value of a scan was changed."""

    def act(root):
        with h5py.File(root / f"{scan}.h5", "r+") as file:
            file[name][where] = value
        load_splits(config(root)).check_held_out()

    return act


def set_attribute(name, value, scan="c", **options):
    def act(root):
        with h5py.File(root / f"{scan}.h5", "r+") as file:
            file.attrs[name] = value
        load_splits(config(root, **options))

    return act


def replace_array(name, change, scan="b"):
    def act(root):
        with h5py.File(root / f"{scan}.h5", "r+") as file:
            values = change(file[name][()])
            del file[name]
            file[name] = values
        load_splits(config(root))

    return act


def add(n_scans=1, options=None, **scan):
    """Return what loads a data set to which a scan was added."""

    def act(root):
        write_scan(root / "e.h5", **{"seed": 9, **scan})
        load_splits(config(root, **(options or {})))

    return act


def store_mask(values, name="poisson_2.0x", **options):
    def act(root):
        for path in root.glob("*.h5"):
            with h5py.File(path, "r+") as file:
                file[f"masks/{name}"] = values
        masks_of_an_epoch(load_splits(config(root, **options)).train, 0)

    return act


def remove_split(root):
    (root / "c.h5").unlink()
    load_splits(config(root))


def remove_split_by_grid(root):
    (root / "c.h5").unlink()
    write_scan(root / "c.h5", split="valid", grid=(16, 12), seed=2)
    load_splits(config(root, skip_other_grids=True))


beside = np.zeros(GRID)
beside[3, 0] = 1


@table(
    BadInput(
        "NaN in k-space of a test scan",
        spoil("kspace", (1, 0, 2, 5, 6), NAN),
        ("scan d", "slice 1", "kspace holds", "in 1 of", "echo 0, coil 2, ky 5, kz 6", "repair it"),
    ),
    BadInput(
        "infinity in the maps of a validation scan",
        spoil("maps", (2, 1, 5, 6), INF, "c"),
        ("scan c", "slice 2", "maps holds", "coil 1, y 5, z 6", "repair it"),
    ),
    BadInput(
        "NaN in a target",
        spoil("target", (0, 1, 5, 6), complex(0, NAN)),
        ("scan d", "slice 0", "target holds", "echo 1, y 5, z 6", "repair it"),
    ),
    BadInput(
        "an echo of a test scan without signal",
        spoil("target", (slice(None), 0), 0),
        ("scan d, echo1", "no signal", "leave this scan or echo out"),
    ),
    BadInput("another grid", add(grid=(16, 12)), ("e (16, 12)", "skip_other_grids=true")),
    BadInput(
        "another number of echoes",
        add(echo_names=("T1",)),
        ("a and e", "('echo1', 'echo2') and ('T1',)", "echoes=separate"),
    ),
    BadInput(
        "one scan in two splits",
        add(split="test", seed=0),
        ("a (train) and e (test)", "same images", "allow_duplicates=true"),
    ),
    BadInput(
        "one scan twice in a split",
        add(split="test", seed=3),
        ("d (test) and e (test)", "same images", "allow_duplicates=true"),
    ),
    BadInput(
        "two files of one name",
        set_attribute("scan_id", "a", allow_duplicates=True),
        ("a.h5", "c.h5", "scan 'a'", "delete one"),
    ),
    BadInput(
        "other units",
        set_attribute("units", "tesla"),
        ("one unit", "c has 'tesla'", "prepare them in one unit"),
    ),
    BadInput(
        "other kinds of target",
        set_attribute("target_kind", "rss"),
        ("a has 'sense' and c has 'rss'", "dataset.target=sense"),
    ),
    BadInput(
        "k-space that is not centred",
        set_attribute("centered", False),
        ("c.h5", "centered=False", "must be centred", "prepare the data again"),
    ),
    BadInput(
        "a scale of zero", set_attribute("scale", 0.0), ("c.h5", "scale", "got 0.0", "prepare")
    ),
    BadInput(
        "fewer names than echoes",
        set_attribute("echo_names", ["one"]),
        ("c.h5", "2 echoes", "('one',)"),
    ),
    BadInput(
        "maps of other coils",
        replace_array("maps", lambda maps: maps[:, :2]),
        ("b.h5", "maps", "(3, 2, 17, 12)", "(3, 3, 17, 12)", "prepare the data again"),
    ),
    BadInput(
        "a target of another grid",
        replace_array("target", lambda target: target[..., 1:]),
        ("b.h5", "target", "(3, 2, 17, 11)", "prepare the data again"),
    ),
    BadInput(
        "maps without a phase",
        replace_array("maps", np.abs),
        ("b.h5", "maps is float32", "must be complex64"),
    ),
    BadInput("no validation scan", remove_split, ("'valid'", "prepare at least one")),
    BadInput(
        "no validation scan on the grid of the others",
        remove_split_by_grid,
        ("'valid'", "['c']", "another grid"),
    ),
    BadInput(
        "more training scans than there are",
        lambda root: load_splits(config(root, n_train_scans=7)),
        ("n_train_scans is 7", "there are 2", "lower it"),
    ),
    BadInput(
        "an echo that no scan has",
        lambda root: load_splits(config(root, echoes="FLAIR")),
        ("'FLAIR'", "together", "echo2"),
    ),
    BadInput(
        "a stored mask of another shape",
        store_mask(np.ones((17, 1)), mask="stored"),
        ("masks/poisson_2.0x", "(17, 1)", "(17, 12)", "grid of the scan"),
    ),
    BadInput(
        "a stored mask of weights",
        store_mask(np.full(GRID, 0.5), mask="stored"),
        ("masks/poisson_2.0x", "0.5", "1 where it samples"),
    ),
    BadInput(
        "a stored mask that is empty",
        store_mask(np.zeros(GRID), mask="stored"),
        ("masks/poisson_2.0x", "samples nothing", "store the right one"),
    ),
    BadInput(
        "nothing acquired",
        store_mask(np.zeros(GRID), "acquired"),
        ("masks/acquired", "samples nothing"),
    ),
    BadInput(
        "a mask beside what was acquired",
        store_mask(beside, "acquired", acceleration=3.0, center_fraction=0.25),
        ("scan d", "samples nothing of what was measured", "lower dataset.acceleration"),
    ),
    BadInput(
        "acceleration of infinity",
        lambda root: config(root, acceleration=INF),
        ("dataset.acceleration", "at least 1", "inf"),
    ),
    BadInput(
        "center_fraction of NaN",
        lambda root: config(root, center_fraction=NAN),
        ("dataset.center_fraction", "nan", "[0, 1)"),
    ),
)
def test_data_sets(case, root):
    assert_refused(case, root)


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "scans")


def test_bad_validation_data_stop_a_run_before_it_trains(tmp_path):
    root = write_dataset(tmp_path / "scans", n_slices=1, n_coils=2)
    with h5py.File(root / "c.h5", "r+") as file:
        file["kspace"][0, 1, 1, 3, 4] = NAN
    run_dir = tmp_path / "run"
    options = {"dataset.root": root, "dataset.recipe": "null", "dataset.mask": "random"}
    options |= {"dataset.center_fraction": 0.2, "fit.accelerator": "cpu", "hydra.run.dir": run_dir}
    words = [f"{key}={value}" for key, value in options.items()]
    done = run_program(ROOT / "mri/train.py", *words, imports=("mri.train",))
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert "scan c, slice 0: kspace holds NaN or infinity in 1 of" in error
    assert not list(run_dir.glob("*.pt"))
    assert not (run_dir / "log.jsonl").exists()
