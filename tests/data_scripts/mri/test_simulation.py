"""One scanner for all scans of a set, or one for each, and what the files say of it."""

import dataclasses

import h5py
import numpy as np
import pytest
from omegaconf import OmegaConf

from data_scripts.command_line import run_recipe
from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.mri.scanner import ERRORS, Scanner
from data_scripts.mri.schema import read_info
from data_scripts.mri.simulate import SimulateRecipe
from data_scripts.mri.simulation import SimulatedRecipe
from data_scripts.recipe import produce

ERRORS_OF_THE_SET = {"trajectory": 0.5, "b0_hz": 30.0, "epi_delay": 0.3}


@pytest.fixture(scope="module", params=["fixed", "per_scan"])
def made(request, tmp_path_factory):
    """Noise-free scans with errors, and the same ones without."""
    folders = [tmp_path_factory.mktemp(name) for name in ("with", "without")]
    for folder, errors in zip(
        folders, ({**ERRORS_OF_THE_SET, "scanner": request.param}, {}), strict=True
    ):
        recipe = PhantomRecipe(
            out=str(folder),
            **{"n_train": 2, "n_valid": 1, "n_test": 1, "n_slices": 2, "n_coils": 2},
            **{"height": 19, "width": 14, "noise": 0.0, "n_workers": 1},
            **errors,
        )
        produce(recipe)
    return request.param, *folders


def scanners(folder):
    return [Scanner.of_scan(read_info(path)[0].details) for path in sorted(folder.glob("*.h5"))]


def test_the_metadata_rebuild_the_encoding_of_every_scan(made):
    _, folder, ideal = made
    for path, scanner in zip(sorted(folder.glob("*.h5")), scanners(folder), strict=True):
        with h5py.File(path) as file, h5py.File(ideal / path.name) as truth:
            measured = truth["kspace"][()]
            expected = scanner.encode(ifft_centred(measured))
            size = np.abs(expected).max()
            np.testing.assert_allclose(file["kspace"], expected, atol=1e-5 * size)
            assert np.abs(measured - expected).max() > 0.05 * size
            np.testing.assert_allclose(file["target"], truth["target"], atol=1e-5)


def test_a_fixed_scanner_is_that_of_all_scans_and_another_is_of_one(made):
    kind, folder, ideal = made
    found, described = scanners(folder), OmegaConf.load(folder / "metadata.yaml").scanner
    assert all(scanner.is_ideal for scanner in scanners(ideal))
    if kind == "fixed":
        assert found == [Scanner(**ERRORS_OF_THE_SET)] * 4
        assert dict(described) == dataclasses.asdict(found[0])
    else:
        assert len({scanner.trajectory for scanner in found}) == 4
        assert len({scanner.map_seed for scanner in found}) == 4
        assert described.startswith("drawn for each scan")


def test_the_seed_of_the_scanner_chooses_the_map_alone():
    one, two = (PhantomRecipe(b0_hz=20.0, scanner_seed=seed).scanner_of("a") for seed in (0, 1))
    assert dataclasses.replace(one, map_seed=1) == two
    assert np.abs(one.field((9, 8)) - two.field((9, 8))).max() > 5


@pytest.mark.parametrize("kind", [PhantomRecipe, SimulateRecipe])
def test_the_help_explains_every_option_once(kind, capsys):
    assert run_recipe(kind, ["--help"]) == 0
    said, _, defaults = capsys.readouterr().err.partition("Defaults:")
    for field in dataclasses.fields(kind):
        assert f"  {field.name}=" in defaults
        assert said.count(f"\n    {field.name}: ") == 1


def test_a_scan_draws_the_same_scanner_every_time():
    recipe = SimulateRecipe(trajectory=0.5, scanner="per_scan")
    assert recipe.scanner_of("patient01_T1W") == recipe.scanner_of("patient01_T1W")
    assert recipe.scanner_of("patient01_T1W") != recipe.scanner_of("patient01_T2W")


def test_every_error_of_a_scanner_is_an_option():
    names = {field.name for field in dataclasses.fields(SimulatedRecipe)}
    assert set(ERRORS) <= names
    for error in ERRORS:
        assert getattr(PhantomRecipe(**{error: 0.25}).scanner_of("a"), error) == 0.25
