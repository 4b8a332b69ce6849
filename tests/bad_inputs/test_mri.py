"""MRI data, masks, models, metrics and simulations that cannot be what was meant."""

import math
import subprocess
import sys
from functools import partial

import h5py
import numpy as np
import pytest
import torch
from bad_inputs import BadInput, assert_refused, table
from mri_scans import GRID, config, masks_of_an_epoch, write_dataset, write_scan

from data_scripts.mri_phantom import PhantomConfig
from data_scripts.mri_simulate import SimulateConfig
from monarch_core.transforms import Fourier
from mri.config import ModelConfig
from mri.conjugate_gradient import conjugate_gradient
from mri.dataset import load_splits
from mri.losses import find_loss
from mri.masks import make_masks
from mri.metrics import nmse, psnr, ssim, volume_metrics
from mri.model import build_model
from mri.physics import check_measurement
from mri.presets import PRESETS, Choice

NAN, INF = math.nan, math.inf
ones = partial(torch.ones, dtype=torch.complex64)


# Metrics


def volume(**changed):
    """Return a volume of ones (2, 12, 13), with changed places, as `place=value`."""
    values = np.ones((2, 12, 13), np.complex64)
    values[1, 2, 3] = changed.get("spot", 1)
    return values


def measure(prediction, target, preset="meddlr_2d"):
    return volume_metrics(prediction, target, PRESETS[preset])


@table(
    BadInput(
        "NaN in the reconstruction",
        lambda: measure(volume(spot=NAN), volume()),
        ("reconstruction holds 1", "(1, 2, 3)", "NaN", "diverged"),
    ),
    BadInput(
        "infinity in the reconstruction",
        lambda: measure(volume(spot=INF), volume(), "fastmri"),
        ("reconstruction holds 1", "(1, 2, 3)", "diverged"),
    ),
    BadInput(
        "NaN in the target",
        lambda: measure(volume(), volume(spot=NAN)),
        ("target holds 1", "(1, 2, 3)", "leave this scan out"),
    ),
    BadInput(
        "a target without signal",
        lambda: measure(volume(), 0 * volume()),
        ("no signal", "leave this scan or echo out"),
    ),
    BadInput(
        "a reconstruction far beyond the target",
        lambda: measure(1e30 * volume(), volume(), "fastmri"),
        ("beyond what floating-point numbers hold", "diverged"),
    ),
    BadInput(
        "shapes that would broadcast",
        lambda: measure(volume()[:1], volume()),
        ("(1, 12, 13)", "(2, 12, 13)", "equal shapes"),
    ),
    BadInput(
        "echoes together",
        lambda: psnr(volume()[None], volume()[None], Choice()),
        ("(1, 2, 12, 13)", "once per echo"),
    ),
    BadInput(
        "no slice",
        lambda: nmse(volume()[:0], volume()[:0], Choice()),
        ("(0, 12, 13)", "none of them zero"),
    ),
    BadInput(
        "a real target against a complex image",
        lambda: measure(volume(), volume().real),
        ("complex64", "float32", "no phase", "domain='magnitude'"),
    ),
    BadInput(
        "labels as an image",
        lambda: ssim(volume() == 1, volume() == 1, Choice()),
        ("dtype bool", "real or complex"),
    ),
    BadInput(
        "one slice reproduced exactly",
        lambda: psnr(
            volume() * np.array([1, 2])[:, None, None], volume(), Choice(unit="slice", peak="slice")
        ),
        ("slice 0", "infinite", "unit='volume'"),
    ),
    BadInput("a domain that is none", lambda: Choice("real"), ("domain", "'real'", "magnitude")),
    BadInput("a window that is none", lambda: Choice(window="gauss7"), ("window", "'gauss7'")),
    BadInput("a peak of NaN", lambda: Choice(peak=NAN), ("peak", "nan", "positive number")),
    BadInput("a peak of zero", lambda: Choice(peak=0), ("peak", "got 0", "positive number")),
    BadInput(
        "a volume with the peak of a slice",
        lambda: Choice(unit="volume", peak="slice"),
        ("peak='slice'", "use peak='volume' or unit='slice'"),
    ),
)
def test_metrics(case):
    assert_refused(case)


# Data sets


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
        ("scan d", "slice 1", "kspace holds 1", "[0, 2, 5, 6]", "repair it"),
    ),
    BadInput(
        "infinity in the maps of a validation scan",
        spoil("maps", (2, 1, 5, 6), INF, "c"),
        ("scan c", "slice 2", "maps holds 1", "repair it"),
    ),
    BadInput(
        "NaN in a target",
        spoil("target", (0, 1, 5, 6), complex(0, NAN)),
        ("scan d", "slice 0", "target holds 1", "repair it"),
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
        ("scan c", "centered=False", "must be centred"),
    ),
    BadInput(
        "a scale of zero", set_attribute("scale", 0.0), ("scan c", "scale", "got 0.0", "repair it")
    ),
    BadInput(
        "fewer names than echoes",
        set_attribute("echo_names", ["one"]),
        ("c.h5", "2 echoes", "('one',)"),
    ),
    BadInput(
        "maps of other coils",
        replace_array("maps", lambda maps: maps[:, :2]),
        ("scan b", "maps", "(3, 2, 17, 12)", "(3, 3, 17, 12)", "repair it"),
    ),
    BadInput(
        "a target of another grid",
        replace_array("target", lambda target: target[..., 1:]),
        ("scan b", "target", "(3, 2, 17, 11)", "repair it"),
    ),
    BadInput(
        "maps without a phase",
        replace_array("maps", np.abs),
        ("scan b", "maps is float32", "must be complex64"),
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


# Masks


def masks(kind, shape, acceleration, seeds=(0,), **options):
    return lambda folder: make_masks(
        kind, shape, acceleration, seeds, cache_dir=folder / "masks", **options
    )


@table(
    BadInput("a kind that is none", masks("radial", (9, 9), 2.0), ("'radial'", "poisson")),
    BadInput("no sample", masks("random", (9, 0), 2.0), ("(9, 0)", "positive number")),
    BadInput("acceleration below one", masks("random", (9, 9), 0.5), ("at least 1", "0.5")),
    BadInput("acceleration of NaN", masks("poisson", (9, 9), NAN), ("at least 1", "nan")),
    BadInput("acceleration of infinity", masks("random", (9, 9), INF), ("at least 1", "inf")),
    BadInput(
        "an acceleration beyond the lines",
        masks("random", (9, 96), 200.0, center_fraction=0),
        ("acceleration 200", "less than one of 96", "lower one"),
    ),
    BadInput(
        "an acceleration between two numbers of lines",
        masks("equispaced", (9, 96), 64.0, center_fraction=0),
        ("64x", "1 make 96x and 2 make 48x", "use one of these"),
    ),
    BadInput(
        "a centre that is the whole mask",
        masks("random", (9, 96), 8.0, center_fraction=0.2),
        ("19 central lines of 96", "12.0 lines of a 8x", "center_fraction below 0.125"),
    ),
    BadInput(
        "a centre of less than nothing",
        masks("random", (9, 96), 2.0, center_fraction=-0.1),
        ("center_fraction", "-0.1", "from 0 to below 1"),
    ),
    BadInput(
        "a negative seed", masks("random", (9, 96), 2.0, [3, -1]), ("seeds", "-1", "count from 0")
    ),
    BadInput(
        "a Poisson disc on a line",
        masks("poisson", (1, 64), 2.0, calibration=0),
        ("two axes", "(1, 64)", "equispaced or random"),
    ),
    BadInput(
        "a negative calibration",
        masks("poisson", (40, 36), 2.0, calibration=-1),
        ("calibration", "-1", "from 0 to 35"),
    ),
    BadInput(
        "a calibration as wide as the grid",
        masks("poisson", (90, 12), 2.0, calibration=12),
        ("calibration", "12", "from 0 to 11", "(90, 12)"),
    ),
    BadInput(
        "a calibration that is more than the mask",
        masks("poisson", (40, 36), 8.0, calibration=20),
        ("20 x 20 centre", "acceleration 8", "3.6"),
    ),
    BadInput(
        "a Poisson mask denser than its discs",
        masks("poisson", (40, 36), 1.2, calibration=4),
        ("acceleration 1.2", "between 1.7", "change the acceleration"),
    ),
)
def test_masks(case, tmp_path):
    assert_refused(case, tmp_path)


# Models, solvers, losses


def model(name, grid=GRID, **options):
    return lambda: build_model(ModelConfig(name, **options), Fourier, grid)


def measurement(**changed):
    """Return what checks the data of one reconstruction, after parts of them were changed."""
    parts = {
        "kspace": ones(1, 1, 3, *GRID),
        "maps": ones(1, 3, *GRID),
        "mask": torch.ones(1, *GRID),
    }
    return lambda: check_measurement(**{**parts, **changed}, kspace_grid=GRID, image_grid=GRID)


def loss(name, prediction, target):
    return lambda: find_loss(name)(prediction, target)


@table(
    BadInput("no candidate", model("cg_sense", candidates=[]), ("candidates", "at least one")),
    BadInput(
        "a candidate of NaN",
        model("l1_wavelet", candidates=[NAN]),
        ("model.candidates", "nan", "from 0"),
    ),
    BadInput(
        "a negative candidate",
        model("cg_sense", candidates=[-0.1]),
        ("model.candidates", "-0.1", "from 0"),
    ),
    BadInput(
        "no iteration", model("cg_sense", n_iterations=0), ("n_iterations", "got 0", "from 1")
    ),
    BadInput(
        "iterations for days",
        model("l1_wavelet", n_iterations=10**5),
        ("n_iterations", "100000", "10 to 100"),
    ),
    BadInput(
        "negative iterations of a cascade",
        model("unrolled", data_consistency="cg", n_iterations=-3),
        ("n_iterations", "got -3", "from 1"),
    ),
    BadInput("no cascade", model("unrolled", n_cascades=0), ("n_cascades", "got 0", "from 1")),
    BadInput(
        "poolings deeper than the image",
        model("unet", n_pools=5),
        ("17 x 12", "5 poolings", "fewer poolings (n_pools)"),
    ),
    BadInput(
        "poolings beyond all memory",
        model("unet", n_pools=30),
        ("17 x 12", "30 poolings", "fewer poolings (n_pools)"),
    ),
    BadInput(
        "no channel", model("unet", n_channels=0, n_pools=2), ("n_channels", "got 0", "from 1")
    ),
    BadInput(
        "a weight of NaN",
        lambda: conjugate_gradient(lambda x: x, ones(3, 4), NAN, 2),
        ("lamda", "nan", "1e-3 to 1e-1"),
    ),
    BadInput(
        "k-space without its imaginary part",
        measurement(kspace=torch.ones(1, 1, 3, *GRID)),
        ("complex", "torch.float32", "another measurement"),
    ),
    BadInput(
        "maps of fewer coils",
        measurement(maps=ones(1, 2, *GRID)),
        ("3 coils", "maps have 2", "same coils"),
    ),
    BadInput(
        "a mask of another grid", measurement(mask=torch.ones(1, 12, 17)), ("12 x 17", "17 x 12")
    ),
    BadInput(
        "a loss that would broadcast",
        loss("l2", ones(2, 1, 3), ones(2, 3)),
        ("(2, 1, 3)", "(2, 3)", "one shape"),
    ),
    BadInput("a loss of nothing", loss("l1", ones(0, 3), ones(0, 3)), ("(0, 3)", "not empty")),
    BadInput(
        "a loss of real images",
        loss("l2", torch.ones(2, 3), torch.ones(2, 3)),
        ("torch.float32", "complex", ".to(torch.complex64)"),
    ),
    BadInput(
        "a loss against a real target",
        loss("l1_magnitude", ones(2, 3), torch.ones(2, 3)),
        ("torch.complex64", "torch.float32", ".to(torch.complex64)"),
    ),
)
def test_models_and_losses(case):
    assert_refused(case)


# Simulations


def phantom(**options):
    return lambda: PhantomConfig(**options)


def simulate(**options):
    return lambda: SimulateConfig(**options)


@table(
    BadInput("noise of NaN", phantom(noise=NAN), ("noise", "nan", "0 to 10")),
    BadInput("negative noise", simulate(noise=-0.1), ("noise", "-0.1", "0 to 10")),
    BadInput("noise of infinity", simulate(noise=INF), ("noise", "inf", "0 to 10")),
    BadInput("no coil", simulate(n_coils=0), ("n_coils", "got 0", "1 to 1024")),
    BadInput("no pixel", simulate(height=0), ("height", "got 0", "8 to 8192")),
    BadInput("negative size", phantom(width=-8), ("width", "-8", "8 to 8192")),
    BadInput("a grid beyond memory", phantom(height=10**7), ("height", "10000000", "8192")),
    BadInput("no scan", phantom(n_test=0), ("n_test", "got 0", "from 1")),
    BadInput("no slice", phantom(n_slices=0), ("n_slices", "got 0", "from 1")),
    BadInput("no echo", phantom(echo_times_ms=[]), ("echo_times_ms", "one time in ms")),
    BadInput("an echo time of NaN", phantom(echo_times_ms=[12.0, NAN]), ("echo_times_ms", "nan")),
    BadInput("an echo time in the past", phantom(echo_times_ms=[-1.0]), ("echo_times_ms", "-1.0")),
    BadInput("an echo after the signal", phantom(echo_times_ms=[1e5]), ("echo_times_ms", "10000")),
    BadInput("an anatomy that is none", phantom(anatomy="hand"), ("'hand'", "knee")),
    BadInput("lines displaced by NaN", phantom(trajectory=NAN), ("trajectory", "nan", "samples")),
    BadInput("a ghost in degrees", phantom(epi_ghost=45.0), ("epi_ghost", "45", "radians")),
    BadInput("a field of infinity", simulate(b0_hz=INF), ("b0_hz", "inf", "Hz")),
    BadInput("coils moved away", simulate(move_coils=3.0), ("move_coils", "3.0", "0 to 0.5")),
    BadInput("coils moved by NaN", simulate(move_coils=NAN), ("move_coils", "nan", "0 to 0.5")),
    BadInput("a negative seed", simulate(seed=-1), ("seed", "-1", "from 0")),
    BadInput("a prefix of everything", simulate(test=[""]), ("test", "empty name", "leave it out")),
)
def test_simulations(case):
    assert_refused(case)


# What a failure must not cost


def test_bad_validation_data_stop_a_run_before_it_trains(tmp_path):
    root = write_dataset(tmp_path / "scans", n_slices=1, n_coils=2)
    with h5py.File(root / "c.h5", "r+") as file:
        file["kspace"][0, 1, 1, 3, 4] = NAN
    run_dir = tmp_path / "run"
    options = {"dataset.root": root, "dataset.script": "", "dataset.mask": "random"}
    options |= {"dataset.center_fraction": 0.2, "fit.accelerator": "cpu", "hydra.run.dir": run_dir}
    done = subprocess.run(
        [sys.executable, "mri/train.py", *(f"{key}={value}" for key, value in options.items())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert "scan c, slice 0: kspace holds 1 values" in error
    assert not list(run_dir.glob("*.pt"))
    assert not (run_dir / "log.jsonl").exists()
