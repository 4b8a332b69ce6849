"""The transform of a run is the encoding of the scanner that its scans were simulated with."""

import h5py
import pytest
import torch
from mri_scans import GRID, config, write_dataset

from data_scripts.mri.centred_fft import ifft_centred
from data_scripts.mri.field_map import measured_columns
from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.recipe import produce
from monarch_core.training.checkpoint import load_weights, save_weights
from monarch_core.training.transform_config import TransformConfig
from monarch_core.transforms import Fourier
from mri.config.model import CgSenseConfig, SenseConfig
from mri.config.run import MriConfig
from mri.dataset.splits import load_splits
from mri.models import encoding_of, model_of, model_of_run

FFT = TransformConfig("fft", kind="fourier")


def simulated(folder, **options):
    tiny = {"n_train": 1, "n_valid": 1, "n_test": 1, "n_slices": 1, "n_coils": 2, "n_workers": 1}
    produce(PhantomRecipe(out=str(folder), height=17, width=12, noise=0.0, **tiny, **options))
    return load_splits(config(folder, echoes="echo1"))


def test_the_transform_of_a_run_is_the_encoding_that_made_the_scans(tmp_path):
    errors = {"trajectory": 0.4, "b0_hz": 20.0, "gradient_delay": 0.3, "eddy_phase": 0.5}
    splits = simulated(tmp_path / "errors", **errors)
    ideal = simulated(tmp_path / "ideal")
    scanner = TransformConfig("scanner", kind="exact", learn="none")
    for name in ("train_000", "test_000"):
        with (
            h5py.File(tmp_path / "errors" / f"{name}.h5") as file,
            h5py.File(tmp_path / "ideal" / f"{name}.h5") as truth,
        ):
            kspace = torch.from_numpy(file["kspace"][0])
            images = torch.from_numpy(ifft_centred(truth["kspace"][0]))
        encoded = encoding_of(scanner, splits, GRID)(images)
        torch.testing.assert_close(encoded, kspace, rtol=0, atol=1e-5 * float(kspace.abs().max()))
        torch.testing.assert_close(
            encoding_of(scanner, ideal, GRID)(images),
            encoding_of(FFT, ideal, GRID)(images),
            rtol=0,
            atol=1e-5 * float(kspace.abs().max()),
        )


def test_a_measured_map_is_all_that_another_transform_knows(tmp_path):
    splits = simulated(tmp_path, b0_hz=20.0, trajectory=0.4, gradient_delay=0.3)
    transform = TransformConfig("field_map", kind="measured", learn="none")
    along_height, along_width = encoding_of(transform, splits, GRID).children()
    expected = torch.from_numpy(measured_columns(splits.scanner, GRID)).to(torch.complex64)
    torch.testing.assert_close(along_height.dense(), expected)
    dft = Fourier(GRID[1], centered=True).dense()
    torch.testing.assert_close(along_width.dense(), dft, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scanner": "per_scan", "trajectory": 0.5}, "scanners with other errors.*scanner=fixed"),
        (None, r"the scan a does not tell the encoding of its scanner.*prepare it again"),
    ],
)
def test_scans_without_one_scanner_in_common(tmp_path, options, message):
    splits = (
        simulated(tmp_path, **options) if options else load_splits(config(write_dataset(tmp_path)))
    )
    run = MriConfig(
        splits.train.config, transform=TransformConfig("scanner", "exact", learn="none")
    )
    with pytest.raises(ValueError, match=message):
        model_of(run, splits.grid, splits)


@pytest.mark.parametrize("model", [CgSenseConfig(), SenseConfig()])
@pytest.mark.parametrize("errors", [{"trajectory": 0.4}, {"b0_hz": 20.0, "gradient_delay": 0.3}])
def test_the_weights_of_a_run_hold_it_where_its_scans_are_not_at_hand(tmp_path, model, errors):
    splits = simulated(tmp_path / "scans", **errors)
    transform = TransformConfig("scanner", kind="exact", learn="none")
    run = MriConfig(splits.train.config, model, transform)
    trained = model_of(run, GRID, splits)
    save_weights(tmp_path / "weights.pt", trained)
    loaded = model_of_run(tmp_path, run, GRID)
    load_weights(tmp_path / "weights.pt", loaded)
    (kspace, maps, mask), _ = splits.test[0]
    measurement = kspace[None], maps[None], mask[None]
    torch.testing.assert_close(loaded(*measurement), trained(*measurement))
