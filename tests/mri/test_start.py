"""A reconstruction that starts from the weights of another run computes what that one did."""

import json
from pathlib import Path

import pytest
import torch
from mri_scans import smooth_maps
from pde_configs import composed

from monarch_core.runs.schema import save_config, to_dataclass
from monarch_core.training.checkpoint import save_weights
from monarch_core.transforms import Fourier
from mri import train
from mri.config.run import MriConfig
from mri.dataset.splits import load_splits
from mri.models import model_of
from mri.models.start import check_start, start_model

GRID = (18, 16)
SMALL = ["dataset.recipe.height=18", "dataset.recipe.width=16"]
TINY = [
    *(f"dataset.recipe.n_{split}=1" for split in ("train", "valid", "test")),
    *(f"dataset.recipe.{key}" for key in ("n_slices=7", "n_coils=3", "n_workers=1")),
    *("dataset.mask=equispaced", "dataset.center_fraction=0.3"),
]
UNROLLED = ["model=unrolled", "model.n_cascades=2", "model.n_channels=4", "model.n_layers=2"]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Scans from one scanner, whose lines are displaced."""
    config = config_of(
        f"dataset.root={tmp_path_factory.mktemp('known')}",
        *TINY,
        "dataset.recipe.trajectory=0.4",
    )
    return load_splits(config.dataset)


def config_of(*overrides: str) -> MriConfig:
    return to_dataclass(composed("mri", *SMALL, *overrides), MriConfig)


def run_of(folder: Path, *overrides: str, grid=GRID, splits=None):
    """A run folder whose model has left its start."""
    config = config_of(*overrides)
    torch.manual_seed(0)
    model = model_of(config, grid, splits)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    folder.mkdir()
    save_config(folder, config)
    save_weights(folder / "weights.pt", model)
    return model


def started(tmp_path, *overrides: str, splits=None):
    config = config_of(f"weights={tmp_path / 'source'}", *overrides)
    torch.manual_seed(1)
    run_dir = tmp_path / "new"
    run_dir.mkdir(exist_ok=True)
    check_start(config, run_dir)
    model = model_of(config, GRID, splits)
    return model, start_model(model, config, GRID, run_dir)


def assert_same(model, source):
    maps = torch.from_numpy(smooth_maps(3, GRID)).expand(2, -1, -1, -1)
    mask = (torch.rand(2, *GRID) < 0.5).float()
    kspace = torch.randn(2, 1, 3, *GRID, dtype=torch.complex64) * mask[:, None, None]
    found, there = (network(kspace, maps, mask) for network in (model, source))
    torch.testing.assert_close(found, there, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("there", "here", "n_left"),
    [
        (["transform=monarch"], ["transform=monarch"], 0),
        (["transform=dense"], ["transform=dense", "transform.learn=none"], 0),
        (["model=sense_filter", "transform=fft"], ["model=sense_filter", "transform=fft"], 0),
        ([*UNROLLED, "transform=fft"], [*UNROLLED, "transform=monarch"], 2),
        ([*UNROLLED, "transform=fft"], [*UNROLLED, "transform=fft"], 0),
        ([*UNROLLED, "transform=scanner"], [*UNROLLED, "transform=scanner"], 2),
        (
            [*UNROLLED, "model.tied=false", "transform=monarch"],
            [*UNROLLED, "model.tied=false", "transform=monarch"],
            0,
        ),
        (["model=unet", "model.n_channels=2", "model.n_pools=1", "transform=fft"],
         ["model=unet", "model.n_channels=2", "model.n_pools=1", "transform=monarch"], 2),
    ],
)  # fmt: skip
def test_it_computes_what_the_source_does(tmp_path, known, there, here, n_left):
    source = run_of(tmp_path / "source", *there, splits=known)
    model, transfer = started(tmp_path, *here, splits=known)
    assert_same(model, source)
    assert len(transfer.left) == n_left
    origin = json.loads((tmp_path / "new/started_from.json").read_text())
    assert origin["weights"] == str(tmp_path / "source")
    assert (origin["taken"], len(origin["left"])) == (len(transfer.tensors), n_left)


@pytest.mark.parametrize("grid", [GRID, (24, 16)])
def test_what_began_at_the_scans_there_stays_there(tmp_path, known, grid):
    there = [*UNROLLED, "transform=scanner", "transform.learn=both"]
    source = run_of(tmp_path / "source", *there, splits=known)
    config = config_of(f"weights={tmp_path / 'source'}", *UNROLLED, "transform=dense")
    config.dataset.recipe = None
    model = model_of(config, grid)
    (tmp_path / "new").mkdir()
    transfer = start_model(model, config, grid, tmp_path / "new")
    torch.testing.assert_close(model.steps, source.steps)
    axes = [f"encodings.0.encode.along_{axis}" for axis in ("height", "width")]
    words = "which began at the encoding of the scans there"
    assert transfer.left == [f"{axis}, {words}" for axis in axes]


def test_the_encoding_of_another_scanner_is_its_own(tmp_path, known):
    source = run_of(tmp_path / "source", *UNROLLED, "transform=fft")
    model, _ = started(tmp_path, *UNROLLED, "transform=scanner", splits=known)
    torch.testing.assert_close(model.steps, source.steps)
    there = known.encoding(0, "exact", 18).real.float()
    torch.testing.assert_close(model.encodings[0].encode.along_height.matrix()[0], there)


def test_with_a_calibration_only_the_rest_is_taken(tmp_path):
    source = run_of(tmp_path / "source", *UNROLLED, "transform=monarch")
    model, transfer = started(tmp_path, *UNROLLED, "transform=monarch", "calibration=a_run")
    torch.testing.assert_close(model.steps, source.steps)
    encoding = model.encodings[0].encode
    dft = Fourier(18, centered=True).dense()
    torch.testing.assert_close(encoding.along_height.dense(), dft, rtol=0, atol=1e-5)
    assert all("begins at the calibration" in words for words in transfer.left)


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ([], ["transform=dense"], "inverse.along_height is a Dense here and a Monarch there"),
        ([], ["transform=fft"], "inverse.along_height is a Fourier here and a Monarch there.*give"),
        (
            ["transform.block_sizes=[2,9]", "dataset.recipe.width=18"],
            ["transform.block_sizes=[3,6]", "dataset.recipe.width=18"],
            r"inverse.along_height.L is \(.*\) here and \(",
        ),
        (["transform.rank=2"], [], "inverse.along_height.*here and .*; give the options"),
        (
            [*UNROLLED],
            [*UNROLLED, "model.n_channels=6"],
            r"another network: model.n_channels=6 \(there 4\); give the options",
        ),
        ([*UNROLLED], [], r"model.name=sense \(there unrolled\)"),
        (
            ["transform=fft"],
            ["transform=fft"],
            "model=sense transform=fft, which has no weights to",
        ),
        ([], ["weights=/none/such"], "weights=/none/such is not the folder of a run; give"),
    ],
)
def test_another_network_is_refused_before_data_are_read(tmp_path, there, here, message):
    grid = (18, 18) if "dataset.recipe.width=18" in there else GRID
    run_of(tmp_path / "source", *there, grid=grid)
    config = config_of(f"weights={tmp_path / 'source'}", *here)
    with pytest.raises(ValueError, match=message):
        check_start(config, tmp_path / "new")


def test_another_grid_is_refused_with_the_name_of_the_parameter(tmp_path):
    run_of(tmp_path / "source")
    weights = f"weights={tmp_path / 'source'}"
    message = r"another grid than the 24 x .*train on scans of this grid.*inverse.along_height"
    with pytest.raises(ValueError, match=message):
        check_start(config_of(weights, "dataset.recipe.height=24"), tmp_path)
    config = config_of(weights)
    config.dataset.recipe = None  # nobody knows the grid before the scans are looked at
    check_start(config, tmp_path)
    model = model_of(config, (24, 16))
    with pytest.raises(ValueError, match=message):
        start_model(model, config, (24, 16), tmp_path)


def test_a_run_without_an_epoch_has_no_weights(tmp_path):
    run_of(tmp_path / "source")
    (tmp_path / "source/weights.pt").unlink()
    with pytest.raises(ValueError, match="has not finished an epoch; train that run first"):
        started(tmp_path)


def test_a_run_that_goes_on_needs_its_source_no_more(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/checkpoint.pt").touch()
    assert started(tmp_path)[1] is None


def test_weights_of_other_data_are_not_trained_on_by_chance(tmp_path, monkeypatch):
    run_of(tmp_path / "source", "dataset.root=mine")
    config = config_of(f"weights={tmp_path / 'source'}")
    asked = ["weights=x"]
    monkeypatch.setattr("monarch_core.training.origin.asked_overrides", lambda: asked)
    words = "names no data; give dataset.root=mine for the same, dataset=mri_phantom for"
    with pytest.raises(ValueError, match=words):
        check_start(config, tmp_path)
    asked.append("dataset.root=other")
    check_start(config, tmp_path)


def test_the_command_trains_on(tmp_path):
    """At a rate of nothing a run ends with the weights that it started from."""

    def trained(name, *overrides):
        given = [*SMALL, *TINY, "fit.epochs=1", "fit.n_threads=1", *overrides]
        places = [f"dataset.root={tmp_path / 'heads'}", f"+run_dir={tmp_path / name}"]
        raw = composed("mri", *given, *places)
        train.main.__wrapped__.__wrapped__(raw)
        return json.loads((tmp_path / name / "results.json").read_text())

    first = trained("first")
    at_rest = ["fit.transform_learning_rate=1e-12"]
    second = trained("second", f"weights={tmp_path / 'first'}", *at_rest)
    assert second["metrics"]["nrmse"] == pytest.approx(first["metrics"]["nrmse"], rel=1e-5)
    assert second["started_from"]["weights"] == str(tmp_path / "first")
    assert first["started_from"] is None
