"""A scan to an image: as sigpy makes it, as the evaluation of a run made it, in bounded memory."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from mri_files import FORMATS, GRID, lines_mask, undersampled, write_format
from mri_scans import config as dataset_config
from mri_scans import smooth_maps, write_dataset
from mri_sources import head, write_cfl

from data_scripts.mri.brain_slice import load_brain_slice
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.espirit import espirit
from monarch_core.runs.schema import save_config
from monarch_core.training.checkpoint import save_weights
from mri import reconstruct as command
from mri.config.model import CgSenseConfig, SenseConfig, UnrolledConfig
from mri.config.reconstruct import MapsConfig, ReconstructConfig
from mri.config.run import FitConfig, MriConfig, TransformConfig
from mri.dataset.splits import load_splits
from mri.metrics.scores import reconstruct as reconstruct_volumes
from mri.models import model_of
from mri.physics.encoding import Sense
from mri.reconstruct import reconstruct

ROOT = Path(__file__).parents[2]
MEASURED = ROOT.parent / "shared" / "data" / "mri"


def image_of(source, folder, **options):
    """Reconstruct a file and return its image (slices, echoes, y, z)."""
    out = folder / "image.npy"
    reconstruct(ReconstructConfig(input=str(source), out=str(out), **options))
    return np.load(out)


def by_sigpy(kspace, mask, method, calibration, kernel=6, crop=0.95):
    """Reconstruct a slice (coils, ky, kz) by sigpy alone, maps included."""
    from sigpy.mri import app, linop

    maps = app.EspiritCalib(
        kspace, calib_width=calibration, kernel_width=kernel, crop=crop, show_pbar=False
    ).run()
    maps = np.nan_to_num(maps)
    weights = np.broadcast_to(mask, kspace.shape[1:]).astype(np.float32)
    if method == "sense":
        return linop.Sense(maps, weights=weights).H * kspace
    options = {"weights": weights, "show_pbar": False}
    if method == "cg_sense":
        return app.SenseRecon(kspace, maps, 0.01, max_iter=30, **options).run()
    scale = np.sqrt((np.abs(kspace) ** 2).sum() / kspace[0].size)
    recon = app.L1WaveletRecon(kspace / scale, maps, 0.003, max_iter=60, **options)
    return scale * recon.run()


def assert_same_quality(found, expected, truth):
    """Assert that two images are as far from the truth, to .01 dB, and as good as equal."""
    error, other = (np.linalg.norm(image - truth) for image in (found, expected))
    assert abs(20 * np.log10(error / other)) < 0.01
    assert np.linalg.norm(found - expected) < 2e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("method", ["sense", "cg_sense", "l1_wavelet"])
def test_the_image_is_that_of_sigpy(method, tmp_path):
    kspace = undersampled()
    source, read = write_format(tmp_path, "npy", kspace)
    found = image_of(source, tmp_path, method=method, read=read)
    for index in range(2):
        expected = by_sigpy(kspace[index], lines_mask(), method, calibration=17)
        truth = np.abs(expected)  # any reference serves
        assert_same_quality(found[index, 0], expected, truth)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "npy"])
def test_the_image_is_the_same_from_every_format(kind, tmp_path):
    kspace = undersampled()
    images = []
    for one in ("npy", kind):
        source, read = write_format(tmp_path, one, kspace)
        maps = MapsConfig(method="espirit")
        images.append(image_of(source, tmp_path, method="cg_sense", read=read, maps=maps))
    np.testing.assert_allclose(images[1], images[0], atol=1e-4 * np.abs(images[0]).max())


@pytest.mark.skipif(not MEASURED.is_dir(), reason="the public files are not beside the repository")
def test_the_measured_slice_is_as_sigpy_makes_it(tmp_path):
    whole = load_brain_slice(str(MEASURED))
    mask = lines_mask(216, centre=24)
    np.save(tmp_path / "scan.npy", whole * mask)
    found = image_of(tmp_path / "scan.npy", tmp_path, method="cg_sense")[0, 0]
    kept = (whole * mask).astype(np.complex64)
    expected = by_sigpy(kept, mask, "cg_sense", calibration=24)
    maps = espirit(whole, calibration=24, kernel=6, threshold=0.02, crop=0.95)[0]
    assert_same_quality(found, expected, (maps.conj() * ifft_centred(whole)).sum(0))


def trained(folder, root, model, transform, grid):
    """Make a finished run whose transform is no DFT any more."""
    torch.manual_seed(0)
    run = MriConfig(
        dataset=dataset_config(root, acceleration=2.0),
        model=model,
        transform=TransformConfig(transform, transform),
        fit=FitConfig(batch_size=2, accelerator="cpu"),
    )
    network = model_of(run, grid)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    folder.mkdir()
    save_config(folder, run)
    save_weights(folder / "weights.pt", network)
    return run, network


@pytest.mark.parametrize("model", [SenseConfig(), UnrolledConfig(n_cascades=2, n_channels=4)])
def test_a_run_makes_the_image_that_its_evaluation_measured(model, tmp_path):
    root = write_dataset(tmp_path / "scans", grid=GRID)
    run, network = trained(tmp_path / "run", root, model, "monarch", GRID)
    test = load_splits(run.dataset).test
    np.save(tmp_path / "mask.npy", test.mask_of("d").numpy())
    measured = list(reconstruct_volumes({"model": network}, test, 2, torch.device("cpu")))
    image = image_of(
        root / "d.h5", tmp_path, run=str(tmp_path / "run"), mask=str(tmp_path / "mask.npy")
    )
    for echo, volume in enumerate(measured):
        expected = volume.predictions["model"] * test.info("d").scale
        np.testing.assert_allclose(image[:, echo], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["cg_sense", "sense"])
def test_a_method_takes_the_encoding_of_a_calibration(method, tmp_path):
    root = write_dataset(tmp_path / "scans", grid=GRID)
    model = CgSenseConfig(candidates=[0.01], n_iterations=30)
    config, network = trained(tmp_path / "run", root, model, "monarch", GRID)
    scan, run = root / "d.h5", str(tmp_path / "run")
    found = image_of(scan, tmp_path, method=method, calibration=run)
    if method == "cg_sense":
        expected = image_of(scan, tmp_path, run=run)
    else:
        with h5py.File(scan) as file:
            maps, kspace = (torch.from_numpy(file[name][()]) for name in ("maps", "kspace"))
        mask = (kspace.abs().amax((1, 2)) > 0).float()
        expected = Sense(maps, mask, network.transform).adjoint(kspace).detach().numpy()
        expected *= load_splits(config.dataset).test.info("d").scale
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(found - image_of(scan, tmp_path, method=method)).max() > 0.01


def test_a_calibration_is_for_methods(tmp_path):
    with pytest.raises(ValueError, match=r"has an encoding of its own.*in place of the run"):
        ReconstructConfig(input="a.h5", out="b.h5", run="c", calibration="d")


def test_a_run_of_another_grid_is_refused_with_what_to_do(tmp_path):
    root = write_dataset(tmp_path / "scans", grid=(16, 12))
    trained(tmp_path / "run", root, SenseConfig(), "monarch", (16, 12))
    source, read = write_format(tmp_path, "npy", undersampled(1))
    message = r"another grid than the 42 x 39.*train on scans of this grid.*method=cg_sense"
    with pytest.raises(ValueError, match=message):
        image_of(source, tmp_path, run=str(tmp_path / "run"), read=read)
    assert not (tmp_path / "image.npy").exists()


def test_a_stored_mask_is_taken_by_name(tmp_path):
    grid, columns = (40, 36), lines_mask(36, centre=17)
    masks = {"equispaced_3x": np.broadcast_to(columns, grid)}
    root = write_dataset(tmp_path, grid=grid, n_slices=1, masks=masks)
    with h5py.File(root / "d.h5") as file:
        kspace, maps = file["kspace"][0], file["maps"][0]
        scale = file.attrs["scale"]
    image = image_of(root / "d.h5", tmp_path, method="sense", mask="equispaced_3x")
    expected = (maps.conj() * ifft_centred(kspace * columns)).sum(1) * scale
    np.testing.assert_allclose(image[0], expected, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(ValueError, match=r"no mask 'poisson', only \['equispaced_3x'\]"):
        image_of(root / "d.h5", tmp_path, method="sense", mask="poisson")


def test_echoes_may_be_sampled_each_in_its_own_way(tmp_path):
    kspace = np.stack([undersampled(1)[0], undersampled(1)[0]])[None]  # slice, echo, coil, x, y
    kspace[0, 1, :, :, 30:] = 0
    np.save(tmp_path / "both.npy", kspace)
    np.save(tmp_path / "second.npy", kspace[0, 1])
    np.save(tmp_path / "first.npy", kspace[0, 0])
    both = image_of(tmp_path / "both.npy", tmp_path, method="cg_sense")[0]
    first = image_of(tmp_path / "first.npy", tmp_path, method="cg_sense")[0, 0]
    np.testing.assert_allclose(both[0], first, atol=1e-5 * np.abs(first).max())
    assert np.abs(both[1] - first).max() > 0.01 * np.abs(first).max()
    np.save(tmp_path / "both.npy", kspace * [[[[0]]], [[[1]]]])  # nothing in the first of them
    both = image_of(tmp_path / "both.npy", tmp_path, method="cg_sense")[0]
    second = image_of(tmp_path / "second.npy", tmp_path, method="cg_sense")[0, 0]
    np.testing.assert_allclose(both[1], second, atol=1e-5 * np.abs(second).max())


def folded_brain(n_coils=6, grid=(40, 36)):
    """K-space of an object a quarter longer than the field of view, and that object's image."""
    n_y, n_z = grid
    maps = smooth_maps(n_coils, (2 * n_y, n_z), seed=3)
    y, z = np.meshgrid(np.arange(2 * n_y) - n_y, np.linspace(-1, 1, n_z), indexing="ij")
    image = ((y / (0.7 * n_y)) ** 2 + (z / 0.7) ** 2 < 1) * np.exp(0.5j * z)
    seen = np.roll((maps * image).reshape(n_coils, 2, n_y, n_z), n_y // 2, -2)
    return fft_centred(seen.sum(1)).astype(np.complex64)


def test_two_sets_of_maps_fit_what_folds(tmp_path):
    kspace = folded_brain()
    mask = np.arange(36) % 2 == 0
    mask[9:27] = True
    np.save(tmp_path / "scan.npy", kspace * mask)
    left_over = {}
    for n_sets in (1, 2):
        out = tmp_path / f"{n_sets}.h5"
        maps = MapsConfig(n_sets=n_sets, crop=0.8, kernel=5)
        options = {"method": "cg_sense", "lamda": 1e-4, "maps": maps, "out": str(out)}
        reconstruct(ReconstructConfig(input=str(tmp_path / "scan.npy"), **options))
        with h5py.File(out) as file:
            stored = file["maps"][0] if n_sets == 2 else file["maps"][0][None]
            images = file["image_sets"][0] if n_sets == 2 else file["image"][0][None]
            whole = np.sqrt((np.abs(images) ** 2).sum(0))
            np.testing.assert_allclose(np.abs(file["image"][0]), whole, rtol=1e-5)
            assert file["mask"].shape == (1, 1, 40, 36)
        predicted = fft_centred((stored * images[:, 0, None]).sum(0)) * mask
        left_over[n_sets] = np.linalg.norm(predicted - kspace * mask) / np.linalg.norm(kspace)
    assert left_over[2] < 0.3 * left_over[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give the scan and the file"),
        ({"input": "a.npy", "out": "b.npy"}, "give either run=RUN_DIR"),
        ({"method": "sense", "run": "x"}, "give either run=RUN_DIR"),
        ({"method": "grappa"}, "method must be one of"),
        ({"method": "sense", "lamda": 0.1}, "lamda cannot be given without method=cg_sense"),
        ({"method": "cg_sense", "lamda": -1.0}, "lamda must be"),
        ({"method": "l1_wavelet", "maps": {"n_sets": 2}}, "two sets of maps"),
        ({"method": "cg_sense", "maps": {"n_sets": 3}}, "maps.n_sets must be 1, or 2"),
        ({"method": "cg_sense", "maps": {"crop": 1.5}}, "crop must be"),
        ({"method": "cg_sense", "maps": {"method": "walsh"}}, "maps.method must be"),
        ({"method": "cg_sense", "accept": ["all"]}, "accept must hold kinds"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    values = {"input": "a.npy", "out": "b.npy", **options} if options else {}
    with pytest.raises(ValueError, match=message):
        ReconstructConfig(**{**values, "maps": MapsConfig(**values.pop("maps", {}))})


def test_scans_that_are_none_are_refused_before_anything_is_made(tmp_path):
    whole = undersampled(1)
    images = np.abs(ifft_centred(whole))
    cases = {
        "no imaginary part": images,
        "not centred": np.fft.fftshift(whole, (-2, -1)),
        "is smaller|sampled in the central": whole * (np.arange(GRID[1]) % 3 == 0),
        "NaN or infinity": np.where(np.arange(GRID[1]) == 5, np.nan, whole),
        "zero in every slice": 0 * whole,
    }
    for message, kspace in cases.items():
        np.save(tmp_path / "bad.npy", kspace)
        with pytest.raises(ValueError, match=message):
            image_of(tmp_path / "bad.npy", tmp_path, method="sense")
    bad = str(tmp_path / "bad.npy")
    for out, message in (("a.jpg", "none of the"), (".npy", "none of the"), (bad, "in the place")):
        with pytest.raises(ValueError, match=message):
            reconstruct(ReconstructConfig(input=bad, out=str(tmp_path / out), method="sense"))
    np.save(tmp_path / "shifted.npy", np.fft.fftshift(whole, (-2, -1)))
    options = {"method": "sense", "accept": ["off_centre"], "maps": MapsConfig(kernel=1)}
    assert image_of(tmp_path / "shifted.npy", tmp_path, **options).shape == (1, 1, *GRID)


def test_an_image_across_the_border_is_told_and_made_all_the_same(tmp_path, caplog):
    whole = undersampled(1)
    for signs, told in ((1, 0), ((-1.0) ** np.arange(GRID[0])[:, None], 1)):
        caplog.clear()
        np.save(tmp_path / "scan.npy", whole * signs)
        image_of(tmp_path / "scan.npy", tmp_path, method="sense")
        assert caplog.text.count("alternating signs") == told


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda m: m, 0), (np.conj, 1), (lambda m: m[..., [1, 0, 2, 3]], 1)],
    ids=["sound", "conjugated", "other order"],
)
def test_maps_of_other_data_are_told(change, told, tmp_path, caplog):
    path, _ = write_format(tmp_path, "bart", undersampled(1))
    maps = head(GRID, 4)[1].transpose(1, 2, 0)[:, :, None]
    write_cfl(tmp_path / "scan_maps", change(maps))
    image_of(path, tmp_path, method="cg_sense")
    assert caplog.text.count("the coil maps are of other data") == told


def test_a_scan_that_fails_leaves_the_older_image(tmp_path):
    kspace = undersampled(3, grid=(42, 39))
    np.save(tmp_path / "scan.npy", kspace)
    before = image_of(tmp_path / "scan.npy", tmp_path, method="sense")
    kspace[2, 0, 3, 20] = np.nan
    np.save(tmp_path / "scan.npy", kspace)
    with pytest.raises(ValueError, match="slice 2 of kspace holds NaN"):
        image_of(tmp_path / "scan.npy", tmp_path, method="sense")
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.npy", "scan.npy"]


@pytest.mark.parametrize("ending", ["npy", "h5"])
def test_a_reconstruction_that_is_killed_goes_on_with_the_next_slice(tmp_path, monkeypatch, ending):
    made, killed_at = [], [None]
    real = command.find_method

    def counted(config, grid):
        method = real(config, grid)

        def one(*of_slice):
            if len(made) == killed_at[0]:
                raise KeyboardInterrupt
            made.append(of_slice)
            return method(*of_slice)

        return one

    def attempt(killed_after=None, **changes):
        made.clear()
        killed_at[0] = killed_after
        options = {"method": "cg_sense", "n_iterations": 2, "lamda": 0.01, **changes}
        reconstruct(ReconstructConfig(input=str(source), out=str(out), **options))
        return len(made)

    def content():
        if ending == "npy":
            return [np.load(out)]
        with h5py.File(out) as file:
            return [file[name][()] for name in ("image", "maps", "mask")]

    monkeypatch.setattr(command, "find_method", counted)
    source = write_dataset(tmp_path / "scans", n_slices=4) / "d.h5"  # which has its maps
    out = tmp_path / f"image.{ending}"
    assert attempt() == 4
    undisturbed = content()
    out.unlink()
    for killed_after in (2, 1):
        with pytest.raises(KeyboardInterrupt):
            attempt(killed_after)
        assert not out.exists()
    (tmp_path / f".{out.name}.slices" / "000001.npz").write_bytes(b"")  # as after a power failure
    assert attempt() == 2
    for found, expected in zip(content(), undisturbed, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert {path.name for path in tmp_path.iterdir()} == {"scans", out.name}
    with pytest.raises(KeyboardInterrupt):
        attempt(2)
    assert attempt(lamda=0.02) == 4  # slices of another image are no help
    mask = tmp_path / "scans" / "mask.npy"
    for first_column in (1, 0):  # nor are those of another mask in the same file
        np.save(mask, [first_column, *[1] * 11])
        with pytest.raises(KeyboardInterrupt):
            attempt(2, mask=str(mask))


PEAKS = """
import sys
import torch
from data_scripts.mri import arrays, measured
from data_scripts.mri.formats import ReadOptions
from monarch_core.runs import fingerprint
from monarch_core.training.devices import peak_memory_bytes, reset_peak_memory
from mri.config.reconstruct import ReconstructConfig
from mri.reconstruct import reconstruct
measured.CHUNK_BYTES, arrays._BLOCK_BYTES = 1 << 21, 1 << 20
arrays._MAPPED_BYTES = fingerprint._WHOLE = 1 << 20
read = ReadOptions(axes=["x", "y", "z"])
for source in sys.argv[1:]:
    reset_peak_memory(torch.device("cpu"))
    options = {"input": source, "out": f"{source}.npy", "read": read, "method": "sense"}
    reconstruct(ReconstructConfig(**options))
    sys.stdout.write(f"{peak_memory_bytes(torch.device('cpu'))} ")
"""


def test_the_peak_of_memory_does_not_follow_the_size_of_the_scan(tmp_path):
    rng = np.random.default_rng(0)
    sources = [tmp_path / f"{n_x}.npy" for n_x in (70, 420)]
    for source in sources:
        n_x = int(source.stem)
        values = rng.standard_normal((n_x, 64, 60, 2), np.float32).view(np.complex64)[..., 0]
        x, y, z = np.ogrid[-n_x // 2 : n_x // 2, -32:32, -30:30]
        peaked = np.exp(-np.hypot(y, z) - np.abs(x / 20)).astype(np.float32)
        np.save(source, values * peaked)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    warm_up = sources[0]  # the first one fills what libraries keep
    command = [sys.executable, "-c", PEAKS, *map(str, (warm_up, *sources))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    _, small, large = map(int, done.stdout.split())
    assert sources[1].stat().st_size - sources[0].stat().st_size > 10e6
    assert large - small < 6e6
