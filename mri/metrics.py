"""Image quality of one volume, with every choice named.

How a metric is aggregated moves it by several dB, so nothing is implied here: a `Choice` says on
what the metric works (`domain`), what one number covers (`unit`), where the peak is taken (`peak`)
and which window SSIM uses, and a `Preset` collects the choices of a published toolbox.
scikit-image is the implementation of record for SSIM and for PSNR of magnitudes.

A volume is one echo of one scan: (slices, height, width), in the unit of the data.

Slices without signal: where a number belongs to one slice and is divided by that slice's own signal
(`unit="slice"` with `peak="slice"`, and every slice-wise NMSE), slices whose largest target
magnitude is below `EMPTY_BELOW` of the volume's are left out of the mean. Nowhere else is a
slice left out. A volume without signal is an error.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Inexact
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

# The underscores leave the sizes to the ValueError below, which names the remedy.
Volume = Inexact[np.ndarray, "_slices _h _w"]

EMPTY_BELOW = 1e-3
_WINDOW_SIZES = {"gauss11": 11, "uniform7": 7}


@dataclass(frozen=True)
class Choice:
    """How one metric is computed.

    Args:
        domain: "complex" differences, or differences of "magnitude".
        unit: one number per "volume", or the mean over its slices of one number per "slice".
        peak: largest target magnitude of the "slice", of the "volume", or a number in data units.
        window: of SSIM; "gauss11" is Gaussian, 11 wide, sigma 1.5, with population covariance,
            "uniform7" is flat, 7 wide, with sample covariance. With `unit="volume"` the window
            is a cube.
    """

    domain: Literal["complex", "magnitude"] = "magnitude"
    unit: Literal["slice", "volume"] = "volume"
    peak: Literal["slice", "volume"] | float = "volume"
    window: Literal["gauss11", "uniform7"] = "gauss11"

    def __str__(self) -> str:
        """Words for the head of a table."""
        peak = f"peak of {self.peak}" if isinstance(self.peak, str) else f"peak {self.peak:g}"
        return f"{self.domain}, {self.unit}, {peak}"


@dataclass(frozen=True)
class Preset:
    """The choices of one toolbox.

    Args:
        name: key in `PRESETS`.
        psnr: choice for the peak signal-to-noise ratio.
        ssim: choice for structural similarity.
        error: choice for NMSE and NRMSE.
    """

    name: str
    psnr: Choice
    ssim: Choice
    error: Choice

    def __str__(self) -> str:
        """One line for tables and pages."""
        return (
            f"{self.name}: PSNR {self.psnr}; SSIM {self.ssim}, {self.ssim.window}; "
            f"NMSE and NRMSE {self.error.domain}, {self.error.unit}"
        )


PRESETS = {
    preset.name: preset
    for preset in (
        # meddlr's *_scan metrics, complex by default, SSIM with a window of 11 x 11 x 11.
        Preset(
            "meddlr",
            psnr=Choice("complex", "volume", "volume"),
            ssim=Choice("magnitude", "volume", "volume", "gauss11"),
            error=Choice("complex", "volume"),
        ),
        # The same with meddlr's SSIM of slices, window 11 x 11: for volumes of fewer than 11 slices
        # or with gaps between them.
        Preset(
            "meddlr_2d",
            psnr=Choice("complex", "volume", "volume"),
            ssim=Choice("magnitude", "slice", "slice", "gauss11"),
            error=Choice("complex", "volume"),
        ),
        # The fastMRI evaluation script.
        Preset(
            "fastmri",
            psnr=Choice("magnitude", "volume", "volume"),
            ssim=Choice("magnitude", "slice", "volume", "uniform7"),
            error=Choice("magnitude", "volume"),
        ),
    )
}


def find_preset(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        ValueError: if there is none.
    """
    if name not in PRESETS:
        raise ValueError(f"metric preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


def psnr(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return the peak signal-to-noise ratio in dB.

        PSNR = 20 log10(peak / sqrt(mean |p - t|^2))

    The difference is of magnitudes or of complex values as `choice.domain` says. Infinite where
    prediction and target are equal.

    Raises:
        ValueError: if the shapes differ or the target has no signal.
    """
    return _aggregate(_psnr, prediction, target, choice, own_signal=choice.peak == "slice")


def ssim(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return structural similarity of magnitudes (Wang et al. 2004), K1 = 0.01, K2 = 0.03.

    The border that the window cannot fill is left out of the mean.

    Raises:
        ValueError: if the shapes differ, the target has no signal, the domain is not "magnitude",
            or an axis is shorter than the window.
    """
    if choice.domain != "magnitude":
        raise ValueError(f"SSIM is defined on magnitudes here, got domain={choice.domain!r}")
    return _aggregate(_ssim, prediction, target, choice, own_signal=choice.peak == "slice")


def nmse(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return the normalised mean squared error, sum |p - t|^2 / sum |t|^2, dimensionless.

    Raises:
        ValueError: if the shapes differ or the target has no signal.
    """
    return _aggregate(_nmse, prediction, target, choice, own_signal=True)


def nrmse(prediction: Volume, target: Volume, choice: Choice) -> float:
    """Return the normalised root mean squared error, sqrt(mean |p - t|^2 / mean |t|^2).

    Raises:
        ValueError: if the shapes differ or the target has no signal.
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
        ValueError: if the shapes differ, the target has no signal, or the volume is too small
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
        ValueError: if the volume has no signal at all.
    """
    maxima = np.abs(target).max(axis=(1, 2))
    if not maxima.max() > 0:
        raise ValueError(
            "the target volume has no signal (its largest magnitude is 0), so no metric is "
            "defined; leave this scan or echo out of the test split"
        )
    return maxima > EMPTY_BELOW * maxima.max()


def _aggregate(
    metric: Callable[[np.ndarray, np.ndarray, float, Choice], float],
    prediction: np.ndarray,
    target: np.ndarray,
    choice: Choice,
    own_signal: bool,
) -> float:
    """Apply a metric to the volume, or average it over the slices, with the chosen peak."""
    if prediction.shape != target.shape or target.ndim != 3:
        raise ValueError(
            f"prediction {prediction.shape} and target {target.shape} must be equal shapes "
            "(slices, height, width); call once per echo"
        )
    filled = slices_with_signal(target)
    if choice.domain == "magnitude":
        prediction, target = np.abs(prediction), np.abs(target)
    volume_peak = float(np.abs(target).max())
    if choice.unit == "volume":
        peak = volume_peak if isinstance(choice.peak, str) else choice.peak
        return metric(prediction, target, peak, choice)
    counted = np.flatnonzero(filled) if own_signal else range(len(target))
    peaks = {"slice": np.abs(target).max(axis=(1, 2)), "volume": [volume_peak] * len(target)}
    return float(
        np.mean(
            [
                metric(
                    prediction[i],
                    target[i],
                    float(peaks[choice.peak][i]) if isinstance(choice.peak, str) else choice.peak,
                    choice,
                )
                for i in counted
            ]
        )
    )


def check_volume_size(shape: tuple[int, int, int], preset: Preset) -> None:
    """Check that the window of SSIM fits a volume of (slices, height, width), before training.

    Raises:
        ValueError: if an axis is shorter than the window.
    """
    _check_window(shape if preset.ssim.unit == "volume" else shape[1:], preset.ssim)


def _check_window(shape: tuple[int, ...], choice: Choice) -> None:
    size = _WINDOW_SIZES[choice.window]
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
    return 10 * math.log10(peak**2 / error) if error > 0 else math.inf


def _nmse(p: np.ndarray, t: np.ndarray, _peak: float, _choice: Choice) -> float:
    return _mean_square(p - t) / _mean_square(t)


def _ssim(p: np.ndarray, t: np.ndarray, peak: float, choice: Choice) -> float:
    size = _WINDOW_SIZES[choice.window]
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
