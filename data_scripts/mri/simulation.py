"""The options that simulated scans share, checked before anything is simulated."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_scripts.mri.output import ScanRecipe
from data_scripts.mri.scanner import ERRORS, Scanner
from data_scripts.recipe import require_one_of, require_range


@dataclass
class SimulatedRecipe(ScanRecipe):
    """Scans simulated with one scanner, or each with a scanner of its own.

    The options that have the names of `Scanner`'s attributes are those.

    Attributes:
        out: folder to make.
        height: pixels along ky.
        width: pixels along kz.
        n_coils: coils of a scan.
        noise: standard deviation of real and imaginary noise, relative to the brightest signal.
        trajectory: error of the scanner (phantom.md): displaced ky lines, in samples.
        gradient_delay: error: shift of every readout, in samples.
        epi_delay: error: shift of the readouts, forth and back on even and odd lines, in samples.
        epi_ghost: error: phase between even and odd lines, in radians.
        eddy_phase: error: phase of the first line, which decays over the others, in radians.
        b0_hz: error: off-resonance, in Hz.
        gradient_nonlinearity: error: displacement at the border along y, in pixels.
        line_ms: time between lines, in ms.
        scanner: fixed (all scans have these errors) or per_scan (errors of at most this size, drawn
            for each scan: nothing can be learned of them).
        scanner_seed: of the map of b0_hz, and of what per_scan draws.
        seed: of everything else.
    """

    height: int = 128
    width: int = 128
    n_coils: int = 8
    noise: float = 0.01
    trajectory: float = 0.0
    gradient_delay: float = 0.0
    epi_delay: float = 0.0
    epi_ghost: float = 0.0
    eddy_phase: float = 0.0
    b0_hz: float = 0.0
    gradient_nonlinearity: float = 0.0
    line_ms: float = 0.5
    scanner: str = "fixed"
    scanner_seed: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest, highest, unit in (
            ("height", 8, 8192, "pixels"),
            ("width", 8, 8192, "pixels"),
            ("n_coils", 1, 1024, "coils"),
            ("noise", 0.0, 10.0, "times the brightest signal"),
            ("trajectory", -self.height / 2, self.height / 2, "samples"),
            ("gradient_delay", -self.width / 2, self.width / 2, "samples"),
            ("epi_delay", -self.width / 2, self.width / 2, "samples"),
            ("epi_ghost", -math.pi, math.pi, "radians"),
            ("eddy_phase", -math.pi, math.pi, "radians"),
            ("b0_hz", -1e4, 1e4, "Hz"),
            # beyond a sixth, neighbours change places
            ("gradient_nonlinearity", -self.height / 8, self.height / 8, "pixels"),
            ("line_ms", 1e-3, 1e3, "ms"),
            ("scanner_seed", 0, 2**63 - 1, "(whole)"),
            ("seed", 0, 2**63 - 1, "(whole)"),
        ):
            require_range(name, getattr(self, name), lowest, highest, unit)
        require_one_of(self, {"scanner": ("fixed", "per_scan")})
        if self.scanner == "per_scan" and self.given_scanner.is_ideal:
            raise ValueError(
                "scanner=per_scan draws the errors of each scan, but all are 0; give one, as in "
                "trajectory=0.5, or scanner=fixed"
            )

    @property
    def given_scanner(self) -> Scanner:
        """The scanner of the options."""
        sizes = {name: getattr(self, name) for name in ERRORS}
        return Scanner(**sizes, line_ms=self.line_ms, map_seed=self.scanner_seed)

    def scanner_of(self, scan: str) -> Scanner:
        """Return the scanner of a scan, which is that of all scans where it is fixed."""
        if self.scanner == "fixed":
            return self.given_scanner
        return self.given_scanner.drawn(np.random.default_rng([self.scanner_seed, *scan.encode()]))

    def described_scanner(self) -> dict[str, Any] | str:
        """Return what the metadata of the set say of its scanner."""
        if self.scanner == "fixed":
            return dataclasses.asdict(self.given_scanner)
        return "drawn for each scan, in the `scanner` of its details"
