import hashlib

import numpy as np
import pytest
import scipy.io

from data_scripts.mri import low_field as mri_low_field
from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.download import BESIDE, Source, known_sources
from data_scripts.mri.low_field import LowFieldRecipe, describe, read_low_field
from data_scripts.mri.schema import read_info
from data_scripts.mri.schema_check import check_scan
from data_scripts.recipe import produce

GRID = (128, 126)


def kspace(grid=GRID, n_slices=2):
    y, z = (np.linspace(-1, 1, n) for n in grid)
    image = np.exp(-(y[:, None] ** 2) / 0.1 - z[None] ** 2 / 0.05)
    return np.stack([fft_centred(image) * (i + 1) for i in range(n_slices)], -1)


def test_turned_scans_are_turned_back(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"ksp": kspace()})
    scipy.io.savemat(tmp_path / "b.mat", {"kspace": kspace().transpose(1, 0, 2)})
    a, b = (read_low_field(tmp_path / f"{name}.mat", GRID) for name in "ab")
    assert a.shape == (2, 1, 1, *GRID)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a[1], 2 * a[0], rtol=1e-6)


def test_files_of_another_kind_are_named(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"ksp": kspace((20, 20))})
    with pytest.raises(ValueError, match=r"the grid \(20, 20\)"):
        read_low_field(tmp_path / "a.mat", GRID)
    scipy.io.savemat(tmp_path / "b.mat", {"image": np.ones((3, 3, 3))})
    with pytest.raises(ValueError, match="expected ksp or kspace"):
        read_low_field(tmp_path / "b.mat", GRID)


def test_names_tell_panel_contrast_and_plane():
    told = [describe(source) for source in known_sources("bispmri__")]
    assert len({name for _, _, name in told}) == 16
    assert ("4B", "FSE", "4B_FSE_coronal") in told
    assert ("7A", "FLAIR", "7A_FLAIR") in told


@pytest.fixture
def sources(tmp_path, monkeypatch):
    folder = tmp_path / "sources"
    folder.mkdir()
    found = []
    for panel in ("6A", "7A", "7B"):
        for contrast in ("FLAIR", "GRE"):
            name = f"Figure_{panel}__0.055T__0.055T_{contrast}_kspace_postEMI.mat"
            grid = (128, 196) if contrast == "GRE" else GRID
            scipy.io.savemat(folder / name, {"kspace": kspace(grid)})
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            found.append(Source(name, "", "CC0-1.0", 1, f"sha256:{digest}"))
    monkeypatch.setattr(mri_low_field, "known_sources", lambda prefix: found)
    return folder


@pytest.mark.parametrize(
    ("sequence", "contrast", "grid"),
    [("spin_echo", "FLAIR", GRID), ("gradient_echo", "GRE", (128, 196))],
)
def test_scans_are_sound_and_split_by_panel(sources, tmp_path, sequence, contrast, grid):
    out = tmp_path / "out"
    produce(LowFieldRecipe(out=str(out), source_dir=str(sources), sequence=sequence))
    splits = {}
    for path in out.glob("*.h5"):
        assert check_scan(path) == []
        info, shape = read_info(path)
        splits[info.scan_id] = info.split
        assert info.echo_names == (contrast,)
        assert info.licence == "CC0-1.0"
        assert (shape.n_coils, shape.grid) == (1, grid)
    expected = {"6A": "train", "7A": "valid", "7B": "test"}
    assert splits == {f"{panel}_{contrast}": split for panel, split in expected.items()}


def test_a_split_without_scans_is_named(sources, tmp_path):
    panels = {"train": ["6A", "7B"], "test": ["4A"]}
    options = LowFieldRecipe(out=str(tmp_path / "out"), source_dir=str(sources), **panels)
    with pytest.raises(ValueError, match=r"no spin_echo scan of the panels \['4A'\]"):
        produce(options)


@pytest.mark.skipif(not BESIDE.is_dir(), reason="the public files are not beside the repository")
def test_the_measured_files_are_in_this_layout(tmp_path):
    produce(LowFieldRecipe(out=str(tmp_path)))
    paths = sorted(tmp_path.glob("*.h5"))
    assert len(paths) == 10
    assert sum(read_info(path)[1].n_slices for path in paths) == 52
    assert [problem for path in paths for problem in check_scan(path)] == []
