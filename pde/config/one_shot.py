"""What the problems share that map one field to one other field."""

from dataclasses import dataclass

from pde.config.base import DatasetConfig, require
from pde.dataset.thinning import thin


@dataclass
class OneShotConfig(DatasetConfig):
    """Options of a problem with one field in and one field out.

    Attributes:
        stored_grid: intervals per axis of the stored fields, from which `grid` and the coarser and
            finer grids of an evaluation are taken: points i / stored_grid, both ends included
            unless the field is periodic.
    """

    stored_grid: int = 0

    def __post_init__(self) -> None:
        """Check that the grid is part of what is stored."""
        super().__post_init__()
        require(self.stored_grid >= 4, "stored_grid", self.stored_grid, "at least 4")
        if self.path is None:
            try:
                thin(self.n_stored_points, self.grid, periodic=self.periodic)
            except ValueError as error:
                raise ValueError(f"stored_grid={self.stored_grid}: {error}") from error

    @property
    def n_stored_points(self) -> int:
        """Points per axis of the stored fields."""
        return self.stored_grid if self.periodic else self.stored_grid + 1
