"""Configs of runs from before, brought to the layout of today.

Before the transform had plain options, a config named functions (`_target_`). They are compared
with the names that were in use, and never imported.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

_KINDS = {
    "monarch_core.Fourier": "fourier",
    "monarch_core.Monarch": "monarch",
    "monarch_core.Dense": "dense",
}
_CONTROL = {"_target_": "monarch_core.layers.neuralop_spectral_conv", "_partial_": True}
_LEARNED = {"_target_": "monarch_core.MonarchSpectralConv.configured", "_partial_": True}

# Options of the models of a task as they were when every run stored those of all of them, whichever
# it read; where nobody changed one that its model did not read, this is its value. Options that
# came later have the value that leaves a network as it was.
FORMER_OPTIONS: dict[str, dict[str, Any]] = {
    "pde": {
        "hidden_channels": 20,
        "n_modes": 12,
        "n_layers": 4,
        "projection_channels": 128,
        "domain_padding": 0.0,
        "lifting_channels": 0,
        "use_channel_mlp": False,
        "time_padding": 6,
        "gate_channels": 18,
        "n_filter_frames": 4,
        "checkpoint_steps": False,
        "resample": False,
        "continuation": False,
        "factorization": None,
        "rank": 1.0,
        "transform_grid": None,
    },
    "mri": {
        "weighting": "none",
        "candidates": [0.01],
        "n_iterations": 10,
        "n_channels": 32,
        "n_pools": 4,
        "residual": False,
        "n_cascades": 5,
        "n_layers": 5,
        "data_consistency": "gradient",
        "tied": True,
        "transform_per_cascade": False,
        "regulariser_per_cascade": True,
    },
}

# Likewise those of a transform.
FORMER_TRANSFORM: dict[str, Any] = {"axes": None}


def to_current(config: dict[str, Any]) -> dict[str, Any]:
    """Return a stored config with its transform as plain options, whichever layout it had.

    Raises:
        ValueError: the transform has the former layout, but is none that could be trained then.
    """
    node = config.get("transform")
    if not isinstance(node, Mapping) or not {"axis", "spectral_conv"} & node.keys():
        return config
    axis, conv = node.get("axis"), node.get("spectral_conv")
    if isinstance(axis, Mapping) and isinstance(conv, Mapping):
        options = {k: v for k, v in axis.items() if k not in ("_target_", "_partial_", "frozen")}
        kind = _KINDS.get(str(axis.get("_target_")))
        flat = {"name": node.get("name"), "kind": kind, **options}
        if kind == "fourier" and conv == _CONTROL:
            return {**config, "transform": flat}
        learn, start = conv.get("learn"), options.get("start")
        basis = {"basis": start} if start in ("cosine", "sine") else {}
        same = conv == {**_LEARNED, "transform": axis, "learn": learn, **basis}
        if kind and same and (learn == "none") == axis.get("frozen", False):
            return {**config, "transform": {**flat, "learn": learn}}
    raise ValueError(
        "its transform is written in the layout of an earlier version (axis, spectral_conv) with "
        "values that none of that version's transforms had, and nothing that a config names is "
        "called; take the file from the run itself, or train again"
    )


def names_of_options(choices: Mapping[str, type]) -> dict[str, set[str]]:
    """Return the names of the options of each choice, given its dataclass by name."""
    return {name: {f.name for f in dataclasses.fields(c)} for name, c in choices.items()}


def without_unread(
    stored: dict[str, Any], part: str, options: Mapping[str, Collection[str]], key: str
) -> dict[str, Any]:
    """Return a stored config without options of one part that only other choices of it have.

    Before each choice had options of its own, every run stored those of all, and read its own.

    Args:
        stored: the config.
        part: its key, as "model".
        options: names of those of each choice, by its name (`names_of_options`).
        key: where the part names its choice; without a known name, nothing is left out.
    """
    node = stored.get(part)
    if not isinstance(node, Mapping) or str(node.get(key)) not in options:
        return stored
    unread = set().union(*options.values()) - {*options[str(node[key])]}
    return {**stored, part: {name: v for name, v in node.items() if name not in unread}}
