"""What happens around the mathematics of every generator: interruptions, leftovers, sizes."""

import io
import os
import shutil

import numpy as np
import pytest
from rich.console import Console

from data_scripts.command_line import run_recipe
from data_scripts.pde.burgers import BurgersRecipe
from data_scripts.pde.darcy import DarcyRecipe
from data_scripts.pde.navier_stokes import NavierStokesRecipe
from data_scripts.pde.readers import read_trajectories
from data_scripts.recipe import produce
from pde.config.dataset import DarcyConfig
from pde.dataset.splits import load_splits

SIZES = {"n_train": 2, "n_valid": 1, "n_test": 2, "n_workers": 1, "batch_size": 2}


def tiny(folder):
    return DarcyConfig(grid=4, stored_grid=8, data_dir=str(folder), **SIZES)


def generate(config):
    return produce(config, Console(file=io.StringIO()))


def made(folder):
    """Return what lies in the data folder, locks aside."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def interrupt_at(monkeypatch, number):
    """Let one of the calls that rename or remove something be the last one of the process."""
    calls = []

    def counting(function):
        def call(*arguments, **options):
            calls.append(function)
            if len(calls) == number:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return call

    for name in ("replace", "rename", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return calls


def test_an_interruption_at_any_step_leaves_nothing_for_good(tmp_path, monkeypatch):
    whole, _ = read_trajectories(generate(tiny(tmp_path / "whole")))
    number, finished = 0, False
    while not finished:
        number += 1
        config = tiny(tmp_path / str(number))
        with monkeypatch.context() as patch:
            calls = interrupt_at(patch, number)
            try:
                generate(config)
                finished = len(calls) < number
            except KeyboardInterrupt:
                pass
        generate(config)
        assert made(tmp_path / str(number)) == [config.folder.name]
        np.testing.assert_array_equal(read_trajectories(config.folder)[0], whole)
    assert number > 8  # three batches renamed, the data set renamed, five things removed


def test_loading_removes_what_a_killed_clean_up_left(tmp_path):
    config = tiny(tmp_path)
    folder = generate(config)
    shutil.copytree(folder, config.unfinished_folder / "dataset")
    assert len(load_splits(config).train) == 2
    assert made(tmp_path) == [folder.name]


@pytest.mark.parametrize("schema", [BurgersRecipe, DarcyRecipe, NavierStokesRecipe])
def test_the_command_line_refuses_more_than_the_disk_holds(tmp_path, capfd, schema):
    arguments = [f"data_dir={tmp_path / 'data'}", "n_train=10000000000"]
    assert run_recipe(schema, arguments) == 1
    said = capfd.readouterr().err
    assert "n_train=10000000000" in said
    assert "GB on disk" in said
    assert "GB in memory" in said
    assert "\n" not in said.strip()
    assert list(tmp_path.iterdir()) == []


def test_room_is_asked_for_the_missing_batches_only(tmp_path, monkeypatch):
    config = tiny(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(DarcyRecipe, "assemble", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generate(config)
    n_bytes = 4 * 5 * 2 * 9 * 9
    usage = shutil.disk_usage(tmp_path)._replace(free=n_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    generate(config)
    (tmp_path / "other").mkdir()
    with pytest.raises(OSError, match=r"other.* has 3.24e-06 GB left"):
        generate(tiny(tmp_path / "other"))
