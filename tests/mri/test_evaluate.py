"""Evaluation from a run folder alone: scores per scan, summaries, and what the report gets."""

import contextlib
import csv
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.coil_maps import combine_sense
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter
from monarch_core.runs.artifacts import Basis, Comparison, Curve, Picture, Table, load_artifacts
from monarch_core.runs.schema import save_config
from monarch_core.training.checkpoint import save_weights
from monarch_core.transforms import Dense, Fourier, Monarch
from mri.config.dataset import DatasetConfig
from mri.config.model import (
    CgSenseConfig,
    L1WaveletConfig,
    ModelConfig,
    SenseConfig,
    UNetConfig,
    UnrolledConfig,
)
from mri.config.run import EvaluationConfig, FitConfig, MriConfig, TransformConfig
from mri.dataset.splits import load_splits
from mri.evaluate import evaluate
from mri.learned import describe_transforms, kspace_weighting, point_spread
from mri.metrics.losses import find_loss
from mri.metrics.measure import check_evaluation, check_loss, summarise, with_unseen_masks
from mri.metrics.presets import PRESETS
from mri.metrics.scores import METRICS, Score, Volume, mean_over_scans, score
from mri.metrics.volumes import volume_metrics
from mri.models import build_model
from mri.physics.axis_transforms import AxisTransforms, axis_transforms

GRID = (15, 14)
N_SLICES = 3
ECHOES = ("t1", "t2")


def write_scan(folder: Path, scan_id: str, split: str, n_coils: int, seed: int) -> None:
    """Write a scan of smooth blobs whose target is the image behind its k-space."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in GRID), indexing="ij")
    info = ScanInfo(scan_id, split, "drawn by a test", "CC0-1.0", ECHOES)
    shape = ScanShape(N_SLICES, len(ECHOES), n_coils, GRID)
    with ScanWriter(folder / f"{scan_id}.h5", info, shape) as writer:
        for index in range(N_SLICES):
            a, b = rng.uniform(-0.4, 0.4, 2)
            blob = np.exp(-((rows - a) ** 2 + (columns - b) ** 2) / 0.1) * np.exp(1j * a * rows)
            target = np.stack([blob, 0.3 * blob**2])
            maps = rng.normal(size=(2, n_coils, 1, 1)) + 0.5 * rows
            maps = maps[0] + 1j * maps[1]
            maps = maps / np.sqrt(np.square(np.abs(maps)).sum(0))
            kspace = fft_centred(maps * target[:, None])
            writer.write(index, *(x.astype(np.complex64) for x in (kspace, maps, target)))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DatasetConfig:
    root = tmp_path_factory.mktemp("scans")
    for number, split in enumerate(["train", "valid", "test", "test"]):
        write_scan(root, f"{split}_{number}", split, n_coils=2 + number % 2, seed=number)
    (root / "metadata.yaml").write_text(yaml.safe_dump({"name": "blobs", "config": {}}))
    return DatasetConfig(
        name="blobs",
        root=str(root),
        recipe=None,
        mask="random",
        acceleration=2.0,
        center_fraction=0.3,
    )


def make_run(folder: Path, data: DatasetConfig, model: ModelConfig, transform: str) -> MriConfig:
    """Make a run folder as `fit` would leave it, with its factors moved away from the DFT."""
    torch.manual_seed(0)
    factory = {"Fourier": Fourier, "Monarch": Monarch, "Dense": Dense}[transform]
    config = MriConfig(
        dataset=data,
        model=model,
        transform=TransformConfig(
            "fft" if transform == "Fourier" else transform.lower(), transform.lower()
        ),
        fit=FitConfig(batch_size=2, accelerator="cpu"),
        evaluation=EvaluationConfig("meddlr_2d"),
    )
    network = build_model(model, partial(axis_transforms, factory), GRID)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    folder.mkdir(exist_ok=True)
    save_config(folder, config)
    save_weights(folder / "weights.pt", network)
    return config


def read_scans(folder: Path) -> list[dict[str, str]]:
    with (folder / "scans.csv").open() as file:
        return list(csv.DictReader(file))


def test_numbers_are_those_of_the_volumes(tmp_path, data):
    config = make_run(tmp_path, data, SenseConfig(), "Monarch")
    results = evaluate(tmp_path)
    lines = read_scans(tmp_path)
    assert len(lines) == 2 * 2 * 2  # scans, echoes, methods
    test = load_splits(config.dataset).test
    model = build_model(config.model, partial(axis_transforms, Monarch), GRID)
    model.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    zero_filled = build_model(SenseConfig(), partial(axis_transforms, Fourier), GRID)
    for line in lines:
        items = [test[i] for i in test.slices_of(line["scan"])]
        echo = ECHOES.index(line["echo"])
        method = model if line["method"] == "model" else zero_filled
        with torch.no_grad():
            images = [method(*(x[None] for x in inputs))[0, echo].numpy() for inputs, _ in items]
        target = np.stack([target[echo].numpy() for _, target in items])
        expected = volume_metrics(np.stack(images), target, PRESETS["meddlr_2d"])
        assert {m: float(line[m]) for m in METRICS} == pytest.approx(expected, rel=1e-5)
        assert line["preset"] == "meddlr_2d"
        assert float(line["acceleration"]) == pytest.approx(2, rel=0.5)
    for metric in METRICS:
        own = [float(line[metric]) for line in lines if line["method"] == "model"]
        assert results["metrics"][metric] == pytest.approx(np.mean(own))
    first = [float(x["psnr"]) for x in lines if (x["method"], x["echo"]) == ("zero-filled", "t1")]
    both = [float(line["psnr"]) for line in lines if line["method"] == "zero-filled"]
    assert results["metrics"]["psnr/zero_filled"] == pytest.approx(np.mean(both))
    assert np.mean(first) != pytest.approx(np.mean(both))


def test_results_have_the_agreed_keys_and_stay_the_same(tmp_path, data):
    make_run(tmp_path, data, SenseConfig(), "Monarch")
    results = evaluate(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert results["task"] == "mri"
    assert (results["dataset"], results["model"], results["transform"]) == (
        "blobs",
        "sense",
        "monarch",
    )
    assert results["split_sizes"] == {"train": 3, "valid": 3, "test": 6}
    assert results["n_parameters"] == 2 * 15 * (3 + 5) + 2 * 14 * (2 + 7)
    assert results["config"]["evaluation"]["preset"] == "meddlr_2d"
    assert next(iter(results["metrics"])) == "psnr"  # the report takes the first as the main one
    again = evaluate(tmp_path)
    assert again["metrics"] == results["metrics"]


def test_the_fft_is_zero_filled_sense(tmp_path, data):
    make_run(tmp_path, data, SenseConfig(), "Fourier")
    metrics = evaluate(tmp_path)["metrics"]
    assert metrics["psnr_gain"] == 0
    for artifact in load_artifacts(tmp_path):
        if artifact.figure == "kspace_weighting":
            np.testing.assert_allclose(artifact.image, 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "transform"),
    [
        (SenseConfig(weighting="diagonal"), "Monarch"),
        (UnrolledConfig(n_cascades=2, n_channels=3, n_layers=2, tied=False), "Dense"),
        (CgSenseConfig(n_iterations=2), "Fourier"),
        (L1WaveletConfig(n_iterations=2), "Fourier"),
        (UNetConfig(n_channels=2, n_pools=1), "Fourier"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_model_is_evaluated_and_described(tmp_path, data, model, transform):
    make_run(tmp_path, data, model, transform)
    assert all(map(math.isfinite, evaluate(tmp_path)["metrics"].values()))
    artifacts = load_artifacts(tmp_path)
    comparisons = [a for a in artifacts if isinstance(a, Comparison)]
    assert [c.figure for c in comparisons] == ["reconstruction_t1", "reconstruction_t2"]
    assert all(set(c.extras) == {"zero-filled"} and c.style == "gray" for c in comparisons)
    tables = {a.figure: a for a in artifacts if isinstance(a, Table)}
    assert all("meddlr_2d: PSNR complex" in tables[n].title for n in ("scans", "means_over_scans"))
    assert len(tables["scans"].rows) == 8
    pictures = {a.figure for a in artifacts if isinstance(a, Picture)}
    learned = transform != "Fourier"
    described = {"kspace_weighting", "point_spread"}
    assert pictures == described
    assert ("transform_distance" in tables) == learned
    assert sum(isinstance(a, Basis) for a in artifacts) == learned
    curves = [a for a in artifacts if isinstance(a, Curve)]
    assert len(curves) == 4
    assert all(c.x[c.y.argmax()] == 0 for c in curves if c.shared)  # the peak is at the centre


def test_unseen_masks_are_measured_when_asked_for(tmp_path, data):
    config = make_run(tmp_path, data, SenseConfig(), "Monarch")
    save_config(tmp_path, replace(config, evaluation=EvaluationConfig("fastmri", unseen_mask=True)))
    metrics = evaluate(tmp_path)["metrics"]
    assert {line["masks"] for line in read_scans(tmp_path)} == {"seen", "unseen"}
    assert metrics["psnr/unseen_mask"] != metrics["psnr"]
    assert metrics["psnr/zero_filled/unseen_mask"] != metrics["psnr/zero_filled"]


def test_an_unseen_mask_is_not_the_one_of_training(data):
    options = {"mask": "equispaced", "acceleration": 3.0, "center_fraction": 0.2}
    for seed in range(6):  # of which some have the offset of the first seed that is tried
        test = load_splits(replace(data, mask_seed=seed, **options)).test
        assert not torch.equal(*(d.mask_of("test_2") for d in (test, with_unseen_masks(test))))
    everything = load_splits(replace(data, acceleration=1.0)).test
    with pytest.raises(ValueError, match=r"needs a mask that training never saw.*leave it out"):
        check_evaluation(EvaluationConfig(unseen_mask=True), everything)


def test_standard_error_is_over_scans():
    def make(scan: str, echo: str, value: float) -> Score:
        return Score(scan, echo, "model", "seen", 2.0, 3, dict.fromkeys(METRICS, value))

    scores = [make("a", "t1", 1), make("a", "t2", 3), make("b", "t1", 5), make("b", "t2", 7)]
    assert mean_over_scans(scores, "ssim") == (4, 2)
    assert mean_over_scans(scores[:2], "ssim") == (2, None)
    zero_filled = [replace(s, method="zero-filled") for s in scores]
    assert summarise(scores + zero_filled)["ssim/t2"] == 5


def test_nothing_that_is_not_a_number_enters_a_mean():
    scores = [Score(x, "t1", "model", "seen", 2.0, 3, {"ssim": 0.5}) for x in "ab"]
    spoilt = replace(scores[1], values={"ssim": math.nan})
    with pytest.raises(ValueError, match=r"mean of ssim .* NaN for scan b, t1"):
        mean_over_scans([scores[0], spoilt], "ssim")
    with pytest.raises(ValueError, match="no scan"):
        mean_over_scans([], "ssim")


def test_a_reconstruction_that_is_not_finite_is_named():
    target = np.ones((2, 12, 11), np.complex64)
    spoilt = target.copy()
    spoilt[1, 3, 4] = math.nan
    volume = Volume("knee", "t2", target, {"zero-filled": 0.9 * target, "model": spoilt})
    where = r"knee, t2, model: the reconstruction holds NaN .* in 1 of .* slice 1, row 3, column 4"
    with pytest.raises(ValueError, match=where):
        score(volume, PRESETS["fastmri"], "seen", 2.0)


def test_volumes_too_thin_for_the_window_are_refused_before_training(data):
    test = load_splits(data).test
    check_evaluation(EvaluationConfig("meddlr_2d"), test)
    with pytest.raises(ValueError, match="got 3 x 15 x 14; use a preset with SSIM of slices"):
        check_evaluation(EvaluationConfig("meddlr"), test)


@pytest.mark.parametrize("options", [{"mask": "stored"}, {"mask_regime": "scan"}])
def test_an_unseen_mask_needs_one_mask_that_was_seen(data, options):
    with pytest.raises(ValueError, match="other masks for the test split anyway"):
        MriConfig(replace(data, **options), evaluation=EvaluationConfig(unseen_mask=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "l3"}, "loss must be one of l1, l2, l2_ssim, l1_magnitude, got 'l3'"),
        ({"evaluation": EvaluationConfig("bart")}, "metric preset must be one of"),
    ],
)
def test_wrong_words_are_named_before_data_are_read(options, message):
    with pytest.raises(ValueError, match=message):
        MriConfig(**options)


@pytest.mark.parametrize(
    ("loss", "preset", "fits"),
    [
        ("l1_magnitude", "fastmri", True),
        ("l2", "fastmri", False),
        ("l1_magnitude", "meddlr", False),
    ],
)
def test_targets_without_phase_are_not_compared_with_complex_images(data, loss, preset, fits):
    test = load_splits(replace(data, target="rss")).test
    wrong = contextlib.nullcontext() if fits else pytest.raises(ValueError, match="have no phase")
    with wrong:
        check_loss(loss, test)
        check_evaluation(EvaluationConfig(preset), test)


def test_the_magnitude_loss_sees_no_phase(data):
    (kspace, maps, _), target = load_splits(replace(data, target="rss")).test[0]
    image = combine_sense(kspace.numpy(), maps.numpy())
    prediction = torch.from_numpy(image)
    loss = find_loss("l1_magnitude")
    torch.testing.assert_close(loss(prediction * 1j, target), loss(prediction, target))
    assert loss(target * 1j, target) < 1e-6
    assert find_loss("l1")(target * 1j, target) > 0.1 * target.abs().mean()


def test_a_scan_without_signal_is_named(tmp_path, data):
    root = Path(data.root)
    empty = tmp_path / "scans"
    empty.mkdir()
    for path in root.iterdir():
        (empty / path.name).write_bytes(path.read_bytes())
    info = ScanInfo("test_9", "test", "nothing", "CC0-1.0", ECHOES)
    zeros = np.zeros((2, 1, *GRID), np.complex64)
    with ScanWriter(empty / "test_9.h5", info, ScanShape(1, 2, 1, GRID)) as writer:
        writer.write(0, zeros, zeros[0], zeros[:, 0])
    make_run(tmp_path, replace(data, root=str(empty)), SenseConfig(), "Fourier")
    with pytest.raises(ValueError, match="scan test_9, t1, model: the target volume has no signal"):
        evaluate(tmp_path)


def test_an_evaluation_that_is_refused_keeps_the_run_and_its_results(tmp_path, data):
    root = tmp_path / "scans"
    root.mkdir()
    for path in Path(data.root).iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    run_dir = tmp_path / "run"
    make_run(run_dir, replace(data, root=str(root)), SenseConfig(), "Monarch")
    results = evaluate(run_dir)
    assert results["data_fingerprints"] == load_splits(data).fingerprints
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    assert {"weights.pt", "results.json", "scans.csv", "artifacts.npz"} <= set(before)
    with h5py.File(root / "test_3.h5", "r+") as file:
        file["target"][0, 1, 3, 4] = math.nan
    with pytest.raises(
        ValueError, match="scan test_3, slice 0: target holds NaN or infinity in 1 of"
    ):
        evaluate(run_dir)
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


# What a learned transform does


@pytest.mark.parametrize("inverse", [False, True])
def test_weighting_and_point_spread_of_a_diagonal_change(inverse):
    pair = axis_transforms(Dense, GRID, inverse=inverse)
    density = torch.rand(GRID[0]) + 0.5
    matrix = pair.along_height.weight.data[0]  # frequencies are rows, of an inverse columns
    matrix *= density[None, :, None] if inverse else density[:, None, None]
    expected = density[:, None].expand(GRID)
    torch.testing.assert_close(kspace_weighting(pair), expected, rtol=1e-4, atol=1e-4)
    sampled = (torch.rand(GRID) < 0.5).float()
    fft = axis_transforms(Fourier, GRID, inverse=True)
    torch.testing.assert_close(
        point_spread(pair, sampled), point_spread(fft, sampled * expected), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("heads", [(GRID[1], 1), (7, 1), (1, GRID[0]), (2, 5)], ids=str)
def test_weighting_of_a_matrix_for_each_column_or_line(heads):
    torch.manual_seed(0)
    pair = AxisTransforms(
        *(
            Dense.from_matrix(torch.randn(h, n, n, dtype=torch.complex64))
            for h, n in zip(heads, GRID, strict=True)
        ),
        inverse=True,
    )
    n_points = GRID[0] * GRID[1]
    units = torch.eye(n_points, dtype=torch.complex64).unflatten(1, GRID)
    there_and_back = axis_transforms(Fourier, GRID)(pair(units)).flatten(1)
    expected = there_and_back.diagonal().abs().unflatten(0, GRID)
    torch.testing.assert_close(kspace_weighting(pair), expected, rtol=1e-3, atol=1e-3)


def test_a_learned_filter_shows_in_weighting_and_point_spread():
    model = build_model(SenseConfig(weighting="diagonal"), partial(axis_transforms, Fourier), GRID)
    torch.nn.init.uniform_(model.density, 0.2, 2.0)
    mask = (torch.rand(GRID) < 0.5).float()
    pictures = {a.figure: a for a in describe_transforms(model, mask) if isinstance(a, Picture)}
    density = model.density.detach()
    np.testing.assert_allclose(pictures["kspace_weighting"].image, density, rtol=1e-4)
    spread = point_spread(model.inverse, density * mask).abs()
    expected = 60 + 20 * (spread / spread.max()).clamp(min=1e-3).log10()
    np.testing.assert_allclose(pictures["point_spread"].image, expected, atol=1e-3)
