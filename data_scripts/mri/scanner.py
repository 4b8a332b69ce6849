"""The encoding of a scanner that is not ideal: one set of fixed errors, and its exact matrices.

Axes are those of a Cartesian scan whose lines are read out one after another: ky numbers the lines
(phase encoding, blips in echo-planar imaging), kz runs along the readout of a line. With y, z, k, l
counted from the centre n // 2, n lines, m samples of a line,

    K[k, l] = 1 / sqrt(m) sum_z exp(-2 pi i l z / m) Y[k, z]                                    (1)
    Y[k, z] = g_k / sqrt(n) sum_y exp(-2 pi i phi_k(y, z)) m[y, z]                              (2)
    phi_k(y, z) = (k + d_k) (y + w_y) / n + (c + s_k e) z / m + f(y, z) t_k                     (3)

d is `trajectory`, w `gradient_nonlinearity`, c `gradient_delay`, e `epi_delay`, f the map of
`b0_hz`, t the time of a line; g holds the phases of `epi_ghost` and `eddy_phase`; s_k is 1 on even
and -1 on odd lines. (2) is one matrix per column z of the image, so the whole encoding is
`K = E_z (E_y[z] m)`, which an FFT along y and z is only without errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.smooth_field import smooth_field

# the eddy current has decayed by 1 / e after this share of the lines
_EDDY_TIME = 1 / 3
_WAVES_OF_MAP = 4


@dataclass(frozen=True)
class Scanner:
    """Errors of one scanner, the same for whatever is scanned; all zero is the DFT.

    Sizes that scanners have are in brackets. Signs are free.

    Attributes:
        trajectory: largest displacement of a ky line, in samples, d_k = trajectory
            sin(2 pi (k / n + 0.15)): a gradient that is not calibrated along its way [0.1 to 0.5].
        gradient_delay: shift c of every readout along kz, in samples: its gradient starts late;
            in the image a phase ramp along z (Peters et al. 2003, MRM 50:1) [0.1 to 1].
        epi_delay: the same where lines are read forth and back, +e on even and -e on odd lines: a
            ghost whose phase is linear along the readout [0.05 to 0.5].
        epi_ghost: phase between even and odd lines, in radians, g_k = exp(i s_k ghost / 2): a ghost
            half a field of view away (Buonocore and Gao 1997, MRM 38:89) [0.1 to 0.5].
        eddy_phase: phase of the first line, in radians, by an eddy current that decays over the
            lines, g_k = exp(i eddy_phase exp(-3 (k + n // 2) / n)) (van Vaals and Bergman 1990,
            JMR 90:52) [0.2 to 1].
        b0_hz: largest off-resonance of the scanner's map, in Hz, after shimming; it is smooth, of
            the scanner and not of the patient, and the same in all slices (Jezzard and Balaban
            1995, MRM 34:65) [5 to 50].
        gradient_nonlinearity: displacement at the border of the field of view, in pixels,
            w_y = gradient_nonlinearity (2 y / n)^3, the lowest order that symmetric coils leave
            (Janke et al. 2004, MRM 52:115) [1 to 3].
        line_ms: time between lines, in ms, t_k = k line_ms, as `b0_hz` needs it [0.4 to 1].
        map_seed: which map `b0_hz` has.
    """

    trajectory: float = 0.0
    gradient_delay: float = 0.0
    epi_delay: float = 0.0
    epi_ghost: float = 0.0
    eddy_phase: float = 0.0
    b0_hz: float = 0.0
    gradient_nonlinearity: float = 0.0
    line_ms: float = 0.5
    map_seed: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not np.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {value}; 0 leaves it out")

    @classmethod
    def of_scan(cls, details: Mapping[str, Any]) -> "Scanner | None":
        """Return the scanner that a simulated scan remembers, None where it remembers none.

        Args:
            details: `ScanInfo.details`.

        Raises:
            ValueError: what it remembers is no scanner.
        """
        stored = details.get("scanner")
        if stored is None:
            return None
        try:
            return cls(**stored)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"details.scanner is no scanner ({error}): {stored!r}; prepare the scan again"
            ) from error

    @property
    def errors(self) -> dict[str, float]:
        """The sizes of the errors, by name."""
        return {name: getattr(self, name) for name in ERRORS}

    @property
    def is_ideal(self) -> bool:
        """Whether the encoding is the DFT."""
        return not any(self.errors.values())

    def drawn(self, rng: np.random.Generator) -> "Scanner":
        """Return another scanner: each error half to all of its size, of either sign; a new map."""
        sizes = {
            name: value * float(rng.uniform(0.5, 1.0) * rng.choice((-1.0, 1.0)))
            for name, value in self.errors.items()
        }
        return replace(self, **sizes, map_seed=int(rng.integers(2**31)))

    def field(self, grid: tuple[int, int]) -> Float[np.ndarray, "y z"]:
        """Return the off-resonance f of every pixel, in Hz."""
        rng = np.random.default_rng(self.map_seed)
        return self.b0_hz * smooth_field(grid, rng, n_waves=_WAVES_OF_MAP)

    def columns(
        self, grid: tuple[int, int], field: Float[np.ndarray, "y z"] | None = None
    ) -> Complex[np.ndarray, "columns ky y"]:
        """Return E_y of every column z (2), a single one where all are the same.

        Complex128; computed from (3) but for the delay c, which `along_readout` has.

        Args:
            grid: pixels along (y, z), also samples along (ky, kz).
            field: off-resonance in Hz, in place of the scanner's own map.
        """
        if field is None and self.b0_hz != 0:
            field = self.field(grid)
        n, m = grid
        k, z = _centred(n), _centred(m)
        y = k + self.gradient_nonlinearity * (2 * k / n) ** 3
        sign = np.where(k % 2 == 0, 1, -1)
        displacement = self.trajectory * np.sin(2 * np.pi * (k / n + 0.15))
        eddy = self.eddy_phase * np.exp(-(k + n // 2) / (_EDDY_TIME * n))
        line = np.exp(0.5j * self.epi_ghost * sign + 1j * eddy)
        same = np.exp(-2j * np.pi * np.outer(k + displacement, y) / n) * line[:, None] / np.sqrt(n)
        if field is None and self.epi_delay == 0:
            return same[None]
        cycles = self.epi_delay / m * z[:, None, None] * sign[:, None]
        if field is not None:
            time_s = k * self.line_ms * 1e-3
            cycles = cycles + field.T[:, None, :] * time_s[:, None]
        return same * np.exp(-2j * np.pi * cycles)

    def along_readout(self, m: int) -> Complex[np.ndarray, "kz z"]:
        """Return E_z (1) with the delay c, in complex128."""
        ramp = np.exp(-2j * np.pi * self.gradient_delay * _centred(m) / m)
        return fft_centred(np.diag(ramp), (0,))

    def encode(
        self, image: Complex[np.ndarray, "*batch y z"]
    ) -> Complex[np.ndarray, "*batch ky z"]:
        """Return k-space as this scanner measures it, (1); `fft_centred` without errors.

        Args:
            image: coil images, any unit.
        """
        if self.is_ideal:
            return fft_centred(image)
        grid = (image.shape[-2], image.shape[-1])
        columns = self.columns(grid).astype(np.complex64)
        kspace = np.empty(image.shape, np.complex64)
        for z in range(grid[1]):
            kspace[..., z] = image[..., z] @ columns[z % len(columns)].T  # (2)
        if self.gradient_delay == 0:
            return fft_centred(kspace, (-1,))  # (1)
        return kspace @ self.along_readout(grid[1]).T.astype(np.complex64)  # (1)


ERRORS = tuple(name for name in Scanner.__dataclass_fields__ if name not in ("line_ms", "map_seed"))


def _centred(n: int) -> np.ndarray:
    return np.arange(n) - n // 2
