"""Configs of runs from before the transform had plain options, brought to the layout of today.

Such a config names functions (`_target_`). They are compared with the names that were in use, and
never imported.
"""

from collections.abc import Mapping
from typing import Any

_KINDS = {
    "monarch_core.Fourier": "fourier",
    "monarch_core.Monarch": "monarch",
    "monarch_core.Dense": "dense",
}
_CONTROL = {"_target_": "monarch_core.layers.neuralop_spectral_conv", "_partial_": True}
_LEARNED = {"_target_": "monarch_core.MonarchSpectralConv.configured", "_partial_": True}


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
