"""Sparse to dense: after part of a run its structured layers are multiplied out."""

from monarch_core.layers.swap import densify
from monarch_core.training.change import Change, no_moments
from monarch_core.training.moments import carried_moments
from sparse.config.run import SparseConfig


def switch_of(config: SparseConfig) -> Change | None:
    """Return the change of the model in a run that goes on dense; None for any other run."""
    if config.switch_at is None:
        return None
    moments = {"carried": carried_moments, "fresh": no_moments}[config.switch.moments]
    return Change(config.switch_epoch, densify, moments, config.switch.warm_up)
