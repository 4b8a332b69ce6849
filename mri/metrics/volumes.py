"""Image quality of one volume, as a `Choice` or a `Preset` of them says (`mri.metrics.presets`).

scikit-image is the implementation of record for SSIM and for PSNR of magnitudes.

A volume is one echo of one scan: (slices, height, width), in the unit of the data.

Slices without signal: slices whose largest target magnitude is below `EMPTY_BELOW` of the volume's
are left out of the mean of slice-wise PSNR (an empty slice is easily matched exactly, and one
infinite PSNR would hide all others), of slice-wise NMSE and NRMSE, and of SSIM with the peak of
each slice. Nowhere else is a slice left out.

Every number is finite, but for the PSNR of a volume that equals its target. Where no such number
exists (NaN or infinity in prediction or target, a target without signal) there is a ValueError.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Shaped
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from data_scripts.finite import require_finite
from mri.metrics.presets import WINDOW_SIZES, Choice, Preset

# Sizes and kinds of numbers are left to the ValueErrors below, which name the remedy.
Volume = Shaped[np.ndarray, "..."]

EMPTY_BELOW = 1e-3
_AXES = ("slice", "row", "column")
_TARGET = "no metric is defined: repair the data, or leave this scan out of the test split"
_RECONSTRUCTION = "no metric is defined: it diverged, or the model's weights are damaged"


def psnr(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return the peak signal-to-noise ratio in dB.

        PSNR = 20 log10(peak / sqrt(mean |p - t|^2))

    The difference is of magnitudes or of complex values as `choice.domain` says. Infinite where
    prediction and target are equal.

    Raises:
        ValueError: if the number is not defined, saying why and where.
    """
    return _aggregate(_psnr, prediction, target, choice, own_signal=True)


def ssim(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return structural similarity of magnitudes (Wang et al. 2004), K1 = 0.01, K2 = 0.03.

    The border that the window cannot fill is left out of the mean.

    Raises:
        ValueError: if the domain is not "magnitude", an axis is shorter than the window, or the
            number is not defined, saying why and where.
    """
    if choice.domain != "magnitude":
        raise ValueError(f"SSIM is defined on magnitudes here, got domain={choice.domain!r}")
    return _aggregate(_ssim, prediction, target, choice, own_signal=choice.peak == "slice")


def nmse(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return the normalised mean squared error, sum |p - t|^2 / sum |t|^2, dimensionless.

    Raises:
        ValueError: if the number is not defined, saying why and where.
    """
    return _aggregate(_nmse, prediction, target, choice, own_signal=True)


def nrmse(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return the normalised root mean squared error, sqrt(mean |p - t|^2 / mean |t|^2).

    Raises:
        ValueError: if the number is not defined, saying why and where.
    """
    return _aggregate(
        lambda p, t, peak, choice: math.sqrt(_nmse(p, t, peak, choice)),
        prediction,
        target,
        choice,
        own_signal=True,
    )


def volume_metrics(prediction: Volume, target: Volume, preset: Preset) -> dict[str, float]:
    """Return every metric of one volume under a preset.

    `psnr_magnitude` repeats the PSNR with magnitudes, since complex and magnitude numbers
    differ by 1 to 3 dB and tables give both.

    Args:
        prediction: reconstruction, complex, in the unit of the target.
        target: ground truth.
        preset: what to compute.

    Returns:
        psnr and psnr_magnitude in dB; ssim, nmse, nrmse dimensionless.

    Raises:
        ValueError: if a number is not defined, saying why and where, or the volume is too small
            for the window of SSIM.
    """
    magnitude = Choice("magnitude", preset.psnr.unit, preset.psnr.peak)
    return {
        "psnr": psnr(prediction, target, preset.psnr),
        "psnr_magnitude": psnr(prediction, target, magnitude),
        "ssim": ssim(prediction, target, preset.ssim),
        "nmse": nmse(prediction, target, preset.error),
        "nrmse": nrmse(prediction, target, preset.error),
    }


def slices_with_signal(target: Volume) -> np.ndarray:
    """Return which slices count in slice-wise numbers: (slices,) of bool.

    Raises:
        ValueError: if the volume holds NaN or infinity, or no signal at all.
    """
    require_finite("the target", target, _AXES, _TARGET)
    maxima = np.abs(target).max(axis=(1, 2))
    if not maxima.max() > 0:
        raise ValueError(
            "the target volume has no signal (its largest magnitude is 0), so no metric is "
            "defined; leave this scan or echo out of the test split"
        )
    return maxima > EMPTY_BELOW * maxima.max()


def _aggregate(
    metric: Callable[[np.ndarray, np.ndarray, float, Choice], float],
    prediction: Volume,
    target: Volume,
    choice: Choice,
    own_signal: bool,
) -> float:
    """Apply a metric to the volume, or average it over the slices, with the chosen peak."""
    prediction, target = _as_comparable(prediction, target, choice)
    filled = slices_with_signal(target)
    require_finite("the reconstruction", prediction, _AXES, _RECONSTRUCTION)
    if choice.domain == "magnitude":
        prediction, target = np.abs(prediction), np.abs(target)
    volume_peak = float(np.abs(target).max())
    # a power of two, so exact; in this unit no square leaves the range of single precision
    unit = 2.0 ** (math.frexp(volume_peak)[1] - 1)
    peak = (volume_peak if isinstance(choice.peak, str) else choice.peak) / unit
    with np.errstate(all="ignore"):  # what leaves the range is refused by `_sound`
        prediction, target = prediction / unit, target / unit
        if choice.unit == "volume":
            return _sound(metric(prediction, target, peak, choice), "the volume")
        counted = np.flatnonzero(filled) if own_signal else np.arange(len(target))
        values = []
        for i in counted:
            if choice.peak == "slice":
                peak = float(np.abs(target[i]).max())
            values.append(_sound(metric(prediction[i], target[i], peak, choice), f"slice {i}"))
    if 0 < np.isinf(values).sum() < len(values):
        equal = int(counted[np.isinf(values)][0])
        raise ValueError(
            f"slice {equal} of the reconstruction equals the target, so that its PSNR is infinite "
            "and hides those of the other slices in the mean; use unit='volume'"
        )
    return float(np.mean(values))


def _as_comparable(
    prediction: Volume, target: Volume, choice: Choice
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as floating-point volumes, if they can be compared as the choice says."""
    if prediction.shape != target.shape or target.ndim != 3 or target.size == 0:
        raise ValueError(
            f"prediction {prediction.shape} and target {target.shape} must be equal shapes "
            "(slices, height, width), none of them zero; call once per echo"
        )
    for name, volume in (("prediction", prediction), ("target", target)):
        if volume.dtype.kind not in "iufc":
            raise ValueError(
                f"the {name} has dtype {volume.dtype}, which is no image; give real or complex "
                "numbers"
            )
    if choice.domain == "complex" and np.iscomplexobj(prediction) != np.iscomplexobj(target):
        raise ValueError(
            f"prediction is {prediction.dtype} and target {target.dtype}: one of them has no phase "
            "to compare; use domain='magnitude' (preset fastmri), or give both complex"
        )
    # integers wrap around when they are subtracted, half precision rounds
    return (
        prediction.astype(np.result_type(prediction, np.float32), copy=False),
        target.astype(np.result_type(target, np.float32), copy=False),
    )


def _sound(value: float, where: str) -> float:
    """Return the value of a metric; plus infinity is that of the PSNR of equal images."""
    if math.isnan(value) or value == -math.inf:
        raise ValueError(
            f"the error of {where} is beyond what floating-point numbers hold: the reconstruction "
            "diverged, or is in another unit than the target"
        )
    return value


def check_volume_size(shape: tuple[int, int, int], preset: Preset) -> None:
    """Check that the window of SSIM fits a volume of (slices, height, width), before training.

    Raises:
        ValueError: if an axis is shorter than the window.
    """
    _check_window(shape if preset.ssim.unit == "volume" else shape[1:], preset.ssim)


def _check_window(shape: tuple[int, ...], choice: Choice) -> None:
    size = WINDOW_SIZES[choice.window]
    if min(shape) < size:
        raise ValueError(
            f"SSIM with window {choice.window} and unit {choice.unit} needs at least {size} points "
            f"along every axis, got {' x '.join(map(str, shape))}; use a preset with SSIM of "
            "slices (meddlr_2d or fastmri) or larger volumes"
        )


def _mean_square(x: np.ndarray) -> float:
    return float(np.mean(np.square(np.abs(x), dtype=np.float64)))


def _psnr(p: np.ndarray, t: np.ndarray, peak: float, choice: Choice) -> float:
    if choice.domain == "magnitude" and not np.array_equal(p, t):
        return float(peak_signal_noise_ratio(t, p, data_range=peak))
    error = _mean_square(p - t)
    if error == 0:
        return math.inf
    return 10 * math.log10(peak**2 / error) if error < math.inf else -math.inf


def _nmse(p: np.ndarray, t: np.ndarray, _peak: float, _choice: Choice) -> float:
    error = _mean_square(p - t) / _mean_square(t)
    return error if error < math.inf else math.nan


def _ssim(p: np.ndarray, t: np.ndarray, peak: float, choice: Choice) -> float:
    size = WINDOW_SIZES[choice.window]
    _check_window(t.shape, choice)
    gaussian = choice.window == "gauss11"
    return float(
        structural_similarity(
            t,
            p,
            data_range=peak,
            win_size=size,
            gaussian_weights=gaussian,
            sigma=1.5,
            use_sample_covariance=not gaussian,
        )
    )
