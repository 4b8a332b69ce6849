"""Paired differences over scans: closed forms, pairing, and clear errors."""

import json

import numpy as np
import pytest

from mri.compare import difference, main, read_runs, table


def write_run(
    folder,
    transform,
    psnr,
    *,
    acceleration=2.0,
    seed=0,
    scans=("a", "b", "c"),
    mask_seed=0,
    residual=False,
    **fit,
):
    folder.mkdir(parents=True)
    dataset = {"root": "data/x", "acceleration": acceleration, "n_train_scans": None}
    config = {
        "dataset": {**dataset, "mask_seed": mask_seed},
        "model": {"weighting": "none", "residual": residual},
        "fit": {"learning_rate": 1e-3, **fit},
    }
    run = {"task": "mri", "model": "sense", "transform": transform, "seed": seed, "config": config}
    (folder / "results.json").write_text(json.dumps(run))
    lines = ["scan,echo,method,masks,psnr,psnr_magnitude,ssim"]
    for scan, value in zip(scans, psnr, strict=True):
        lines.append(f"{scan},E1,model,seen,{value},{value + 1},0.5")
        lines.append(f"{scan},E1,zero-filled,seen,0,0,0")
        lines.append(f"{scan},E1,model,unseen,0,0,0")
    (folder / "scans.csv").write_text("\n".join(lines))


def test_interval_is_students():
    found = difference([3.0, 5.0, 4.0], [1.0, 2.0, 3.0])
    d = np.array([2.0, 3.0, 1.0])
    assert found.mean == pytest.approx(2.0)
    assert found.half_width == pytest.approx(4.302653 * d.std(ddof=1) / np.sqrt(3), rel=1e-5)


def test_a_constant_difference_has_no_width_however_scans_differ():
    found = difference([11.0, 31.0, 21.0], [10.0, 30.0, 20.0])
    assert found.mean == pytest.approx(1.0)
    assert found.half_width == pytest.approx(0.0)


def test_one_scan_has_no_interval():
    assert difference([2.0], [1.0]).half_width is None


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="paired"):
        difference([1.0, 2.0], [1.0])


def test_seeds_are_averaged_and_scans_matched_by_name(tmp_path):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    write_run(tmp_path / "m0", "monarch", [33, 21, 12], scans=("c", "b", "a"))
    write_run(tmp_path / "m1", "monarch", [35, 23, 14], seed=1, scans=("c", "b", "a"))
    text = table(read_runs([tmp_path]))
    row = next(line for line in text.splitlines() if "monarch" in line)
    # differences 3 (a), 2 (b), 4 (c)
    assert "| +3.00 ± 2.48 | +3.00 ± 2.48 | +0.0000 ± 0.0000 | 3 | 2 |" in row


def test_another_acceleration_is_other_data(tmp_path, capsys):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    write_run(tmp_path / "m", "monarch", [10, 20, 30], acceleration=4.0)
    assert main([str(tmp_path)]) == 2
    assert "no run of 'sense, fft' on 'x, 4x'" in capsys.readouterr().err


def test_rows_by_contrast_and_of_one_method(tmp_path, capsys):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    write_run(tmp_path / "m", "monarch", [11, 21, 31])
    write_run(tmp_path / "d", "dense", [11, 21, 31])
    assert main([str(tmp_path), "--by-contrast", "--only", "sense, monarch"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "x, 2x" in line]
    assert [row.split("|")[1:3] for row in rows] == [[" x, 2x, E1 ", " sense, monarch "]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({}, "m0 are the same run twice"),
        ({"seed": 1, "learning_rate": 0.1}, "differ in fit.learning_rate"),
        ({"transform": "dense", "mask_seed": 1}, "differ in dataset.mask_seed"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(tmp_path, other, message):
    write_run(tmp_path / "m0", "monarch", [10, 20, 30])
    write_run(tmp_path / "m1", **{"transform": "monarch", "psnr": [11, 21, 31], **other})
    with pytest.raises(ValueError, match=message):
        read_runs([tmp_path])


def test_an_option_that_an_earlier_version_did_not_know_differs_from_nothing(tmp_path):
    write_run(tmp_path / "m0", "monarch", [10, 20, 30])
    write_run(tmp_path / "m1", "monarch", [12, 22, 32], seed=1, compile=False)
    (scores,) = read_runs([tmp_path]).values()
    assert scores["a", "E1"]["psnr"] == [10, 12]


def test_a_residual_network_is_another_method(tmp_path):
    write_run(tmp_path / "plain", "fft", [10, 20, 30])
    write_run(tmp_path / "residual", "fft", [11, 21, 31], residual=True)
    assert "| residual sense, fft | +1.00 ± 0.00 |" in table(read_runs([tmp_path]))


def test_a_folder_given_twice_is_read_once(tmp_path):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    (scores,) = read_runs([tmp_path, tmp_path / "fft"]).values()
    assert scores["a", "E1"]["psnr"] == [10]


def test_a_run_without_scores_is_named(tmp_path, capsys):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    (tmp_path / "fft" / "scans.csv").unlink()
    assert main([str(tmp_path)]) == 2
    assert "scans.csv is missing; make it with" in capsys.readouterr().err


def test_an_empty_folder_is_named(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
