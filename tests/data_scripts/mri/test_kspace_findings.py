"""What k-space says about itself: sound scans are let in, each fault is found by its kind."""

import nibabel
import numpy as np
import pytest
import scipy.io
from mri_scans import smooth_maps
from mri_sources import head

from data_scripts.mri.brain_slice import load_brain_slice
from data_scripts.mri.centred_fft import fft_centred, ifft_centred
from data_scripts.mri.coil_maps import estimate_maps
from data_scripts.mri.download import BESIDE
from data_scripts.mri.kspace_findings import (
    KINDS,
    Finding,
    axis_findings,
    check_kinds,
    map_findings,
    missing_images,
    shift_findings,
    slice_findings,
    unaccepted,
)
from data_scripts.mri.low_field import GRIDS, read_low_field

GRIDS_OF_HEADS = [(64, 48), (67, 51)]


def kinds(kspace):
    return {finding.kind for finding in slice_findings(kspace[None])}


def masked(kspace, mask):
    return np.where(mask, kspace, 0)


def steps(grid):
    return np.meshgrid(*(np.arange(n) for n in grid), indexing="ij")


def ellipse(grid):
    y, z = steps(grid)
    return ((y - grid[0] // 2) / (grid[0] / 2)) ** 2 + ((z - grid[1] // 2) / (grid[1] / 2)) ** 2 < 1


def ragged_ellipse(grid):
    y, z = steps(grid)
    radius = np.hypot((y - grid[0] // 2) / (grid[0] / 2), (z - grid[1] // 2) / (grid[1] / 2))
    return radius < np.random.default_rng(5).uniform(0.95, 1.05, grid)


def columns(grid, acceleration, n_centre, seed=0):
    """Return a fastMRI-like mask: some centre columns, the others by chance."""
    n = grid[1]
    keep = np.random.default_rng(seed).random(n) < 1 / acceleration
    keep[n // 2 - n_centre // 2 : n // 2 + n_centre // 2] = True
    return np.broadcast_to(keep, grid)


SOUND = {
    "as it is": lambda k: k,
    "partial Fourier 5/8": lambda k: masked(k, steps(k.shape[1:])[1] >= 3 * k.shape[2] // 8),
    "partial echo 3/4": lambda k: masked(k, steps(k.shape[1:])[0] < 3 * k.shape[1] // 4),
    "corners left out": lambda k: masked(k, ellipse(k.shape[1:])),
    "a ragged border": lambda k: masked(k, ragged_ellipse(k.shape[1:])),
    "zero-padded": lambda k: np.pad(k, ((0, 0), (k.shape[1] // 2,) * 2, (k.shape[2] // 2,) * 2)),
    "echo off by two samples": lambda k: np.roll(k, (2, -2), (-2, -1)),
    "very noisy": lambda k: k + 0.12 * noise(k.shape),
    "of another scale": lambda k: 1e-7 * k,
    "one slice in integers": lambda k: np.round(k * 30 / np.abs(k).std()),
    "object off the middle": lambda k: fft_centred(np.roll(ifft_centred(k), (5, -6), (-2, -1))),
}

FAULTS = {
    "every second line": ("gaps", lambda k: masked(k, steps(k.shape[1:])[0] % 2 == 0)),
    "random columns": ("gaps", lambda k: masked(k, columns(k.shape[1:], 4, 8))),
    "random samples": ("gaps", lambda k: masked(k, noise(k.shape[1:]).real > -0.5)),
    "a twentieth lost at random": ("gaps", lambda k: masked(k, noise(k.shape[1:]).real > -1.645)),
    "one line lost": ("gaps", lambda k: masked(k, steps(k.shape[1:])[1] != 20)),
    "undersampled, then through single-precision FFTs": (
        "gaps",
        lambda k: fft_centred(
            ifft_centred(masked(k, columns(k.shape[1:], 3, 8)).astype(np.complex64))
        ).astype(np.complex64),
    ),
    "half of k-space": ("half", lambda k: masked(k, steps(k.shape[1:])[1] >= k.shape[2] // 2)),
    "no fftshift": ("off_centre", lambda k: np.fft.ifftshift(k, (-2, -1))),
    "off by n/8 - 1": ("off_centre", lambda k: np.roll(k, k.shape[1] // 8 - 1, -2)),
    "signs along the first axis": ("shifted", lambda k: k * (-1.0) ** steps(k.shape[1:])[0]),
    "signs along the second axis": ("shifted", lambda k: k * (-1.0) ** steps(k.shape[1:])[1]),
    "signs along both": ("shifted", lambda k: k * (-1.0) ** sum(steps(k.shape[1:]))),
    "an image": ("no_peak", ifft_centred),
    "noise alone": ("no_peak", lambda k: noise(k.shape)),
    "magnitudes": ("real", lambda k: np.abs(k).astype(np.complex64)),
    "integers": ("real", lambda k: np.round(1000 * k.real / k.real.max()).astype(np.complex64)),
}


def noise(shape):
    draws = np.random.default_rng(3).standard_normal((2, *shape))
    return draws[0] + 1j * draws[1]


@pytest.mark.parametrize("grid", GRIDS_OF_HEADS, ids=str)
@pytest.mark.parametrize("n_coils", [1, 8, 16])
@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_sound_scans_have_no_findings(grid, n_coils, change):
    assert kinds(change(head(grid, n_coils)[0])) == set()


@pytest.mark.parametrize("grid", GRIDS_OF_HEADS, ids=str)
@pytest.mark.parametrize("n_coils", [1, 8])
@pytest.mark.parametrize(("kind", "change"), FAULTS.values(), ids=FAULTS)
def test_faults_are_found_by_their_kind(grid, n_coils, kind, change):
    kspace = head(grid, n_coils)[0]
    assert kind in kinds(change(kspace))


@pytest.mark.parametrize(("kind", "change"), FAULTS.values(), ids=FAULTS)
def test_a_finding_is_one_clause_with_a_remedy(kind, change):
    for finding in slice_findings(change(head((64, 48), 4)[0])[None]):
        assert "\n" not in finding.text
        (sentence,) = unaccepted([finding], [])
        assert sentence.endswith(f"accept=[{finding.kind}]")
        assert unaccepted([finding], [finding.kind]) == []


def test_gaps_of_one_echo_are_found():
    kspace = np.stack([head((64, 48), 2)[0]] * 3)
    kspace[1] = masked(kspace[1], columns((64, 48), 2, 8))
    (finding,) = slice_findings(kspace)
    assert finding.kind == "gaps"
    assert "in echo 1" in finding.text


def test_a_coil_axis_is_no_axis_of_kspace():
    kspace = head((64, 48), 8)[0]  # as if the coils were partitions
    (finding,) = axis_findings(kspace, 0, "second")
    assert finding.kind == "no_peak"
    partitions = fft_centred(np.stack([head((64, 48), seed=s)[0][0] for s in range(8)]), (0,))
    assert axis_findings(partitions, 0, "second") == []


@pytest.mark.parametrize("n", [4, 5, 7, 12])
def test_thin_slabs_are_centred_and_coils_beside_the_centre_are_not(n):
    profile = 1 + 0.05 * np.cos(np.arange(n))  # as neighbouring slices differ
    partitions = fft_centred(np.stack([p * head((32, 24))[0][0] for p in profile]), (0,))
    assert axis_findings(partitions, 0, "second") == []
    beside = np.roll(partitions, 1 + n // 8, 0)
    assert [finding.kind for finding in axis_findings(beside, 0, "second")] == ["off_centre"]


def test_only_images_between_others_may_not_be_missing():
    signal = np.ones((5, 2), bool)
    signal[0] = signal[4] = False
    assert missing_images(signal) == []
    signal[2] = False
    (finding,) = missing_images(signal)
    assert finding.text.startswith("slice 2 has no data in echo 0")
    signal[2] = [True, False]
    assert missing_images(signal)[0].text.startswith("slice 2 has no data in echo 1")
    assert missing_images(np.zeros((3, 1), bool)) == []


def test_two_legs_are_not_shifted():
    leg = np.exp(-((np.arange(90) - 22) ** 2) / 80.0)
    assert shift_findings(leg + leg[::-1], "first") == []
    assert shift_findings(np.roll(leg, 20), "first") == []


@pytest.mark.parametrize("weakest", [0, 10, 45, 80])
def test_an_object_that_fills_the_field_of_view_is_not_shifted(weakest):
    filled = 1 - 0.15 * np.exp(-((np.arange(90) - weakest) ** 2) / 200.0)
    assert shift_findings(filled, "first") == []


def test_a_bright_side_of_an_object_is_not_a_shift():
    spine = np.exp(-np.arange(80) / 12.0) * (np.arange(80) > 7) + 0.02
    assert shift_findings(spine, "second") == []


@pytest.mark.parametrize("method", ["espirit", "jsense"])
def test_maps_of_the_data_combine_them_without_loss(method):
    for n_coils in (8, 16):
        kspace, _ = head((64, 51), n_coils, noise=0.05)
        assert map_findings(kspace[None], estimate_maps(kspace, method=method)) == []


@pytest.mark.skipif(not BESIDE.is_dir(), reason="the public files are not beside the repository")
@pytest.mark.parametrize("index", [38, 42])
def test_maps_of_few_samples_of_a_real_head_are_sound(index):
    path = BESIDE / "open_ms_data" / "patient12_study2_T2W.nii.gz"
    image = np.asarray(nibabel.load(path).dataobj, np.float32)[4 * index, ::4]
    y, z = (np.linspace(-1, 1, n) for n in image.shape)
    phase = np.exp(1j * (0.7 * y[:, None] - 0.4 * z**2))
    kspace = fft_centred(image * phase * smooth_maps(4, image.shape, seed=2)).astype(np.complex64)
    assert map_findings(kspace[None], estimate_maps(kspace, calibration=16, kernel=4)) == []


MAP_FAULTS = {
    "half lost": lambda m: m * (np.arange(m.shape[1]) >= m.shape[1] // 2)[:, None],
    "other coils": lambda m: np.roll(m, 3, 0),
    "conjugated": np.conj,
    "another norm": lambda m: 3 * m,
    "transposed": lambda m: m.swapaxes(1, 2),
    "none": np.zeros_like,
}


@pytest.mark.parametrize("change", MAP_FAULTS.values(), ids=MAP_FAULTS)
def test_maps_that_lose_part_of_the_image_are_found(change):
    kspace, maps = head((56, 56), 8)
    assert map_findings(kspace[None], maps) == []
    (finding,) = map_findings(kspace[None], change(maps))
    assert finding.kind == "maps"


def test_maps_are_not_judged_in_noise():
    kspace, maps = head((64, 51), 8, noise=1.5)
    assert map_findings(kspace[None], maps) == []


def test_only_kinds_that_exist_can_be_accepted():
    check_kinds(list(KINDS))
    with pytest.raises(ValueError, match="got 'gap'; use \\['gaps', "):
        check_kinds(["gaps", "gap"])
    assert unaccepted([Finding("half", "x"), Finding("gaps", "y")], ["gaps"])[0].startswith("x; if")


def measured_scans():
    """Yield measured k-space (echoes, coils, ky, kz), several slices of some."""
    yield load_brain_slice()[None]
    aligned = scipy.io.loadmat(BESIDE / "mriphysics__alignedSENSE" / "data__xGT.mat")
    yield fft_centred(np.moveaxis(aligned["S"][:, :, 0], -1, 0) * aligned["xGT"])[None]
    for path in sorted((BESIDE / "bispmri__Ultra-low-field-MRI-Scanner").glob("*.mat")):
        grid = GRIDS["gradient_echo" if "GRE" in path.name else "spin_echo"]
        yield from read_low_field(path, grid)


@pytest.fixture(scope="module")
def measured():
    if not BESIDE.is_dir():
        pytest.skip("the public files are not beside the repository")
    return list(measured_scans())


def test_measured_scans_have_no_findings(measured):
    assert len(measured) == 90
    assert [finding for kspace in measured for finding in slice_findings(kspace)] == []


@pytest.mark.parametrize(("kind", "change"), FAULTS.values(), ids=FAULTS)
def test_faults_of_measured_scans_are_found(measured, kind, change):
    for kspace in measured[::15]:
        assert kind in kinds(change(kspace[0]))
