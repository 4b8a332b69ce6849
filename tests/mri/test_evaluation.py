"""A run measured on other data, or under other masks, than its own."""

import json

import numpy as np
import pytest
import torch
from mri_scans import config as dataset_config
from mri_scans import write_dataset, write_scan

from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.recipe import produce
from monarch_core.report import cli
from monarch_core.runs.artifacts import load_artifacts
from monarch_core.runs.schema import save_config
from monarch_core.training.checkpoint import save_weights
from mri.config.model import SenseConfig
from mri.config.run import FitConfig, MriConfig, TransformConfig
from mri.dataset.splits import load_splits
from mri.evaluate import evaluate
from mri.evaluation import evaluate_elsewhere, other_data
from mri.metrics.methods import mri_runs, read_methods
from mri.metrics.presets import PRESETS
from mri.metrics.scores import Volume, reconstruct
from mri.metrics.volumes import volume_metrics
from mri.models import model_of

GRID = (17, 12)


@pytest.fixture
def run(tmp_path):
    """A finished run with its results, and the network in it."""
    root = write_dataset(tmp_path / "own", grid=GRID)
    config = MriConfig(
        dataset=dataset_config(root),
        model=SenseConfig(),
        transform=TransformConfig("monarch", "monarch"),
        fit=FitConfig(batch_size=2, accelerator="cpu"),
    )
    torch.manual_seed(0)
    network = model_of(config, GRID)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    folder = tmp_path / "run"
    folder.mkdir()
    save_config(folder, config)
    save_weights(folder / "weights.pt", network)
    evaluate(folder)
    return folder, config, network


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_other_scans_are_measured_beside_the_results_of_the_run(run, tmp_path):
    folder, _, network = run
    other = write_scan(tmp_path / "other" / "x.h5", split="test", seed=9, n_coils=4).parent
    own = (folder / "results.json").read_bytes()
    found = evaluate_elsewhere(folder, other_data({"root": str(other), "mask": None}))
    assert found == folder / "evaluations" / "other"
    assert (folder / "results.json").read_bytes() == own
    results, before = results_of(found), json.loads(own)
    assert results["dataset"] == "other"
    assert results["config"]["dataset"]["root"] == str(other)
    assert results["split_sizes"] == {"test": 3}
    prints, of_run = results["data_fingerprints"], before["data_fingerprints"]
    assert {k: prints[k] for k in ("train", "valid")} == {k: of_run[k] for k in ("train", "valid")}
    assert prints["test"] != of_run["test"]
    # the numbers are those of the network on these scans
    whole = write_dataset(tmp_path / "whole", grid=GRID)
    write_scan(whole / "d.h5", split="test", seed=9, n_coils=4)
    (whole / "d.h5").rename(whole / "x.h5")
    test = load_splits(dataset_config(whole)).test
    volumes: list[Volume] = list(reconstruct({"model": network}, test, 2, torch.device("cpu")))
    psnr = [
        volume_metrics(v.predictions["model"], v.target, PRESETS["meddlr_2d"])["psnr"]
        for v in volumes
    ]
    assert results["metrics"]["psnr"] == pytest.approx(np.mean(psnr), abs=1e-4)


def test_the_report_and_the_comparison_read_them(run, tmp_path, capsys):
    folder, _, _ = run
    other = write_scan(tmp_path / "other" / "x.h5", split="test", seed=9).parent
    evaluate_elsewhere(folder, other_data({"root": str(other)}))
    assert cli.main([str(folder), "--table", "psnr"]) == 0
    said = capsys.readouterr().out
    assert "other" in said
    assert "mri_phantom" in said
    methods = read_methods(mri_runs([folder]))
    assert {method.data for method in methods} == {"own, 2x", "other, 2x"}


def test_other_masks_have_a_folder_of_their_own(run):
    folder, _, _ = run
    first = evaluate_elsewhere(folder, {"mask_seed": 3})
    second = evaluate_elsewhere(folder, {"acceleration": 3.0}, {"preset": "fastmri"})
    assert (first.name, second.name) == ("mask_seed_3", "acceleration_3.0")
    assert results_of(second)["config"]["evaluation"]["preset"] == "fastmri"
    psnr = [results_of(f)["metrics"]["psnr"] for f in (folder, first, second)]
    assert len(set(psnr)) == 3
    assert evaluate_elsewhere(folder, {"mask_seed": 3}) == first
    named = evaluate_elsewhere(folder, {"mask_seed": 4}, name="masks 4")
    with pytest.raises(ValueError, match=r"holds the results of other data.*name=NAME"):
        evaluate_elsewhere(folder, {"mask_seed": 5}, name=named.name)


def test_masks_of_any_name_are_taken_from_the_scans(run, tmp_path):
    folder, _, _ = run
    mask = np.arange(12) % 4 == 0
    mask[4:8] = True
    masks = {"equispaced_4x": np.broadcast_to(mask, GRID)}
    other = write_scan(tmp_path / "other" / "x.h5", split="test", seed=9, masks=masks).parent
    changes = {"root": str(other), "mask": "stored", "mask_name": "equispaced_4x"}
    changes["acceleration"] = float(12 / mask.sum())
    found = evaluate_elsewhere(folder, other_data(changes), name="lines")
    with (found / "scans.csv").open() as file:
        head, first, *_ = (line.strip().split(",") for line in file)
    assert float(first[head.index("acceleration")]) == pytest.approx(12 / mask.sum())
    changes["mask_name"] = "equispaced_8x"
    with pytest.raises(ValueError, match=r"no masks/equispaced_8x, only \['equispaced_4x'\]"):
        evaluate_elsewhere(folder, other_data(changes), name="none")


def test_scans_of_another_grid_or_without_a_test_split_are_refused(run, tmp_path):
    folder, _, _ = run
    large = write_scan(tmp_path / "large" / "x.h5", split="test", grid=(18, 14)).parent
    with pytest.raises(ValueError, match="another grid than the 18 x 14"):
        evaluate_elsewhere(folder, other_data({"root": str(large)}))
    train = write_scan(tmp_path / "train" / "x.h5", split="train").parent
    with pytest.raises(ValueError, match="no scan of the split 'test'"):
        evaluate_elsewhere(folder, other_data({"root": str(train)}))
    with pytest.raises(ValueError, match="no prepared scans"):
        evaluate_elsewhere(folder, other_data({"root": str(tmp_path / "nowhere")}))
    assert not (folder / "evaluations").exists()


def test_a_kind_of_mask_takes_the_place_of_a_stored_one(run, tmp_path):
    with pytest.raises(ValueError, match=r"use dataset\.mask=stored with it"):
        dataset_config(tmp_path, mask_name="a")
    folder, _, _ = run
    found = evaluate_elsewhere(folder, {"mask": "equispaced", "center_fraction": 0.2})
    assert results_of(found)["config"]["dataset"]["mask"] == "equispaced"


@pytest.mark.parametrize("kind", ["exact", "dense"])
def test_transforms_are_shown_beside_their_start_where_it_is_known(kind, tmp_path):
    """That of a scanner's encoding is in the scans of the run, which are not at hand."""
    sizes = {"n_train": 1, "n_valid": 1, "n_test": 1, "n_slices": 1, "n_coils": 2}
    options = {"height": GRID[0], "width": GRID[1], "n_workers": 1, "trajectory": 0.4}
    produce(PhantomRecipe(out=str(tmp_path / "own"), **sizes, **options))
    data = dataset_config(tmp_path / "own", echoes="echo1")
    fit = FitConfig(accelerator="cpu")
    config = MriConfig(data, SenseConfig(), TransformConfig("learned", kind), fit=fit)
    splits, folder = load_splits(data), tmp_path / "run"
    folder.mkdir()
    save_config(folder, config)
    save_weights(folder / "weights.pt", model_of(config, GRID, splits))
    evaluate(folder)
    found = evaluate_elsewhere(folder, {"mask_seed": 3})
    shown = [
        {artifact.figure for artifact in load_artifacts(place)} & {"transform_distance"}
        for place in (folder, found)
    ]
    assert shown == [{"transform_distance"}, set() if kind == "exact" else {"transform_distance"}]
