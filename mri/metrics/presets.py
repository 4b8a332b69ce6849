"""What a metric means: domain, unit, peak and window, and the choices of published toolboxes.

How a metric is aggregated moves it by several dB, so nothing is implied: a `Choice` says on what
the metric works (`domain`), what one number covers (`unit`), where the peak is taken (`peak`) and
which window SSIM uses, and a `Preset` collects the choices of a published toolbox.
"""

import math
from dataclasses import dataclass

WINDOW_SIZES = {"gauss11": 11, "uniform7": 7}


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

    Raises:
        ValueError: if a word is none of these, the peak is no positive number, or a volume is to
            have the peak of a slice.
    """

    domain: str = "magnitude"
    unit: str = "volume"
    peak: str | float = "volume"
    window: str = "gauss11"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("domain", ("complex", "magnitude")),
            ("unit", ("slice", "volume")),
            ("window", tuple(WINDOW_SIZES)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        if self.peak == "slice" and self.unit == "volume":
            raise ValueError(
                "a volume has one peak, got unit='volume' with peak='slice'; use peak='volume' or "
                "unit='slice'"
            )
        if self.peak not in ("slice", "volume") and not (
            isinstance(self.peak, float | int) and 0 < self.peak < math.inf
        ):
            raise ValueError(
                f"peak must be 'slice', 'volume' or a positive number, got {self.peak!r}"
            )

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
