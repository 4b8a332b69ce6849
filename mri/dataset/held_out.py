"""The test scans of data that a run was not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from monarch_core.runs.fingerprint import fingerprint_files
from mri.config.dataset import DatasetConfig
from mri.dataset.preparation import prepare_if_missing
from mri.dataset.selection import select_scans
from mri.dataset.splits import SliceDataset


@dataclass(frozen=True)
class HeldOut:
    """Test slices, and what an evaluation notes of them and of what the weights come from.

    Attributes:
        test: to report on.
        identity: what the scans depend on: the options of their recipe, None for your own.
        trained_on: fingerprints of the training and validation scans of the run.
    """

    test: SliceDataset
    identity: dict[str, Any] | None = None
    trained_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Slices that are measured."""
        return {"test": len(self.test)}

    @property
    def grid(self) -> tuple[int, int]:
        """Samples along (ky, kz)."""
        return self.test.grid

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of the files that are measured, beside those of the training."""
        return {**self.trained_on, "test": fingerprint_files(self.test.paths)}


def load_held_out(config: DatasetConfig, trained_on: Mapping[str, str]) -> HeldOut:
    """Return the test split alone; the others need not be there.

    Args:
        config: of the data, as they are to be measured.
        trained_on: fingerprints of the training and validation scans of the run.

    Raises:
        ValueError: as `mri.dataset.splits.load_splits`.
    """
    identity = prepare_if_missing(config)
    scans = select_scans(config, ("test",))["test"]
    n_coils = max(scan.shape.n_coils for scan in scans)
    return HeldOut(SliceDataset(scans, config, n_coils, training=False), identity, trained_on)
