"""What converters let in: every slice of a scan is looked at before it becomes ground truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex

from data_scripts.finite import require_finite
from data_scripts.mri.kspace_findings import (
    Finding,
    gap_findings,
    gaps_between,
    map_findings,
    missing_images,
    slice_findings,
    unaccepted,
)
from data_scripts.mri.measured import REPAIR, HeaderFindings
from data_scripts.mri.schema import AXES


class Intake:
    """Look at a scan slice by slice and refuse what is no ground truth and was not accepted.

    Args:
        source: the file, for errors.
        accept: kinds of `data_scripts.mri.kspace_findings.KINDS` that are let in.

    Attributes:
        energies: sum of squares of every slice that was looked at, in order.
    """

    def __init__(self, source: Path, accept: Sequence[str]) -> None:
        self.source = source
        self.accept = accept
        self.energies: list[float] = []
        self._signal: list[Bool[np.ndarray, " echoes"]] = []
        self._strongest: np.ndarray | None = None
        self._of_maps: list[tuple[float, int, list[Finding]]] = []
        self._sampled: Bool[np.ndarray, "kx ky"] = np.zeros((1, 1), bool)

    def refuse(self, findings: Sequence[Finding]) -> None:
        """Raise ValueError with the first finding that was not accepted."""
        for text in unaccepted(findings, self.accept)[:1]:
            raise ValueError(f"{self.source}: {text}")

    def look(self, kspace: Complex[np.ndarray, "echoes coils kx ky"]) -> None:
        """Look at the next slice as measured, before anything was cropped.

        Raises:
            ValueError: if it holds NaN or infinity, or is undersampled.
        """
        index = len(self._signal)
        where = f"{self.source}: slice {index} of kspace"
        require_finite(where, kspace, AXES["kspace"], REPAIR)
        self.refuse(gap_findings(kspace))
        nonzero = kspace != 0
        self._sampled = self._sampled | nonzero.any((0, 1))
        self._signal.append(nonzero.any((1, 2, 3)))
        energy = _energy(kspace)
        if energy > max(self.energies, default=0.0):
            self._strongest = kspace
        self.energies.append(energy)

    def look_at_maps(
        self,
        kspace: Complex[np.ndarray, "echoes coils ky kz"],
        maps: Complex[np.ndarray, "coils ky kz"],
    ) -> None:
        """Look at the maps of the next slice, and at its k-space on the grid of the maps.

        Raises:
            ValueError: if the maps hold NaN or infinity.
        """
        index = len(self._of_maps)
        where = f"{self.source}: slice {index} of the maps"
        require_finite(where, maps, AXES["maps"], REPAIR)
        self._of_maps.append((_energy(kspace), index, map_findings(kspace, maps)))

    def judge_kspace(self, of_header: HeaderFindings = lambda _: ()) -> None:
        """Judge the slices that were looked at as one scan, most of it from the strongest.

        Args:
            of_header: what is wrong between a header and the samples that are not zero.

        Raises:
            ValueError: if something is wrong that was not accepted, or nothing was measured.
        """
        if self._strongest is None:
            raise ValueError(
                f"{self.source}: k-space is zero everywhere, so that no metric is defined; leave "
                "the file out"
            )
        self.refuse(of_header(self._sampled))
        self.refuse(missing_images(np.stack(self._signal)))
        self.refuse(slice_findings(self._strongest))

    def judge_maps(self) -> None:
        """Judge the maps that were looked at, where there is half the energy of the strongest.

        Raises:
            ValueError: if they lose part of an image, and that was not accepted.
        """
        most = max(energy for energy, _, _ in self._of_maps)
        for energy, index, findings in self._of_maps:
            if energy >= most / 2:
                self.refuse([Finding(f.kind, f"slice {index}: {f.text}") for f in findings])

    def acquired(self, grid: tuple[int, int]) -> Bool[np.ndarray, "ky kz"]:
        """Return where a slice, echo or coil was not zero, on a grid that may be cropped.

        Cropping an axis mixes its samples: along such an axis all count as acquired. So do single
        zeros between measured samples, as integers have them, unless gaps were accepted.
        """
        sampled = self._sampled
        if "gaps" not in self.accept:
            sampled = sampled | gaps_between(sampled.astype(np.float64))
        for axis, n in enumerate(grid):
            if sampled.shape[axis] != n:
                sampled = np.any(sampled, axis, keepdims=True)
        return np.broadcast_to(sampled, grid).copy()


def _energy(kspace: Complex[np.ndarray, "..."]) -> float:
    """Return the sum of squares, in double precision, which holds that of any single ones."""
    return float(np.square(np.abs(kspace), dtype=np.float64).sum())
