"""A calibration finds the encoding of a scanner, and every reconstruction can use it."""

import json
from functools import partial

import pytest
import torch
from pde_configs import composed
from torch import Tensor

from data_scripts.mri.scanner import Scanner
from monarch_core.transforms import Dense, Fourier, LinearTransform, Monarch, PhasedFourier
from mri import calibrate as command
from mri import train
from mri.models.calibrated import load_encoding
from mri.physics.axis_transforms import AxisTransforms, axis_transforms
from mri.physics.calibration import KnownScan, calibrate

GRID = (24, 15)
DISPLACED = Scanner(trajectory=0.5)
DOUBLE = {"dtype": torch.float64}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def encoding_of(scanner: Scanner) -> AxisTransforms:
    matrices = scanner.columns(GRID), scanner.along_readout(GRID[1])
    return AxisTransforms(*(Dense.from_matrix(torch.from_numpy(A), **DOUBLE) for A in matrices))


def scan_of(scanner: Scanner, n_images: int = 8, noise: float = 0.0, covered: Tensor | None = None):
    """A scan of a random object, and what `scanner` makes of it."""
    images = 1 + torch.randn(n_images, *GRID, dtype=torch.complex128)
    if covered is not None:
        images = images * covered[:, None]
    kspace = encoding_of(scanner)(images).detach()
    return KnownScan(images, kspace + noise * torch.randn_like(kspace))


def matrix(transform: LinearTransform) -> Tensor:
    return torch.complex(*transform.matrix()).detach()


def kronecker(pair: AxisTransforms) -> Tensor:
    """The whole encoding: a number may go from one axis to the other."""
    return torch.kron(matrix(pair.along_height)[0], matrix(pair.along_width)[0])


def distance(found: Tensor, there: Tensor) -> float:
    return float((found - there).norm() / there.norm())


@pytest.mark.parametrize(
    ("factory", "known"),
    [
        (Dense, 1e-5),
        (partial(Monarch, rank=4), 2e-3),
        (partial(Monarch, rank=3), 2e-2),
        (partial(Monarch, rank=2), 0.2),
        (PhasedFourier, 1.0),
        (Fourier, 1.0),
    ],
    ids=["dense", "rank 4", "rank 3", "rank 2", "phases", "fft"],
)
def test_without_noise_the_encoding_is_found_as_far_as_the_class_goes(factory, known):
    options = {} if factory is Fourier else DOUBLE
    pair = axis_transforms(partial(factory, **options), GRID)
    scan, held_out = scan_of(DISPLACED), scan_of(DISPLACED)
    before = held_out.residual(pair)
    residual = calibrate(pair, scan, held_out)
    assert residual == held_out.residual(pair) <= before
    assert distance(kronecker(pair), kronecker(encoding_of(DISPLACED))) < known
    assert residual < known


def test_phases_are_found():
    scanner = Scanner(eddy_phase=0.8, epi_ghost=0.3, gradient_delay=0.4)
    pair = axis_transforms(partial(PhasedFourier, **DOUBLE), GRID)
    assert calibrate(pair, scan_of(scanner), scan_of(scanner)) < 2e-3


@pytest.mark.parametrize("heads", [15, 5])
def test_groups_of_columns_have_matrices_of_their_own(heads):
    scanner = Scanner(trajectory=0.3, b0_hz=15.0, gradient_delay=0.3)
    common, grouped = (
        AxisTransforms(
            Dense(GRID[0], heads=n, centered=True, **DOUBLE),
            Dense(GRID[1], centered=True, **DOUBLE),
        )
        for n in (1, heads)
    )
    scan, held_out = scan_of(scanner, 60), scan_of(scanner, 60)
    one, several = (calibrate(pair, scan, held_out, n_sweeps=20) for pair in (common, grouped))
    assert several < (1e-3 if heads == 15 else 0.5 * one)
    x, y = held_out.images[0], held_out.kspace[1]
    forward, backward = (grouped(x).conj() * y).sum(), (x.conj() * grouped.adjoint(y)).sum()
    torch.testing.assert_close(forward, backward)


def test_where_the_object_is_not_the_dft_stays():
    covered = torch.ones(GRID[0], dtype=torch.float64)
    covered[:6] = 0
    pair = axis_transforms(partial(Dense, **DOUBLE), GRID)
    dft = matrix(pair.along_height)[0]
    scans = (scan_of(DISPLACED, noise=0.01, covered=covered) for _ in range(2))
    scan, held_out = scans
    assert scan.coverage == pytest.approx(18 / 24)
    calibrate(pair, scan, held_out)
    found = matrix(pair.along_height)[0]
    there = matrix(encoding_of(DISPLACED).along_height)[0]
    assert distance(found[:, :6], dft[:, :6]) < 1e-6
    assert distance(found[:, 6:], there[:, 6:]) < 0.1


def test_an_object_without_signal():
    scan = KnownScan(torch.zeros(2, *GRID, dtype=torch.complex64), torch.ones(2, *GRID) + 0j)
    with pytest.raises(ValueError, match="no signal in any slice"):
        calibrate(axis_transforms(Dense, GRID), scan, scan)


ERRORS = ["dataset.recipe.trajectory=0.4", "dataset.recipe.height=18", "dataset.recipe.width=16"]
TINY = [*ERRORS, "dataset.recipe.n_slices=7", "dataset.recipe.n_coils=3", "fit.n_threads=1"]


def calibrated(folder, *overrides):
    """What `python mri/calibrate.py` leaves in a folder."""
    root = f"dataset.root={folder.parent / 'beads'}"
    recipe = ["dataset.recipe.n_workers=1", "dataset.recipe.noise=0.002"]
    given = [root, *TINY, *recipe, f"+run_dir={folder}", *overrides]
    raw = composed("mri", *given, script="calibrate")
    command.main.__wrapped__.__wrapped__(raw)
    return json.loads((folder / "results.json").read_text())["metrics"]


def reconstructed(folder, *overrides):
    """What `python mri/train.py` finds on heads from the same scanner."""
    raw = composed(
        "mri",
        f"dataset.root={folder.parent / 'heads'}",
        *TINY,
        *(f"dataset.recipe.n_{split}=1" for split in ("train", "valid", "test")),
        "dataset.recipe.n_workers=1",
        "dataset.mask=equispaced",
        "dataset.center_fraction=0.3",
        "fit.epochs=1",
        f"+run_dir={folder}",
        *overrides,
    )
    train.main.__wrapped__.__wrapped__(raw)
    return json.loads((folder / "results.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def scanner(tmp_path_factory):
    """A folder with a calibration of rank 3."""
    folder = tmp_path_factory.mktemp("scanner")
    calibrated(folder / "run", "transform.rank=3")
    return folder


def test_the_command_calibrates(scanner, tmp_path):
    fft = calibrated(scanner / "fft", "transform=fft", "transform.rank=null")
    metrics = json.loads((scanner / "run" / "results.json").read_text())["metrics"]
    assert metrics["loss_valid"] < 0.3 * fft["loss_valid"]
    assert metrics["nrmse"] < 0.2 * fft["nrmse"]
    pair = load_encoding(scanner / "run", (18, 16))
    there = torch.from_numpy(Scanner(trajectory=0.4).columns((18, 16))[0])
    assert distance(pair.along_height.dense(torch.complex128), there) < 0.2


@pytest.mark.parametrize("model", ["cg_sense", "l1_wavelet", "sense", "unrolled"])
def test_every_reconstruction_uses_a_calibration(scanner, tmp_path, model):
    small = {
        "cg_sense": ["model.candidates=[0.01]"],
        "l1_wavelet": ["model.candidates=[0.001]", "model.n_iterations=8"],
        "sense": [],
        "unrolled": ["model.n_cascades=2", "model.n_channels=4", "model.n_layers=2"],
    }[model]
    used = ["transform=calibrated", "transform.rank=3", f"calibration={scanner / 'run'}"]
    fft, learned = (
        reconstructed(scanner / f"{model}_{name}", f"model={model}", *small, *options)
        for name, options in (("fft", ["transform=fft"]), ("calibrated", used))
    )
    assert learned["nrmse"] < 0.9 * fft["nrmse"]


def test_a_calibration_may_be_where_learning_starts(scanner):
    model = ["model=unrolled", "model.n_cascades=1", "model.n_channels=4", "model.n_layers=2"]
    start = [
        "transform=dense",
        f"calibration={scanner / 'run'}",
        "fit.transform_learning_rate=1e-9",
    ]
    metrics = reconstructed(scanner / "start", *model, *start)
    frozen = reconstructed(scanner / "frozen", *model, *start, "transform.learn=none")
    assert metrics["nrmse"] == pytest.approx(frozen["nrmse"], rel=1e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["transform=calibrated"], "is what mri/calibrate.py found; give the folder"),
        (["calibration={run}", "transform=fft"], "cannot be what .* found; use transform=calib"),
        (
            ["calibration={run}", "transform=monarch"],
            r"relative distance 0\.\d+\); use transform=calibrated transform.kind=monarch "
            r"transform.rank=3 transform.heads=1",
        ),
        (["calibration={run}", "transform=monarch", "transform.heads=2"], "cannot be what"),
        (["calibration=nowhere", "transform=dense"], "nowhere"),
    ],
)
def test_what_does_not_fit_a_calibration(scanner, tmp_path, overrides, message):
    overrides = [word.format(run=scanner / "run") for word in overrides]
    with pytest.raises(ValueError, match=message):
        reconstructed(tmp_path / "run", "model=cg_sense", *overrides)


def test_the_adjoint_of_a_calibration_may_need_a_dense_matrix(scanner, tmp_path):
    start = ["model=sense", f"calibration={scanner / 'run'}", "transform=calibrated"]
    with pytest.raises(ValueError, match=r"found.*transform.kind=dense transform.rank=null"):
        reconstructed(tmp_path / "no", *start, "transform.rank=1")
    reconstructed(tmp_path / "run", *start, "transform.kind=dense", "transform.rank=null")


def test_another_grid_or_another_model(scanner):
    with pytest.raises(ValueError, match=r"no encoding of 20 x 16 pixels.*holds for one grid"):
        load_encoding(scanner / "run", (20, 16))
    sense = scanner / "sense_calibrated"
    if not sense.exists():
        used = ["transform=calibrated", "transform.rank=3", f"calibration={scanner / 'run'}"]
        reconstructed(sense, "model=sense", *used)
    with pytest.raises(ValueError, match="model=sense, which has no encoding"):
        load_encoding(sense, (18, 16))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.acceleration=2"], "lacks samples of k-space.*use dataset.acceleration=1"),
        (["dataset.target=sense"], "computed from its own k-space by the FFT"),
        (["model=sense"], "with one encoding, got 0; use model=cg_sense"),
        (["weights=runs/mri/a"], "weights=runs/mri/a is where a training begins.*leave it out"),
        (["transform=calibrated"], "transform=calibrated is what a calibration leaves; say what"),
        (["calibration=runs/mri/a"], "calibration=runs/mri/a is where a training begins"),
    ],
)
def test_what_cannot_be_calibrated(scanner, tmp_path, overrides, message):
    mask = ["dataset.mask=equispaced"]
    with pytest.raises(ValueError, match=message):
        calibrated(scanner / tmp_path.name, *mask, *overrides)
