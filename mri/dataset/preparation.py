"""Make a dataset that is not there, and tell what the scans depend on."""

from pathlib import Path
from typing import Any

from data_scripts.recipe import ensure
from mri.config.dataset import DatasetConfig


def prepare_if_missing(config: DatasetConfig) -> dict[str, Any] | None:
    """Make the scans unless they are there, or check that the recipe made them.

    Returns:
        What the scans depend on; None without a recipe, when those in `root` are taken as they are.

    Raises:
        ValueError: if there is no recipe and no scan, it fails, or the data was made with other
            options.
        OSError: if a file cannot be written, or a worker process was killed.
    """
    recipe, root = config.recipe, Path(config.root)
    if recipe is None:
        if root.exists() and not root.is_dir():
            raise ValueError(f"dataset.root={root} is a file; give the folder of prepared scans")
        if not any(root.glob("*.h5")):
            raise ValueError(
                f"no prepared scans (*.h5) in {root} and dataset.recipe is null; prepare them "
                "with one of data_scripts/ (out=FOLDER) or correct dataset.root"
            )
        return None
    ensure(recipe)
    made_with, asked = recipe.made_with(), recipe.identity()
    return {name: made_with.get(name, value) for name, value in asked.items()}
