"""Metrics against closed forms, scikit-image and published conventions."""

import math

import numpy as np
import pytest
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mri.metrics.presets import PRESETS, Choice, find_preset
from mri.metrics.volumes import (
    check_volume_size,
    nmse,
    nrmse,
    psnr,
    slices_with_signal,
    ssim,
    volume_metrics,
)


@pytest.fixture
def volumes() -> tuple[np.ndarray, np.ndarray]:
    """Prediction and target: 13 slices of 17 x 14, of different strength, complex."""
    rng = np.random.default_rng(5)
    strength = np.linspace(0.2, 3.0, 13)[:, None, None]
    target = strength * (rng.normal(size=(13, 17, 14)) + 1j * rng.normal(size=(13, 17, 14)))
    error = 0.1 * (rng.normal(size=target.shape) + 1j * rng.normal(size=target.shape))
    return (target + error).astype(np.complex64), target.astype(np.complex64)


def decibel(peak: float, mean_square: float) -> float:
    return 10 * math.log10(peak**2 / mean_square)


def test_psnr_of_a_constant_error():
    target = np.zeros((2, 5, 7), dtype=complex)
    target[0, 2, 3] = 4j
    target[1, 1, 1] = 2
    assert psnr(target + 0.04, target, Choice("complex")) == pytest.approx(40)
    slicewise = psnr(target + 0.04, target, Choice("complex", "slice", "slice"))
    assert slicewise == pytest.approx((40 + 20 * math.log10(50)) / 2)
    fixed = psnr(target + 0.04, target, Choice("complex", "volume", 0.4))
    assert fixed == pytest.approx(20)


def test_a_phase_error_shows_in_complex_psnr_alone(volumes):
    _, target = volumes
    rotated = target * np.complex64(np.exp(0.1j))
    assert psnr(rotated, target, Choice("magnitude")) > 100
    expected = decibel(
        np.abs(target).max(), (2 * math.sin(0.05)) ** 2 * np.mean(np.abs(target) ** 2)
    )
    assert psnr(rotated, target, Choice("complex")) == pytest.approx(expected, abs=1e-4)


def test_complex_psnr_is_never_above_magnitude_psnr(volumes):
    assert psnr(*volumes, Choice("complex")) < psnr(*volumes, Choice("magnitude"))


def test_equal_volumes(volumes):
    _, target = volumes
    for preset in PRESETS.values():
        values = volume_metrics(target, target, preset)
        assert values.pop("psnr") == values.pop("psnr_magnitude") == math.inf
        assert values == {"ssim": pytest.approx(1), "nmse": 0, "nrmse": 0}


def test_metrics_do_not_depend_on_the_unit(volumes):
    prediction, target = volumes
    for preset in PRESETS.values():
        values = volume_metrics(prediction, target, preset)
        scaled = volume_metrics(3e-6 * prediction, 3e-6 * target, preset)
        assert scaled == pytest.approx(values, rel=1e-4)


def test_fastmri_convention(volumes):
    p, t = (np.abs(x) for x in volumes)
    values = volume_metrics(*volumes, PRESETS["fastmri"])
    assert values["psnr"] == pytest.approx(peak_signal_noise_ratio(t, p, data_range=t.max()))
    assert values["psnr"] == pytest.approx(decibel(t.max(), np.mean((p - t) ** 2)), rel=1e-5)
    by_slice = [structural_similarity(a, b, data_range=t.max()) for a, b in zip(t, p, strict=True)]
    assert values["ssim"] == pytest.approx(np.mean(by_slice))
    energy = np.linalg.norm(t) ** 2
    assert values["nmse"] == pytest.approx(np.linalg.norm(t - p) ** 2 / energy, rel=1e-5)


def test_meddlr_convention(volumes):
    p, t = volumes
    values = volume_metrics(p, t, PRESETS["meddlr"])
    error = np.mean(np.abs(p - t) ** 2)
    assert values["psnr"] == pytest.approx(decibel(np.abs(t).max(), error), rel=1e-5)
    assert values["nrmse"] == pytest.approx(math.sqrt(error / np.mean(np.abs(t) ** 2)), rel=1e-5)
    expected = wang_ssim(np.abs(p), np.abs(t), np.abs(t).max())
    assert values["ssim"] == pytest.approx(expected, abs=1e-5)


def test_meddlr_2d_is_meddlr_with_the_ssim_of_slices(volumes):
    p, t = volumes
    values = volume_metrics(p, t, PRESETS["meddlr_2d"])
    expected = volume_metrics(p, t, PRESETS["meddlr"])
    peaks = np.abs(t).max(axis=(1, 2))
    by_slice = [wang_ssim(*map(np.abs, pt), peak) for *pt, peak in zip(p, t, peaks, strict=True)]
    assert values.pop("ssim") == pytest.approx(np.mean(by_slice), abs=1e-5)
    assert expected.pop("ssim") != pytest.approx(np.mean(by_slice), abs=1e-3)
    assert values == expected


def test_slice_psnr_is_the_mean_over_slices(volumes):
    p, t = volumes
    peaks = np.abs(t).max(axis=(1, 2))
    errors = np.mean(np.abs(p - t) ** 2, axis=(1, 2))
    expected = np.mean([decibel(a, b) for a, b in zip(peaks, errors, strict=True)])
    assert psnr(p, t, Choice("complex", "slice", "slice")) == pytest.approx(expected, rel=1e-5)


def wang_ssim(p: np.ndarray, t: np.ndarray, peak: float) -> float:
    """SSIM from its formula: Gaussian window 11 wide, population covariance, border cropped."""
    p, t = p.astype(float), t.astype(float)
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def smooth(x: np.ndarray) -> np.ndarray:
        for axis in range(x.ndim):
            x = correlate1d(x, window, axis=axis)
        return x[(slice(5, -5),) * x.ndim]

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    a, b = smooth(p), smooth(t)
    variances = smooth(p * p) - a * a, smooth(t * t) - b * b
    covariance = smooth(p * t) - a * b
    similarity = (2 * a * b + c1) * (2 * covariance + c2)
    return float(np.mean(similarity / ((a**2 + b**2 + c1) * (sum(variances) + c2))))


def test_gauss11_uses_the_population_covariance():
    rng = np.random.default_rng(2)
    p, t = 1 + 0.03 * rng.normal(size=(2, 1, 20, 20))  # variances near K2: they do not cancel
    value = ssim(p, t, Choice("magnitude", "slice", "slice"))
    assert value == pytest.approx(wang_ssim(p[0], t[0], t.max()), abs=1e-6)
    options = {"data_range": t.max(), "gaussian_weights": True, "sigma": 1.5}
    sample = structural_similarity(t[0], p[0], use_sample_covariance=True, **options)
    assert value != pytest.approx(sample, abs=1e-6)


def test_ssim_of_two_constants_is_the_luminance_term():
    target = np.full((1, 12, 12), 2.0)
    for window in ("gauss11", "uniform7"):
        value = ssim(target - 1, target, Choice("magnitude", "slice", "slice", window))
        c1 = (0.01 * 2) ** 2
        assert value == pytest.approx((2 * 2 * 1 + c1) / (4 + 1 + c1))


def test_volume_and_slice_units_differ_by_decibels(volumes):
    volume = psnr(*volumes, Choice("complex", "volume", "volume"))
    slicewise = psnr(*volumes, Choice("complex", "slice", "slice"))
    assert volume - slicewise > 3


def test_slices_without_signal_are_left_out_where_they_would_be_divided_by(volumes):
    prediction, target = (np.concatenate([v, 1e-5 * v[:2]]) for v in volumes)
    prediction[-2:] = 0.5
    assert slices_with_signal(target).tolist() == [True] * 13 + [False] * 2
    own = Choice("magnitude", "slice", "slice")
    for metric in (psnr, ssim, nmse, nrmse):
        assert metric(prediction, target, own) == metric(*volumes, own)
    # One number per volume counts every slice, and so does SSIM with the peak of the volume.
    whole = volume_metrics(prediction, target, PRESETS["fastmri"])
    filled = volume_metrics(*volumes, PRESETS["fastmri"])
    assert whole["nmse"] > filled["nmse"]
    assert whole["ssim"] != pytest.approx(filled["ssim"], abs=1e-3)


def test_an_empty_slice_that_is_matched_exactly_does_not_make_the_mean_infinite(volumes):
    prediction, target = (v.copy() for v in volumes)
    prediction[3] = target[3] = 0
    filled = [i for i in range(13) if i != 3]
    for peak in ("slice", "volume", 0.7):
        choice = Choice("magnitude", "slice", peak)
        expected = psnr(prediction[filled], target[filled], choice)
        assert psnr(prediction, target, choice) == expected < 40


def test_a_metric_of_what_is_not_finite_is_refused_and_never_looks_good(volumes):
    prediction, target = volumes
    for value in (np.nan, np.inf, complex(0, -np.inf)):
        spoilt = prediction.copy()
        spoilt[4, 2, 9] = value
        for preset in PRESETS.values():
            with pytest.raises(
                ValueError, match=r"reconstruction holds .* in 1 of .* slice 4, row 2, column 9"
            ):
                volume_metrics(spoilt, target, preset)
            with pytest.raises(
                ValueError, match=r"target holds .* slice 4, row 2, column 9.*repair"
            ):
                volume_metrics(prediction, spoilt, preset)
        for metric in (psnr, ssim, nmse, nrmse):
            for unit in ("slice", "volume"):
                with pytest.raises(
                    ValueError, match="reconstruction holds NaN or infinity in 1 of"
                ):
                    metric(spoilt, target, Choice("magnitude", unit))


def test_no_unit_is_too_small_or_too_large(volumes):
    prediction, target = volumes
    for preset in PRESETS.values():
        values = volume_metrics(prediction, target, preset)
        for unit in (2.0**-90, 2.0**90):  # squares of these leave single precision
            assert volume_metrics(prediction * unit, target * unit, preset) == values


def test_integers_and_half_precision_are_measured_like_floats(volumes):
    prediction, target = (np.abs(v) for v in volumes)
    for dtype in (np.uint8, np.int16, np.float16):
        p, t = (np.round(20 * v).astype(dtype) for v in (prediction, target))
        choice = Choice("complex")
        assert (p < t).any()
        assert psnr(p, t, choice) == pytest.approx(psnr(p.astype(float), t.astype(float), choice))
        assert nmse(p, t, choice) == pytest.approx(nmse(p.astype(float), t.astype(float), choice))


def test_one_pixel_and_constant_images_have_a_psnr():
    target = np.full((1, 1, 1), 2 + 0j)
    assert psnr(target + 0.2, target, Choice("complex")) == pytest.approx(20)
    flat = np.full((3, 5, 4), 2.0)
    assert psnr(flat + 0.2, flat, Choice(unit="slice", peak="slice")) == pytest.approx(20)


def test_nrmse_is_the_root_of_nmse_slice_by_slice(volumes):
    choice = Choice("magnitude", "slice")
    roots = [math.sqrt(nmse(p[None], t[None], choice)) for p, t in zip(*volumes, strict=True)]
    assert nrmse(*volumes, choice) == pytest.approx(np.mean(roots))


def test_presets_name_their_choices():
    assert str(PRESETS["meddlr"]) == (
        "meddlr: PSNR complex, volume, peak of volume; SSIM magnitude, volume, peak of volume, "
        "gauss11; NMSE and NRMSE complex, volume"
    )
    assert str(Choice(peak=0.5)) == "magnitude, volume, peak 0.5"


def test_errors(volumes):
    prediction, target = volumes
    with pytest.raises(ValueError, match=r"no signal .*leave this scan or echo out"):
        nmse(prediction, 0 * target, Choice())
    with pytest.raises(ValueError, match=r"prediction \(12, 17, 14\) and target \(13, 17, 14\)"):
        psnr(prediction[:12], target, Choice())
    with pytest.raises(
        ValueError, match="SSIM is defined on magnitudes here, got domain='complex'"
    ):
        ssim(prediction, target, Choice("complex"))
    with pytest.raises(
        ValueError, match=r"at least 11 points.*got 10 x 17 x 14; use a preset with SSIM of slices"
    ):
        volume_metrics(prediction[:10], target[:10], PRESETS["meddlr"])
    with pytest.raises(ValueError, match=r"at least 11 points along every axis, got 10 x 12 x 12"):
        check_volume_size((10, 12, 12), PRESETS["meddlr"])
    with pytest.raises(ValueError, match=r"at least 7 points along every axis, got 9 x 6"):
        check_volume_size((10, 9, 6), PRESETS["fastmri"])
    check_volume_size((1, 11, 12), PRESETS["meddlr_2d"])
    with pytest.raises(ValueError, match="one of meddlr, meddlr_2d, fastmri, got 'fastMRI'"):
        find_preset("fastMRI")
