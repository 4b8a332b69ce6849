"""What the problems share that map one field to one other field."""

from dataclasses import dataclass

from data_scripts.pde.generation import OneShotRecipe
from pde.config.base import DatasetConfig
from pde.dataset.thinning import thin


@dataclass
class OneShotConfig(OneShotRecipe, DatasetConfig):
    """Options of a problem with one field in and one field out.

    Of the stored fields are taken `grid`, and the coarser and finer grids of an evaluation.
    """

    def __post_init__(self) -> None:
        """Check that the grid is part of what is stored."""
        super().__post_init__()
        if self.path is None:
            try:
                thin(self.n_stored_points, self.grid, periodic=self.periodic)
            except ValueError as error:
                raise ValueError(f"stored_grid={self.stored_grid}: {error}") from error
