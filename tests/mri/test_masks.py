import signal
import subprocess
import sys

import numpy as np
import pytest

from mri.physics import poisson
from mri.physics.acceleration import achieved_acceleration
from mri.physics.masks import equispaced_lines, make_masks, random_lines, scan_seed
from mri.physics.poisson import poisson_masks

SHAPE = (45, 38)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("masks")


def test_poisson_masks_reach_their_acceleration_and_contain_the_calibration(cache):
    first, second = make_masks("poisson", SHAPE, 6.0, [3, 4], calibration=6, cache_dir=cache)
    for mask in (first, second):
        assert mask.shape == SHAPE
        assert mask.dtype == bool
        assert achieved_acceleration(mask) == pytest.approx(6, rel=0.06)
        assert mask[20:25, 17:21].all()
        assert not mask[0, 0]
    assert (first != second).any()


def test_poisson_masks_are_denser_in_the_middle(cache):
    (mask,) = poisson_masks(SHAPE, 6.0, [3], calibration=6, cache_dir=cache)
    y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    radius = np.hypot(y, z)
    assert mask[radius < 0.5].mean() > 1.8 * mask[(radius > 0.5) & (radius < 1)].mean()


def test_a_cached_poisson_mask_is_read_and_not_made_again(cache, monkeypatch):
    (before,) = poisson_masks(SHAPE, 6.0, [3], calibration=6, cache_dir=cache)
    monkeypatch.setattr(subprocess, "Popen", None)
    (after,) = poisson_masks(SHAPE, 6.0, [3], calibration=6, cache_dir=cache)
    np.testing.assert_array_equal(before, after)


def test_a_mask_of_another_name_is_refused(cache):
    poisson_masks(SHAPE, 6.0, [3], calibration=6, cache_dir=cache)
    wrong = cache / "poisson_45x38_5x_calib6_seed3.npy"
    wrong.write_bytes((cache / "poisson_45x38_6x_calib6_seed3.npy").read_bytes())
    with pytest.raises(ValueError, match="not the mask it is named after"):
        poisson_masks(SHAPE, 5.0, [3], calibration=6, cache_dir=cache)


def test_a_generator_that_hangs_is_stopped(tmp_path, monkeypatch):
    real = subprocess.Popen
    monkeypatch.setattr(poisson, "_STARTUP_S", 0.0)
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda _, **options: real([sys.executable, "-c", "while True: pass"], **options),
    )
    with pytest.raises(ValueError, match=r"2 attempts of 0\.02 s.*smaller calibration"):
        poisson_masks(SHAPE, 2.0, [0], calibration=6, cache_dir=tmp_path, timeout_s=0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="limits the processor time of a process")
def test_a_child_ends_when_its_processor_time_is_used_up():
    child = (
        "from mri.physics.poisson import _limit_processor_time as limit; limit(1)\nwhile True: pass"
    )
    run = subprocess.run([sys.executable, "-c", child], check=False)
    assert run.returncode == -signal.SIGXCPU


def test_a_generator_that_crashes_is_replaced(tmp_path, monkeypatch):
    real, started = subprocess.Popen, []

    def crash_once(command, **options):
        started.append(command)
        crash = [sys.executable, "-c", "import os; os.abort()"]
        return real(crash if len(started) == 1 else command, **options)

    monkeypatch.setattr(subprocess, "Popen", crash_once)
    (mask,) = poisson_masks(SHAPE, 2.0, [0], calibration=6, cache_dir=tmp_path)
    assert len(started) == 2
    assert achieved_acceleration(mask) == pytest.approx(2, rel=0.06)


def test_a_poisson_search_ends_where_no_density_gives_the_acceleration(tmp_path):
    with pytest.raises(ValueError, match=r"\(seed 0\): 2 samples must be met to 5 %"):
        poisson_masks((2, 2), 2.0, [0], calibration=0, cache_dir=tmp_path)
    (mask,) = poisson_masks((17, 12), 16.0, [0], calibration=3, cache_dir=tmp_path)
    assert achieved_acceleration(mask) == pytest.approx(16, rel=0.05)


def test_a_damaged_mask_is_named(cache):
    poisson_masks(SHAPE, 6.0, [3], calibration=6, cache_dir=cache)
    path = cache / "poisson_45x38_7x_calib6_seed3.npy"
    sound = (cache / "poisson_45x38_6x_calib6_seed3.npy").read_bytes()
    for content in (b"", sound[:200], b"\x80\x04" + sound):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"poisson_45x38_7x.* is damaged; delete it"):
            poisson_masks(SHAPE, 7.0, [3], calibration=6, cache_dir=cache)
    np.save(path, np.ones(SHAPE))
    with pytest.raises(ValueError, match=r"poisson_45x38_7x.* not the mask"):
        poisson_masks(SHAPE, 7.0, [3], calibration=6, cache_dir=cache)


@pytest.mark.parametrize("acceleration", [1.4, 50.0])
def test_a_poisson_mask_that_cannot_be_is_refused_at_once(acceleration, tmp_path):
    with pytest.raises(ValueError, match=r"between 1\.7"):
        poisson_masks(SHAPE, acceleration, [0], calibration=6, cache_dir=tmp_path)


def test_the_calibration_must_fit(tmp_path):
    with pytest.raises(ValueError, match=r"from 0 to 37 samples on the grid \(45, 38\), got 40"):
        poisson_masks(SHAPE, 2.0, [0], calibration=40, cache_dir=tmp_path)


@pytest.mark.parametrize("lines", [equispaced_lines, random_lines])
@pytest.mark.parametrize(
    ("n", "acceleration", "fraction"), [(96, 4, 0.08), (368, 8, 0.04), (31, 8, 0.04), (7, 3.5, 0)]
)
def test_lines_reach_their_acceleration_with_a_full_centre(lines, n, acceleration, fraction):
    n_center = round(n * fraction)
    start = (n - n_center + 1) // 2
    for seed in range(20):
        keep = lines(n, acceleration, fraction, seed)
        assert keep[start : start + n_center].all()
        assert abs(keep.sum() - n / acceleration) <= 0.1 * n / acceleration
        np.testing.assert_array_equal(keep, lines(n, acceleration, fraction, seed))


@pytest.mark.parametrize("kind", ["equispaced", "random"])
def test_a_line_mask_has_the_acceleration_asked_for_or_is_refused(kind):
    made = refused = 0
    for n in (1, 2, 7, 18, 31, 96):
        for acceleration in (1.0, 1.3, 2.0, 4.0, 7.5, 30.0, 200.0):
            for fraction in (0.0, 0.08, 0.2):
                for seed in range(3):
                    options = {"center_fraction": fraction}
                    try:
                        (mask,) = make_masks(kind, (3, n), acceleration, [seed], **options)
                    except ValueError:
                        refused += 1
                        continue
                    kept = mask.mean() * acceleration
                    assert 0.9 - 1e-9 <= kept <= 1.1 + 1e-9
                    made += 1
    assert made > 80
    assert refused > 80


def test_equispaced_lines_have_the_spacing_of_fastmri():
    # n = 368, R = 4, L = 29: 4 (29 - 368) / (29 * 4 - 368) = 5.380952..
    keep = equispaced_lines(368, 4, 0.08, seed=5)
    left = np.flatnonzero(keep[:160])
    assert set(np.diff(left)) == {5, 6}
    assert np.diff(left).mean() == pytest.approx(5.380952, abs=0.05)


def test_random_lines_have_the_expected_number():
    counts = [random_lines(368, 4, 0.08, seed).sum() for seed in range(200)]
    assert np.mean(counts) == pytest.approx(92, abs=0.8)
    assert np.std(counts) > 2


@pytest.mark.parametrize("kind", ["equispaced", "random"])
def test_line_masks_sample_whole_lines_along_the_last_axis(kind):
    (mask,) = make_masks(kind, (9, 64), 4.0, [0])
    assert (mask == mask[0]).all()
    assert achieved_acceleration(mask) == pytest.approx(4, rel=0.11)


def test_a_centre_that_is_too_wide_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"a center_fraction below 0\.125, for example 0\.04"):
        equispaced_lines(96, 8, 0.2, 0)


def test_acceleration_one_samples_everything():
    assert make_masks("poisson", (5, 7), 1.0, [0])[0].all()


def test_a_mask_that_samples_nothing_is_refused():
    with pytest.raises(ValueError, match="samples nothing"):
        achieved_acceleration(np.zeros((4, 5), bool))


@pytest.mark.parametrize(
    ("options", "message"),
    [(("radial", SHAPE, 2.0, [0]), "mask kind"), (("random", SHAPE, 0.5, [0]), "at least 1")],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_masks(*options)


def test_poisson_masks_need_a_place():
    with pytest.raises(ValueError, match="cache_dir"):
        make_masks("poisson", SHAPE, 2.0, [0])


def test_a_scan_has_one_seed():
    assert scan_seed("MTR_005") == scan_seed("MTR_005")
    assert len({scan_seed(f"MTR_{i:03d}", seed) for i in range(50) for seed in range(3)}) == 150
