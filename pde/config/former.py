"""Stored configs of runs from before each model had options of its own."""

from typing import Any

from pde.config.model import MODELS, RANGES

# What every stored model had then, whether its network read it or not.
_OPTIONS = {*RANGES, "use_channel_mlp", "checkpoint_steps"}


def former_model(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a stored config without the options that its network never read."""
    model = stored.get("model")
    if not isinstance(model, dict) or str(model.get("architecture")) not in MODELS:
        return stored
    options = MODELS[model["architecture"]]
    read = {k: v for k, v in model.items() if k not in _OPTIONS or hasattr(options, k)}
    return {**stored, "model": read}
