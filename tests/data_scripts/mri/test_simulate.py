import re
import shlex
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
from mri_scans import smooth_maps

from data_scripts.command_line import run_recipe
from data_scripts.mri import simulate as mri_simulate
from data_scripts.mri.download import BESIDE, Source
from data_scripts.mri.schema import ScanShape, read_info
from data_scripts.mri.schema_check import check_scan
from data_scripts.mri.simulate import (
    SimulateRecipe,
    measured_maps,
)
from data_scripts.mri.volumes import find_volumes, to_grid
from data_scripts.recipe import produce

needs_sources = pytest.mark.skipif(
    not BESIDE.is_dir(), reason="the public source files are not beside the repository"
)


def head(n_y=30, n_z=26, n_slices=3, seed=0):
    """Return a volume (z, y, slices): a bright ellipsoid with a darker core, off the border."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (n_z, n_y, n_slices)), indexing="ij")
    radius = np.sqrt((z / 0.6) ** 2 + (y / 0.7) ** 2 + 0.3 * x**2)
    rng = np.random.default_rng(seed)
    return ((radius < 1) * (200 - 80 * (radius < 0.5)) * rng.uniform(0.9, 1.1)).astype(np.float32)


@pytest.fixture
def volumes(tmp_path):
    folder = tmp_path / "volumes"
    folder.mkdir()
    for seed, name in enumerate(("p1_FLAIR", "p1_T2W", "p2_FLAIR")):
        affine = np.diag([1.0, 1.0, 4.0, 1.0])
        nibabel.save(nibabel.Nifti1Image(head(seed=seed), affine), folder / f"{name}.nii.gz")
    np.save(folder / "p3_FLAIR.npy", head(seed=7))
    np.savez(folder / "p4_FLAIR.npz", head(seed=8))
    (folder / "notes.txt").write_text("not a volume")
    return folder


def config(volumes, tmp_path, **options):
    values = {"source": "volumes", "source_dir": str(volumes), "out": str(tmp_path / "out")}
    values |= {"train": [], "valid": ["p2"], "test": ["p3"], "maps": "loops", "n_coils": 3}
    return SimulateRecipe(**{**values, "height": 20, "width": 18, **options})


def test_own_volumes_become_sound_scans_split_by_name(volumes, tmp_path):
    produce(config(volumes, tmp_path))
    splits = {}
    for path in (tmp_path / "out").glob("*.h5"):
        assert check_scan(path) == []
        info, shape = read_info(path)
        splits[info.scan_id] = info.split
        assert (shape.n_slices, shape.n_echoes, shape.n_coils, shape.grid) == (3, 1, 3, (20, 18))
        assert info.echo_names == (path.stem.split("_")[1],)
        assert "simulated" in info.source
    assert splits == {
        "p1_FLAIR": "train",
        "p1_T2W": "train",
        "p2_FLAIR": "valid",
        "p3_FLAIR": "test",
        "p4_FLAIR": "train",
    }


def test_the_target_is_the_volume(volumes, tmp_path):
    produce(config(volumes, tmp_path, noise=0.0, height=30, width=26))
    with h5py.File(tmp_path / "out" / "p3_FLAIR.h5") as file:
        target = np.abs(file["target"][1, 0])
    expected = head(seed=7)[:, :, 1].T
    np.testing.assert_allclose(target / target.max(), expected / expected.max(), atol=1e-3)


def test_the_place_of_the_volumes_does_not_change_the_scans(volumes, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "volumes"
    elsewhere.parent.mkdir()
    produce(config(volumes, tmp_path / "one"))
    volumes.rename(elsewhere)
    produce(config(elsewhere, tmp_path / "two"))
    for path in sorted((tmp_path / "one" / "out").glob("*.h5")):
        assert path.read_bytes() == (tmp_path / "two" / "out" / path.name).read_bytes()


def test_contrasts_can_be_chosen(volumes, tmp_path):
    produce(config(volumes, tmp_path, contrasts=["FLAIR"]))
    assert not (tmp_path / "out" / "p1_T2W.h5").exists()


def test_echoes_and_phase_of_complex_volumes_are_kept(volumes, tmp_path):
    both = np.stack([head(), 0.5j * head()], -1).astype(np.complex64)
    np.save(volumes / "p5.npy", both)
    produce(config(volumes, tmp_path, noise=0.0, height=30, width=26))
    with h5py.File(tmp_path / "out" / "p5.h5") as file:
        assert list(file.attrs["echo_names"]) == ["echo1", "echo2"]
        first, second = file["target"][1]
    np.testing.assert_allclose(second, 0.5j * first, atol=1e-4)


def test_the_command_of_the_page_works(tmp_path, monkeypatch):
    page = Path(mri_simulate.__file__).with_suffix(".md").read_text()
    command = re.search(r"data_scripts\.mri\.simulate (source=volumes.*?) +#", page, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    Path("FOLDER").mkdir()
    for seed, name in enumerate(("anna_T1", "ben_T1", "carla_T1", "dora_T1", "emil_T1")):
        np.save(f"FOLDER/{name}.npy", head(seed=seed))
    monkeypatch.setattr(mri_simulate, "measured_maps", lambda _: smooth_maps(8, (128, 128)))
    arguments = shlex.split(command.replace("\\\n", " "))
    assert run_recipe(SimulateRecipe, arguments) == 0
    infos = [read_info(path)[0] for path in sorted(Path("data/mine").glob("*.h5"))]
    assert [info.split for info in infos] == ["valid", "test", "test", "train", "train"]
    assert {info.licence for info in infos} == {"internal"}


def test_the_public_patients_are_those_of_the_public_source_alone(tmp_path):
    public = SimulateRecipe(test=["patient01"])
    assert (public.train[0], public.valid, public.test) == (
        "patient01",
        ["patient04"],
        ["patient01"],
    )
    own = SimulateRecipe(source="volumes", source_dir=str(tmp_path))
    assert own.train == own.valid == own.test == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": ["p9"]}, r"no volume's name starts with 'p9'.*train=\[\] takes"),
        ({"train": ["p2"]}, r"p2_FLAIR is in \['train', 'valid'\]"),
        ({"test": []}, r"split test is empty; .* begin with test=\[\.\.\], of: p1_FLAIR"),
        ({"slice_axis": 3}, "slice_axis must be 0, 1 or 2"),
        ({"contrasts": ["PD"]}, r"no volume's name ends with one of \['PD'\]; there are: p1_FLAIR"),
        ({"source_dir": "/nowhere"}, "source_dir=/nowhere is no folder"),
    ],
)
def test_splits_that_cannot_be_are_named(volumes, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        produce(config(volumes, tmp_path, **options))


def test_a_volume_without_brightness_is_named_and_leaves_no_scan(volumes, tmp_path):
    np.save(volumes / "p4_FLAIR.npy", np.zeros((6, 6, 2), np.float32))
    (volumes / "p4_FLAIR.npz").unlink()
    with pytest.raises(ValueError, match=r"p4_FLAIR\.npy: 99\.5 % of the volume is zero.*crop it"):
        produce(config(volumes, tmp_path))
    assert not (tmp_path / "out" / "p4_FLAIR.h5").exists()


def test_volumes_that_cannot_be_used_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    (volume,) = find_volumes([tmp_path / "a.npy"], 2)
    with pytest.raises(ValueError, match="three axes"):
        volume.read()
    np.save(tmp_path / "b.npy", np.full((4, 4, 2), np.nan))
    (volume,) = find_volumes([tmp_path / "b.npy"], 2)
    with pytest.raises(ValueError, match="NaN or infinity"):
        volume.read()
    with pytest.raises(ValueError, match="no volume"):
        find_volumes([tmp_path / "x.txt"], 2)
    with pytest.raises(ValueError, match="two volumes are called 'a'"):
        find_volumes([tmp_path / "a.npy", tmp_path / "a.npz"], 2)


def test_another_grid_keeps_values_and_proportions():
    fine = np.zeros((1, 96, 96), np.float32)
    y, z = np.meshgrid(np.arange(96) - 48, np.arange(96) - 48, indexing="ij")
    fine[0] = np.exp(-(y**2 + z**2) / (2 * 12**2))
    coarse = to_grid(fine, (48, 48))
    np.testing.assert_allclose(coarse[0], fine[0, ::2, ::2], atol=1e-3)
    # pixels twice as long along y: a circle needs half as many of them
    squeezed = to_grid(fine[:, ::2], (48, 48), pixel_mm=(2.0, 1.0))
    np.testing.assert_allclose(squeezed, coarse, atol=1e-2)
    wide = to_grid(fine, (48, 60))
    np.testing.assert_allclose(wide[0, :, 6:-6], coarse[0], atol=1e-3)


def test_measured_maps_are_compressed_and_normalised(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((2, 5)) + 1j * rng.standard_normal((2, 5))
    y = np.linspace(0, 1, 32)[:, None, None]
    two = np.concatenate([np.exp(1j * y) * (1 + y), 2 - y], -1) * np.ones((1, 32, 1))
    path = tmp_path / "maps.mat"
    scipy.io.savemat(path, {"S": (two @ mixing)[:, :, None]})
    source = Source("maps.mat", "", "MIT", 1, "")
    monkeypatch.setattr(mri_simulate, "known_sources", lambda prefix: [source])
    monkeypatch.setattr(mri_simulate, "fetch", lambda *_: [path])
    maps = measured_maps(SimulateRecipe(n_coils=2, height=24, width=20))
    assert maps.shape == (2, 24, 20)
    np.testing.assert_allclose((np.abs(maps) ** 2).sum(0), 1, atol=1e-5)
    with pytest.raises(ValueError, match="5 channels, n_coils is 6"):
        measured_maps(SimulateRecipe(n_coils=6))


@needs_sources
def test_public_brains_are_split_by_patient_with_every_contrast(tmp_path):
    options = SimulateRecipe(out=str(tmp_path), height=32, width=30, n_coils=4)
    jobs = [(job.about, job.split) for job in options.jobs()]
    contrasts = {split: {v.echo_names[0] for v, s in jobs if s == split} for _, split in jobs}
    patients = {split: {v.name.split("_")[0] for v, s in jobs if s == split} for _, split in jobs}
    assert len(jobs) == 19
    assert all(found == {"FLAIR", "T1W", "T2W"} for found in contrasts.values())
    assert sum(len(found) for found in patients.values()) == 5
    job = next(job for job in options.jobs() if job.name == "patient19_study2_T1W")
    options.make_scan(job, options.details(job))
    assert check_scan(tmp_path / "patient19_study2_T1W.h5") == []
    assert read_info(tmp_path / "patient19_study2_T1W.h5")[1] == ScanShape(48, 1, 4, (32, 30))
