"""Stored configs of MRI runs from before, brought to the layout of today."""

from collections.abc import Mapping
from typing import Any


def former_dataset(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored options of a data set with its `script` and `prepare` as a recipe.

    The folder that a recipe was stored with had no meaning beside `root`.
    """
    if "script" not in dataset:
        recipe = dataset.get("recipe")
        if isinstance(recipe, Mapping):
            recipe = {key: value for key, value in recipe.items() if key != "out"}
        return {**dataset, "recipe": recipe} if "recipe" in dataset else dict(dataset)
    rest = {key: value for key, value in dataset.items() if key not in ("script", "prepare")}
    script, prepare = dataset["script"], dataset.get("prepare") or {}
    name = str(script).removeprefix("mri_")
    return {**rest, "recipe": {**prepare, "name": name} if script else None}
