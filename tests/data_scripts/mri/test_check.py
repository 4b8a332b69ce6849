import json

import pytest
from mri_scans import write_dataset, write_scan

from data_scripts.mri.check import check_paths, main
from data_scripts.mri.output import finish_dataset
from data_scripts.resumable import progress_console


@pytest.fixture
def root(tmp_path):
    folder = write_dataset(tmp_path / "scans", n_slices=1)
    finish_dataset(folder, {"name": "test", "config": {}}, progress_console())
    return folder


def test_a_sound_folder_has_no_problems(root, capsys):
    assert main([str(root)]) == 0
    assert "no problems" in capsys.readouterr().out


def test_the_manifest_says_what_is_there(root):
    manifest = json.loads((root / "manifest.json").read_text())
    assert sorted(manifest) == ["a.h5", "b.h5", "c.h5", "d.h5"]
    assert manifest["c.h5"]["split"] == "valid"
    assert manifest["c.h5"]["grid"] == [17, 12]


def test_missing_changed_and_broken_scans_are_listed(root, capsys):
    (root / "a.h5").unlink()
    (root / "b.h5").write_bytes((root / "c.h5").read_bytes())
    (root / "d.h5").write_bytes((root / "d.h5").read_bytes()[:-1000])
    assert main([str(root)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    assert said[3] == "3 problems"
    assert "a.h5: listed in manifest.json, but missing" in said[0]
    assert "b.h5: changed since it was made" in said[1]
    assert "d.h5 is truncated" in said[2]


def test_single_files_can_be_checked(root):
    assert check_paths([str(root / "a.h5"), str(root / "b.h5")]) == []
    (problem,) = check_paths([str(root / "nothing.h5")])
    assert "does not exist" in problem


def test_scans_of_several_grids_are_told_when_they_are_made_and_checked(root, capsys):
    write_scan(root / "e.h5", n_slices=1, grid=(16, 12), seed=5)
    finish_dataset(root, {"name": "test", "config": {}}, progress_console())
    told = capsys.readouterr().err.replace("\n", " ")
    assert "most scans have the grid (17, 12), but these have another: e (16, 12)" in told
    assert main([str(root)]) == 0
    note, verdict = capsys.readouterr().out.splitlines()
    assert note.startswith(f"note: {root}: most scans have the grid (17, 12)")
    assert "dataset.skip_other_grids=true" in note
    assert verdict == "no problems"


def test_scans_of_a_folder_that_do_not_belong_together_are_listed(root, capsys):
    write_scan(root / "e.h5", split="test", n_slices=1, seed=1)
    assert main([str(root)]) == 1
    said = capsys.readouterr().out
    assert "the scans b (train) and e (test) hold the same images" in said
    assert check_paths([str(root / "b.h5"), str(root / "e.h5")]) == []


def test_wrong_arguments_are_answered(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path)]) == 2
    assert "holds no prepared scan" in capsys.readouterr().out
