"""Configuration of an MRI dataset: which scans, how they are undersampled, what an item is."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import ClassVar

from hydra.core.config_store import ConfigStore

from data_scripts.mri.bart_cfl import BartRecipe
from data_scripts.mri.fastmri import FastMriRecipe
from data_scripts.mri.ismrmrd import IsmrmrdRecipe
from data_scripts.mri.low_field import LowFieldRecipe
from data_scripts.mri.m4raw import M4RawRecipe
from data_scripts.mri.output import ScanRecipe
from data_scripts.mri.phantom import PhantomRecipe
from data_scripts.mri.simulate import SimulateRecipe
from data_scripts.mri.skm_tea import SkmTeaRecipe
from data_scripts.recipe import require
from mri.physics.masks import KINDS

REGIMES = ("fixed", "scan", "random")
# Which options a recipe has, by its name.
RECIPES: dict[str, type[ScanRecipe]] = {
    kind.name: kind
    for kind in (
        PhantomRecipe,
        SimulateRecipe,
        LowFieldRecipe,
        FastMriRecipe,
        M4RawRecipe,
        SkmTeaRecipe,
        IsmrmrdRecipe,
        BartRecipe,
    )
}


@dataclass
class DatasetConfig:
    """Where prepared scans are and what is made of them.

    Attributes:
        name: name of the dataset in results and tables.
        root: folder of prepared scans (`data_scripts.mri.schema`), made by `recipe` if missing.
        recipe: how they are made, in `root`; its name says which options it has. null takes those
            that are there.
        acceleration: ratio of all k-space samples to those kept, at least 1.
        mask: `poisson`, `equispaced`, `random` (`mri.physics.masks`), or `stored`: the scan's own.
        mask_name: of a stored mask, which all scans must have, as `equispaced_4x`; `mask` is that
            of a fastMRI volume. null: `poisson_<acceleration>x`, which test scans must have;
            training and validation scans without one get a Poisson mask of that acceleration.
        calibration: side of the fully sampled square of Poisson masks, in samples.
        center_fraction: share of fully sampled central lines of 1-D masks.
        mask_regime: `fixed` (one mask for all scans), `scan` (one per scan, by its name) or
            `random` (training: another for every item and epoch; validation and test: by name).
        mask_seed: seed of the masks.
        n_random_masks: Poisson masks that the random regime draws from; 1-D masks are unlimited.
        mask_cache: folder where Poisson masks are kept.
        echoes: `together` (one item has all echoes), `separate` (one item per echo), or the name
            of one echo or contrast.
        target: `stored`, `sense` or `rss` (computed from the full k-space; real values).
        n_train_scans: how many training scans to use; None for all.
        train_scan_seed: order from which they are taken; smaller selections are part of larger.
        skip_other_grids: leave out scans whose grid is not the most common one.
        allow_duplicates: accept scans that hold the same images, in one split or in two.
    """

    # Where the data are and how they are made: free to change while their content stays.
    DATA_PLACES: ClassVar[tuple[str, ...]] = ("root", "mask_cache", "recipe")

    name: str = "mri_phantom"
    root: str = "data/mri_phantom"
    recipe: ScanRecipe | None = field(default=None, metadata={"by_name": RECIPES})
    acceleration: float = 2.0
    mask: str = "poisson"
    mask_name: str | None = None
    calibration: int = 16
    center_fraction: float = 0.08
    mask_regime: str = "fixed"
    mask_seed: int = 0
    n_random_masks: int = 32
    mask_cache: str = "data/masks"
    echoes: str = "together"
    target: str = "stored"
    n_train_scans: int | None = None
    train_scan_seed: int = 0
    skip_other_grids: bool = False
    allow_duplicates: bool = False

    def __post_init__(self) -> None:
        if self.recipe is not None:
            if self.recipe.out not in (type(self.recipe).out, self.root):
                raise ValueError(
                    f"dataset.recipe.out={self.recipe.out} is another folder than dataset.root="
                    f"{self.root}; give it as dataset.root"
                )
            self.recipe = dataclasses.replace(self.recipe, out=self.root)
        for name, value, allowed in (
            ("mask", self.mask, (*KINDS, "stored")),
            ("mask_regime", self.mask_regime, REGIMES),
            ("target", self.target, ("stored", "sense", "rss")),
        ):
            require(value in allowed, f"dataset.{name}", value, f"one of {allowed}")
        if not 1 <= self.acceleration < math.inf:
            raise ValueError(
                f"dataset.acceleration must be a number of at least 1, got {self.acceleration}"
            )
        if not 0 <= self.center_fraction < 1:
            raise ValueError(
                f"dataset.center_fraction must be in [0, 1), got {self.center_fraction}"
            )
        for name in ("n_train_scans", "n_random_masks"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"dataset.{name} must be at least 1, got {value}")
        for name in ("mask_seed", "train_scan_seed", "calibration"):
            if getattr(self, name) < 0:
                raise ValueError(f"dataset.{name} must not be negative, got {getattr(self, name)}")
        if self.mask_name is not None and self.mask != "stored":
            raise ValueError(
                f"dataset.mask_name={self.mask_name} is the name of a stored mask, got "
                f"dataset.mask={self.mask}; use dataset.mask=stored with it"
            )
        if self.mask == "stored" and self.mask_regime == "random":
            raise ValueError(
                "dataset.mask=stored takes the masks of the scans: mask_regime=random cannot be "
                "used with it"
            )


# The options that hydra checks, chosen by the files of the group `dataset`.
for _kind in RECIPES.values():
    _options = DatasetConfig()
    _options.recipe = _kind()  # whose folder is to be that of the file
    ConfigStore.instance().store(group="dataset", name=f"{_kind.name}_options", node=_options)
