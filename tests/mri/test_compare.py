"""Paired differences over scans: closed forms, pairing, and clear errors."""

import json

import pytest

from monarch_core.report.compare.paired import trained_apart
from monarch_core.report.render.differences import differences_table
from monarch_core.report.statistics import paired_difference
from mri.compare import CONTROL, HEADS, main
from mri.metrics.methods import mri_runs, read_methods


def write_run(
    folder,
    transform,
    psnr,
    *,
    acceleration=2.0,
    seed=0,
    scans=("a", "b", "c"),
    echoes=("E1",),
    root="data/x",
    fingerprint=None,
    preset="meddlr_2d",
    heads=1,
    mask_seed=0,
    residual=False,
    loss=None,
    **fit,
):
    """Write an evaluated run; the second echo of a scan has twice the PSNR of the first, etc."""
    folder.mkdir(parents=True)
    dataset = {"root": root, "acceleration": acceleration, "n_train_scans": None}
    config = {
        "dataset": {**dataset, "mask_seed": mask_seed},
        "model": {"weighting": "none", "residual": residual},
        "transform": {"name": transform, "axis": {"heads": heads}},
        "evaluation": {"preset": preset},
        "fit": {"learning_rate": 1e-3, **fit},
        "seed": seed,
        **(loss or {}),
    }
    run = {
        "task": "mri",
        "dataset": "brain",
        "model": "sense",
        "transform": transform,
        "seed": seed,
        "split_sizes": {"train": 5, "valid": 2, "test": len(scans)},
        "metrics": {"psnr": 30.0},
        "config": config,
    }
    if fingerprint:
        run["data_fingerprints"] = {"train": "0a", "valid": "1b", "test": fingerprint}
    (folder / "results.json").write_text(json.dumps(run))
    lines = ["scan,echo,method,masks,preset,psnr,psnr_magnitude,ssim"]
    for scan, value in zip(scans, psnr, strict=True):
        for times, echo in enumerate(echoes, start=1):
            lines.append(f"{scan},{echo},model,seen,{preset},{times * value},{value + 1},0.5")
            lines.append(f"{scan},{echo},zero-filled,seen,{preset},0,0,0")
            lines.append(f"{scan},{echo},model,unseen,{preset},0,0,0")
    (folder / "scans.csv").write_text("\n".join(lines))


def methods(folder, **options):
    return read_methods(mri_runs([folder]), **options)


def table(found):
    return differences_table(found, CONTROL, HEADS, item="scan")


def psnr(method):
    return [scores["a", "E1"]["psnr"] for scores in method.scores]


def test_seeds_are_averaged_and_scans_matched_by_name(tmp_path):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    write_run(tmp_path / "m0", "monarch", [33, 21, 12], scans=("c", "b", "a"))
    write_run(tmp_path / "m1", "monarch", [35, 23, 14], seed=1, scans=("c", "b", "a"))
    text = table(methods(tmp_path)).markdown()
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
        ({}, "m1 are the same run twice"),
        ({"seed": 1, "learning_rate": 0.1}, "differ in fit.learning_rate"),
        ({"transform": "dense", "mask_seed": 1}, "differ in dataset.mask_seed 0 / 1"),
        ({"transform": "dense", "preset": "fastmri"}, "evaluation.preset meddlr_2d / fastmri"),
        ({"seed": 1, "heads": 4}, "differ in transform.axis.heads 1 / 4; compare them apart"),
        ({"seed": 1, "root": "copy/x"}, "differ in dataset.root data/x / copy/x"),
        ({"transform": "dense", "root": "copy/x"}, "differ in dataset.root data/x / copy/x"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(tmp_path, other, message):
    write_run(tmp_path / "m0", "monarch", [10, 20, 30])
    write_run(tmp_path / "m1", **{"transform": "monarch", "psnr": [11, 21, 31], **other})
    with pytest.raises(ValueError, match=message):
        methods(tmp_path)


def test_an_option_that_an_earlier_version_did_not_know_differs_from_nothing(tmp_path):
    write_run(tmp_path / "m0", "monarch", [10, 20, 30])
    write_run(tmp_path / "m1", "monarch", [12, 22, 32], seed=1, compile=False)
    (method,) = methods(tmp_path)
    assert psnr(method) == [10, 12]


def test_an_option_at_another_value_than_its_default_differs_from_not_knowing_it(tmp_path):
    write_run(tmp_path / "m0", "monarch", [10, 20, 30])
    write_run(tmp_path / "m1", "monarch", [12, 22, 32], seed=1, gradient_clip=1.0)
    with pytest.raises(ValueError, match=r"differ in fit.gradient_clip null / 1.0"):
        methods(tmp_path)


def test_the_same_content_is_the_same_data_wherever_it_lies(tmp_path):
    write_run(tmp_path / "fft", "fft", [10, 20, 30], root="data/brain", fingerprint="2c")
    write_run(tmp_path / "m0", "monarch", [11, 21, 31], root="/scratch/copy", fingerprint="2c")
    write_run(tmp_path / "m1", "monarch", [13, 23, 33], root="x", fingerprint="2c", seed=1)
    assert "| brain, 2x | sense, monarch | +2.00 ± 0.00 |" in table(methods(tmp_path)).markdown()


def test_other_content_at_the_same_path_is_other_data(tmp_path):
    write_run(tmp_path / "fft", "fft", [10, 20, 30], fingerprint="2c")
    write_run(tmp_path / "m0", "monarch", [11, 21, 31], fingerprint="3d")
    with pytest.raises(ValueError, match=r"differ in fingerprints.test_data 2c / 3d"):
        methods(tmp_path)


def test_echoes_of_a_scan_are_no_scans_of_their_own(tmp_path):
    """The interval is over scans: differences 4.5, 1.5 and 3 of the means over two echoes."""
    write_run(tmp_path / "fft", "fft", [10, 20, 30], echoes=("E1", "E2"))
    write_run(tmp_path / "m", "monarch", [13, 21, 32], echoes=("E1", "E2"))
    found = paired_difference([4.5, 1.5, 3.0], [0.0, 0.0, 0.0])
    row = table(methods(tmp_path)).markdown().splitlines()[2]
    assert f"| +{found.mean:.2f} ± {found.half_width:.2f} |" in row
    assert row.endswith("| 3 | 1 |")
    rows = table(methods(tmp_path, by_contrast=True)).markdown().splitlines()[2:4]
    assert [row.split(" | ")[2][:5] for row in rows] == ["+2.00", "+4.00"]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_not_finite_is_said_and_not_averaged(tmp_path, value):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    write_run(tmp_path / "m", "monarch", [11, value, 31])
    row = table(methods(tmp_path)).markdown().splitlines()[2]
    assert "| not finite | not finite | +0.0000 ± 0.0000 | 3 | 1 |" in row


def test_metrics_asked_for_in_addition_change_nothing(tmp_path):
    write_run(tmp_path / "m0", "monarch", [10, 20, 30])
    write_run(tmp_path / "m1", "monarch", [12, 22, 32], seed=1)
    results = json.loads((tmp_path / "m1" / "results.json").read_text())
    results["config"]["evaluation"]["unseen_mask"] = True
    (tmp_path / "m1" / "results.json").write_text(json.dumps(results))
    (method,) = methods(tmp_path)
    assert psnr(method) == [10, 12]


def test_how_training_differs_from_that_of_the_control_is_said(tmp_path, capsys):
    write_run(tmp_path / "fft", "fft", [10, 20, 30], precision="bf16-mixed")
    write_run(tmp_path / "m", "monarch", [11, 21, 31])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "failure.txt").write_text("ValueError: loss is nan")
    said = "x, 2x: sense, monarch and sense, fft differ in fit.precision 32-true / bf16-mixed"
    assert trained_apart(methods(tmp_path), CONTROL) == [said]
    assert main([str(tmp_path)]) == 0
    error = capsys.readouterr().err
    assert said in error
    assert "broken is failed: ValueError: loss is nan" in error


def test_a_residual_network_is_another_method(tmp_path):
    write_run(tmp_path / "plain", "fft", [10, 20, 30])
    write_run(tmp_path / "residual", "fft", [11, 21, 31], residual=True)
    assert "| residual sense, fft | +1.00 ± 0.00 |" in table(methods(tmp_path)).markdown()


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ({"loss": "l2"}, "sense, monarch"),
        ({"loss": "l2_ssim"}, "sense by l2_ssim, monarch"),  # a run of before any weight
        ({"loss": "l2_ssim", "structure_weight": 0.02}, "sense by l2_ssim, monarch"),
        ({"loss": "l2_ssim", "structure_weight": 0.005}, "sense by l2_ssim 0.005, monarch"),
    ],
)
def test_a_loss_is_named_with_its_weight(tmp_path, loss, name):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    write_run(tmp_path / "monarch", "monarch", [11, 21, 31], loss=loss)
    assert f"| {name} | +1.00 ± 0.00 |" in table(methods(tmp_path)).markdown()


def test_a_folder_given_twice_is_read_once(tmp_path):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    (method,) = read_methods(mri_runs([tmp_path, tmp_path / "fft"]))
    assert psnr(method) == [10]


def test_a_run_without_scores_is_named(tmp_path, capsys):
    write_run(tmp_path / "fft", "fft", [10, 20, 30])
    (tmp_path / "fft" / "scans.csv").unlink()
    assert main([str(tmp_path)]) == 2
    assert "scans.csv is missing; make it anew with" in capsys.readouterr().err


def test_an_empty_folder_is_named(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
