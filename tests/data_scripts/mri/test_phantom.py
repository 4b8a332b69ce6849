import json
import os
import subprocess

import h5py
import numpy as np
import pytest
from omegaconf import OmegaConf

from data_scripts.command_line import run_recipe, run_script
from data_scripts.mri.anatomy import ANATOMIES, BEADS, TISSUES, random_anatomy
from data_scripts.mri.output import start_dataset
from data_scripts.mri.phantom import PhantomRecipe, _coil_images
from data_scripts.mri.schema import read_info
from data_scripts.mri.schema_check import check_scan
from data_scripts.recipe import produce

SHAPE = (48, 37)


@pytest.mark.parametrize("kind", ANATOMIES)
def test_an_anatomy_has_many_tissues_inside_and_air_around(kind):
    density, t2 = random_anatomy(kind, np.random.default_rng(0)).parameters(0.1, (128, 96))
    border = np.concatenate([density[0], density[-1], density[:, 0], density[:, -1]])
    assert (border == 0).mean() > 0.9
    assert 0.2 < (density > 0).mean() < 0.9
    assert density.min() >= 0
    assert t2.min() > 0
    levels = np.unique(np.round(np.log(t2[density > 0]), 1))
    assert len(levels) > 10


@pytest.mark.parametrize("kind", ANATOMIES)
def test_neighbouring_slices_belong_together_and_scans_do_not(kind):
    def density(seed, x):
        anatomy = random_anatomy(kind, np.random.default_rng(seed))
        return anatomy.parameters(x, (64, 48))[0]

    def difference(a, b):
        return np.linalg.norm(a - b) / np.linalg.norm(a)

    near = np.mean([difference(density(s, 0.1), density(s, 0.12)) for s in range(5)])
    far = np.mean([difference(density(s, 0.1), density(s + 1, 0.1)) for s in range(5)])
    assert near < 0.3
    assert far > 2 * near


def test_tissue_parameters_vary_between_scans():
    values = [random_anatomy("head", np.random.default_rng(s)).values["csf"] for s in range(4)]
    assert len({density for density, _ in values}) == 4
    assert set(TISSUES) == set(random_anatomy("knee", np.random.default_rng(0)).values)


def test_an_unknown_anatomy_is_named():
    with pytest.raises(ValueError, match="got 'hand'"):
        random_anatomy("hand", np.random.default_rng(0))


def test_beads_fill_the_field_of_view_with_every_frequency():
    density, _ = random_anatomy(BEADS, np.random.default_rng(0)).parameters(0.1, (64, 48))
    water = density > 0
    assert 0.5 < water.mean() < 0.8
    assert all(part.any() for part in (water[0], water[-1], water[:, 0], water[:, -1]))
    power = np.abs(np.fft.fft2(water - water.mean())) ** 2
    shells = np.add.outer(np.fft.fftfreq(64) ** 2, np.fft.fftfreq(48) ** 2)
    outer, inner = power[shells > 0.1].mean(), power[shells < 0.02].mean()
    assert outer > 0.02 * inner


def test_the_target_of_beads_is_what_is_known_of_them(tmp_path):
    targets = []
    for noise in (0.0, 0.5):
        folder = tmp_path / f"{noise}"
        produce(tiny(folder, anatomy="beads", noise=noise, trajectory=0.3))
        info, _ = read_info(folder / "train_000.h5")
        assert info.target_kind == "ideal"
        with h5py.File(folder / "train_000.h5") as file:
            targets.append(file["target"][()])
    np.testing.assert_array_equal(*targets)


def tiny(out, **options):
    values = {"n_train": 1, "n_valid": 1, "n_test": 1, "n_slices": 2, "n_coils": 3}
    values |= {"height": SHAPE[0], "width": SHAPE[1], "n_workers": 1}
    return PhantomRecipe(out=str(out), **{**values, **options})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom")
    produce(tiny(out))
    return out


def test_the_scans_are_sound_and_described(made):
    paths = sorted(made.glob("*.h5"))
    assert [path.stem for path in paths] == ["test_000", "train_000", "valid_000"]
    for path in paths:
        assert check_scan(path) == []
        info, shape = read_info(path)
        assert info.split == path.stem.split("_")[0]
        assert (shape.n_slices, shape.n_echoes, shape.n_coils, shape.grid) == (2, 2, 3, SHAPE)
    metadata = OmegaConf.load(made / "metadata.yaml")
    assert metadata.config.n_slices == 2
    assert metadata.licence == "CC0-1.0"


def test_what_is_written_is_what_the_metadata_say(tmp_path):
    options = {"n_train": 2, "n_slices": 1, "echo_times_ms": [5.0, 20.0, 80.0], "seed": 4}
    options |= {"anatomy": "knee", "height": 13, "width": 11, "n_coils": 1}
    produce(tiny(tmp_path, **options))
    metadata = OmegaConf.to_container(OmegaConf.load(tmp_path / "metadata.yaml"))
    assert {key: metadata["config"][key] for key in options} == options
    assert metadata["grid"] == [13, 11]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert len(manifest) == 4
    for name, entry in manifest.items():
        info, shape = read_info(tmp_path / name)
        assert entry["coils"] == shape.n_coils == 1
        assert entry["slices"] == shape.n_slices == 1
        assert entry["echoes"] == list(info.echo_names) == ["echo1", "echo2", "echo3"]
        assert tuple(entry["grid"]) == shape.grid == (13, 11)
        assert info.details["anatomy"] == "knee"
        assert info.details["echo_times_ms"] == options["echo_times_ms"]
        assert entry["split"] == info.split
        with h5py.File(tmp_path / name) as file:
            assert np.abs(file["target"][()]).std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_the_noise_of_a_scan_has_the_deviation_asked_for(tmp_path, noise):
    acquired = []
    for level in (0.0, noise):
        recipe = tiny(tmp_path / str(level), noise=level)
        job = next(job for job in recipe.jobs() if job.name == "valid_000")
        recipe.make_scan(job, recipe.details(job))
        path = tmp_path / str(level) / "valid_000.h5"
        with h5py.File(path) as file:
            acquired.append(file["kspace"][()] * read_info(path)[0].scale)
    added = acquired[1] - acquired[0]
    for part in (added.real, added.imag):
        assert part.std() == pytest.approx(noise, rel=0.02)
        assert abs(part.mean()) < 0.02 * noise


def test_the_second_echo_has_decayed(made):
    with h5py.File(made / "train_000.h5") as file:
        energy = (np.abs(file["target"][()]) ** 2).sum((0, 2, 3))
    assert 0.05 < energy[1] / energy[0] < 0.8


@pytest.mark.parametrize("grid", [(65, 64), (64, 65), (65, 65)])
def test_maps_lie_where_the_coils_saw_the_object_on_odd_grids_too(grid):
    misfits = []
    for height, width in ((64, 64), grid):
        rng = np.random.default_rng(3)
        recipe, anatomy = PhantomRecipe(height=height, width=width), random_anatomy("head", rng)
        seen, maps = _coil_images(recipe, anatomy, 0.1, 5, rng)
        image = (maps.conj() * seen).sum(-3, keepdims=True)
        misfits.append(np.linalg.norm(seen - maps * image) / np.linalg.norm(seen))
    assert misfits[1] < 1.15 * misfits[0]  # half a pixel off it is 1.4 times as large and more


def test_a_scan_depends_on_its_seed_and_not_on_the_others(made, tmp_path):
    produce(tiny(tmp_path / "more", n_train=2))
    produce(tiny(tmp_path / "other", seed=1))

    def kspace(folder, name):
        with h5py.File(folder / f"{name}.h5") as file:
            return file["kspace"][()]

    again = kspace(tmp_path / "more", "train_000")
    np.testing.assert_array_equal(again, kspace(made, "train_000"))
    assert np.abs(kspace(tmp_path / "more", "train_001") - again).max() > 1
    assert np.abs(kspace(tmp_path / "other", "train_000") - again).max() > 1


def test_a_broken_run_goes_on_where_it_stopped(tmp_path):
    produce(tiny(tmp_path))
    kept = (tmp_path / "train_000.h5").stat().st_mtime_ns
    lost = (tmp_path / "test_000.h5").read_bytes()
    (tmp_path / "test_000.h5").write_bytes(lost[:-500])
    (tmp_path / "metadata.yaml").unlink()
    produce(tiny(tmp_path))
    assert (tmp_path / "train_000.h5").stat().st_mtime_ns == kept
    assert check_scan(tmp_path / "test_000.h5") == []
    assert (tmp_path / "metadata.yaml").is_file()


def test_what_a_killed_process_left_goes_and_what_a_running_one_writes_stays(tmp_path):
    killed = subprocess.Popen(["true"])
    killed.wait()
    names = [f".train_000.h5.{killed.pid}.part", f".train_001.h5.{os.getpid()}.part", ".x.part"]
    for name in names:
        (tmp_path / name).touch()
    start_dataset(tmp_path, [])
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


def test_scans_of_other_options_are_not_mixed_in(tmp_path):
    produce(tiny(tmp_path, n_train=2))
    with pytest.raises(ValueError, match=r"1 scans that these options do not make \(train_001"):
        produce(tiny(tmp_path))


def test_several_processes_make_the_same_scans(made, tmp_path):
    produce(tiny(tmp_path, n_workers=2))
    for path in made.glob("*.h5"):
        with h5py.File(path) as one, h5py.File(tmp_path / path.name) as two:
            np.testing.assert_array_equal(one["kspace"][()], two["kspace"][()])


def test_an_imperfect_scanner_keeps_the_ideal_target(made, tmp_path):
    produce(tiny(tmp_path, trajectory=0.5))
    info, _ = read_info(tmp_path / "train_000.h5")
    assert info.target_kind == "ideal"
    assert check_scan(tmp_path / "train_000.h5") == []
    with h5py.File(made / "train_000.h5") as one, h5py.File(tmp_path / "train_000.h5") as two:
        np.testing.assert_allclose(one["target"][()], two["target"][()], atol=1e-4)
        assert np.abs(one["kspace"][()] - two["kspace"][()]).max() > 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["n_slice=3"], 2, "did you mean 'n_slices'"),
        (["n_slices=many"], 2, "cannot use 'n_slices=many'"),
        (["n_slices"], 2, "key=value"),
        (["anatomy=hand"], 2, "got 'hand'"),
        (["--help"], 0, "n_slices: slices per scan"),
    ],
)
def test_the_command_line_answers_in_one_paragraph(arguments, status, message, capsys):
    assert run_recipe(PhantomRecipe, arguments) == status
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def interrupted(_):
    raise KeyboardInterrupt


def diverged(_):
    raise FloatingPointError("the field is not finite")


@pytest.mark.parametrize(
    ("work", "status", "message"),
    [(interrupted, 130, "What is finished is kept"), (diverged, 1, "the field is not finite")],
)
def test_work_that_ends_early_is_explained(work, status, message, capsys):
    assert run_script(work, PhantomRecipe, []) == status
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run_recipe(PhantomRecipe, [f"out={tmp_path}/file/data", "n_workers=1"]) == 1
    assert "file" in capsys.readouterr().err
