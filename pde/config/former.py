"""Stored configs of PDE runs from before, brought to the layout of today."""

from typing import Any

from monarch_core.runs.former_layout import without_unread
from pde.config.model import MODELS


def former_model(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a stored config whose model has the options of its network only."""
    return without_unread(stored, "model", MODELS, "architecture")
