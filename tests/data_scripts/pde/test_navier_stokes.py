import contextlib
import functools
import io
import os
import signal
import subprocess
import sys
import threading
import time

import filelock
import h5py
import numpy as np
import pytest
import yaml
from rich.console import Console

from data_scripts import resumable
from data_scripts.command_line import run_recipe
from data_scripts.pde import navier_stokes
from data_scripts.pde.navier_stokes import NavierStokesRecipe
from data_scripts.pde.readers import read_trajectories
from data_scripts.recipe import produce
from data_scripts.resumable import Batch, finished_batches, missing_batches


def tiny(folder, **changes):
    options = {
        "viscosity": 2e-3,
        "grid": 5,
        "solver_grid": 10,
        "final_time": 1.5,
        "record_interval": 0.5,
        "n_train": 5,
        "n_valid": 2,
        "n_test": 3,
        "n_workers": 1,
        "batch_size": 2,
        "device": "cpu",
        "data_dir": str(folder),
    }
    return NavierStokesRecipe(**{**options, **changes})


def generate(config):
    said = io.StringIO()
    folder = produce(config, Console(file=said, width=200))
    return folder, said.getvalue()


def fields(folder):
    return {
        split: read_trajectories(folder / "data" / split)[0] for split in ("train", "valid", "test")
    }


@contextlib.contextmanager
def largest_file(n_bytes):
    """Let every write beyond a size fail, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def computed(monkeypatch):
    """Record the batches that are computed."""
    batches = []
    simulate = NavierStokesRecipe.simulate

    @functools.wraps(simulate)
    def recording(config, batch):
        batches.append(batch)
        return simulate(config, batch)

    monkeypatch.setattr(NavierStokesRecipe, "simulate", recording)
    return batches


def test_the_data_set_is_complete_and_says_how_it_was_made(tmp_path):
    config = tiny(tmp_path)
    folder, said = generate(config)
    assert folder == config.folder
    assert "10/10" in said
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == [folder.name]
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    assert metadata["recipe"] == config.identity()
    assert {"equation", "boundary", "grid", "units", "seed", "forcing"} <= set(metadata)
    with h5py.File(folder / "data/valid/navier_stokes_valid.hdf5") as file:
        assert file.attrs["n_trajectories"] == 2
        assert file.attrs["viscosity"] == 2e-3
        for key, value in config.identity().items():
            assert file.attrs[key] == value
        assert file.attrs["dealiasing"].endswith("|k| <= 3")
        assert 0.1 < file.attrs["initial_field_std"] < 0.5
        assert 0 < file.attrs["dt_min"] <= file.attrs["dt_max"] <= 0.5
        np.testing.assert_allclose(file["dimensions/time"], [0.5, 1.0, 1.5])
        np.testing.assert_allclose(file["dimensions/x"], np.arange(5) / 5, rtol=1e-6)
        assert file["t0_fields/vorticity"].shape == (2, 3, 5, 5)
        assert file["t0_fields/vorticity"].fletcher32


def test_each_split_holds_its_own_trajectories(tmp_path):
    config = tiny(tmp_path)
    found = fields(generate(config)[0])
    for split, size in config.split_sizes.items():
        direct = config.simulate(Batch(split, 0, size))["frames"]
        np.testing.assert_allclose(found[split], direct, rtol=1e-5, atol=1e-6)
    first_frames = np.concatenate([part[:, 0].reshape(len(part), -1) for part in found.values()])
    assert len(np.unique(first_frames.round(6), axis=0)) == 10


@pytest.mark.parametrize("fine", [10, 40])
def test_a_finer_test_split_holds_the_same_fields(tmp_path, fine):
    coarse = fields(generate(tiny(tmp_path))[0])
    finer = fields(generate(tiny(tmp_path, test_grid=fine))[0])
    assert finer["test"].shape == (3, 3, fine, fine)
    assert finer["train"].shape == coarse["train"].shape
    stride = fine // 5
    np.testing.assert_allclose(
        finer["test"][..., ::stride, ::stride], coarse["test"], rtol=1e-4, atol=1e-6
    )


def test_statistics_are_those_of_the_training_split(tmp_path):
    folder, _ = generate(tiny(tmp_path))
    stats = yaml.safe_load((folder / "stats.yaml").read_text())
    train = fields(folder)["train"].astype(float)
    change = np.diff(train, axis=1)
    expected = {
        "mean": train.mean(),
        "std": train.std(),
        "rms": np.sqrt((train**2).mean()),
        "mean_delta": change.mean(),
        "std_delta": change.std(),
        "rms_delta": np.sqrt((change**2).mean()),
    }
    assert {key: value["vorticity"] for key, value in stats.items()} == pytest.approx(
        expected, rel=1e-6, abs=1e-8
    )


def test_the_well_s_own_reader_opens_it(tmp_path):
    the_well = pytest.importorskip("the_well.data")
    folder, _ = generate(tiny(tmp_path))
    dataset = the_well.WellDataset(
        path=str(folder), well_split_name="train", n_steps_input=2, n_steps_output=1
    )
    assert len(dataset) == 5
    np.testing.assert_allclose(
        dataset[3]["input_fields"][..., 0], fields(folder)["train"][3, :2], rtol=1e-6
    )


def test_neither_batch_size_nor_workers_nor_more_training_data_change_the_numbers(tmp_path):
    reference = fields(generate(tiny(tmp_path))[0])
    other = fields(generate(tiny(tmp_path / "other", batch_size=3, n_workers=2, n_train=6))[0])
    assert len(other["train"]) == 6
    for split, size in (("train", 5), ("valid", 2), ("test", 3)):
        np.testing.assert_allclose(
            other[split][:size], reference[split], rtol=1e-5, atol=1e-6, err_msg=split
        )
    another_seed = fields(generate(tiny(tmp_path, seed=1))[0])
    assert np.abs(another_seed["test"] - reference["test"]).max() > 0.1


def test_an_interrupted_run_continues_without_computing_anything_twice(
    tmp_path, monkeypatch, computed
):
    reference = fields(generate(tiny(tmp_path / "uninterrupted"))[0])
    computed.clear()
    simulate = NavierStokesRecipe.simulate

    def interrupted(recipe, batch):
        if len(computed) == 2:
            raise KeyboardInterrupt
        return simulate(recipe, batch)

    config = tiny(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(NavierStokesRecipe, "simulate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(config)
    assert not config.folder.exists()
    _, said = generate(config)
    assert "4 of 10 trajectories are there already" in said
    assert len(computed) == len(set(computed)) == 6
    for split, frames in fields(config.folder).items():
        np.testing.assert_array_equal(frames, reference[split])
    computed.clear()
    _, said = generate(config)
    assert "is there already" in said
    assert computed == []


def test_a_killed_run_continues_after_its_last_finished_batch(tmp_path, computed):
    changes = {"grid": 8, "solver_grid": 32, "final_time": 4.0, "n_train": 40, "n_workers": 2}
    config = tiny(tmp_path, **changes)
    options = [f"{key}={getattr(config, key)}" for key in config.options()]
    options = [option for option in options if not option.endswith("=None")]
    command = [sys.executable, "-m", "data_scripts.pde.navier_stokes", *options]
    parts = config.folder.with_name(f"{config.folder.name}.partial") / "parts"
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 60
    while not (parts.is_dir() and finished_batches(parts)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # workers end with their parent and write nothing
    done = finished_batches(parts)
    assert done
    generate(tiny(tmp_path, **{**changes, "n_workers": 1}))
    assert not set(done) & set(computed)
    assert sum(batch.stop - batch.start for batch in [*done, *computed]) == 45


def test_missing_batches_fill_every_gap(tmp_path):
    for batch in (Batch("train", 2, 5), Batch("train", 9, 10), Batch("test", 0, 2)):
        (tmp_path / batch.file_name).touch()
    (tmp_path / "train_000005_000007.npz.unfinished").touch()
    missing = missing_batches(tmp_path, {"train": 11, "valid": 1, "test": 2}, 3)
    assert missing == [
        Batch("train", 0, 2),
        Batch("train", 5, 8),
        Batch("train", 8, 9),
        Batch("train", 10, 11),
        Batch("valid", 0, 1),
    ]


@pytest.mark.parametrize(("limit", "n_finished"), [(500, 0), (3000, 6)], ids=["batch", "data set"])
def test_a_full_disk_is_one_clear_error_and_loses_nothing_finished(
    tmp_path, computed, limit, n_finished
):
    config = tiny(tmp_path)
    with largest_file(limit), pytest.raises(OSError, match=r"Free some space .* batches are kept"):
        generate(config)
    parts = config.folder.with_name(f"{config.folder.name}.partial") / "parts"
    assert len(finished_batches(parts)) == n_finished
    assert not list(parts.glob("*.unfinished"))
    computed.clear()
    generate(config)
    assert len(computed) == 6 - n_finished
    assert (config.folder / "metadata.yaml").is_file()


def test_too_small_a_disk_is_noticed_before_any_work(tmp_path, monkeypatch, computed):
    usage = resumable.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(resumable.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"needs 6e-06 GB on disk, but that of .* has 1e-06 GB left"):
        generate(tiny(tmp_path))
    assert computed == []


def test_a_damaged_batch_is_named(tmp_path, monkeypatch):
    config = tiny(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(NavierStokesRecipe, "assemble", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generate(config)
    parts = config.folder.with_name(f"{config.folder.name}.partial") / "parts"
    victim = parts / Batch("train", 2, 4).file_name
    content = bytearray(victim.read_bytes())
    content[200:220] = bytes(20)
    victim.write_bytes(content)
    with pytest.raises(ValueError, match=f"{victim.name} is damaged .* delete it and run"):
        generate(config)
    victim.unlink()
    generate(config)


def test_a_second_process_waits_for_the_first(tmp_path):
    config = tiny(tmp_path)
    said = io.StringIO()
    lock = filelock.FileLock(config.folder.with_name(f".{config.folder.name}.lock"))
    with lock:
        second = threading.Thread(target=produce, args=(config, Console(file=said, width=300)))
        second.start()
        deadline = time.monotonic() + 30
        while "waiting for it" not in said.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not config.folder.exists()
    second.join()
    assert (config.folder / "metadata.yaml").is_file()


def test_an_unstable_trajectory_is_named(tmp_path):
    config = tiny(tmp_path, viscosity=1e-12, amplitude="2020", record_interval=0.5)
    batch = Batch("valid", 4, 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(navier_stokes, "FORCING_AMPLITUDE", float("nan"))
        with pytest.raises(FloatingPointError, match="valid 4 to 6: trajectory 0"):
            config.simulate(batch)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--viscosity", "1e-3"], 2, "did you mean viscosity=1e-3?"),
        (["viscositi=1e-3"], 2, "unknown option 'viscositi'; did you mean 'viscosity'"),
        (["qqq=1"], 2, "unknown option 'qqq'; Known options: name, n_train"),
        (["viscosity=abc"], 2, "cannot use 'viscosity=abc': Value 'abc' of type 'str'"),
        (["n_train=1.5"], 2, "cannot use 'n_train=1.5'"),
        (["n_train"], 2, "options have the form key=value, got 'n_train'"),
        (["grid=48", "solver_grid=64"], 2, "got solver_grid=64 and grid=48; use solver_grid=96"),
        (["path=somewhere.mat"], 2, "unknown option 'path'"),
    ],
)
def test_the_command_line_explains_a_mistake_in_one_paragraph(
    tmp_path, capfd, arguments, status, message
):
    assert run_recipe(NavierStokesRecipe, [f"data_dir={tmp_path}", *arguments]) == status
    error = capfd.readouterr().err.strip()
    assert message in error
    assert "Traceback" not in error
    assert "\n" not in error
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_makes_the_data(tmp_path, capfd):
    config = tiny(tmp_path, n_train=1, n_valid=1, n_test=1)
    options = "viscosity=2e-3 grid=5 solver_grid=10 final_time=1.5 record_interval=0.5 n_train=1 "
    options += f"n_valid=1 n_test=1 n_workers=1 device=cpu data_dir={tmp_path}"
    assert run_recipe(NavierStokesRecipe, options.split()) == 0
    assert str(config.folder) in capfd.readouterr().err
    assert (config.folder / "metadata.yaml").is_file()


def test_a_data_folder_that_cannot_be_made_is_explained(tmp_path, capfd):
    (tmp_path / "file").touch()
    assert run_recipe(NavierStokesRecipe, [f"data_dir={tmp_path / 'file' / 'data'}"]) == 1
    assert "choose another data_dir" in capfd.readouterr().err
