"""What the runs of a group left behind for figures and tables, checked before it is drawn."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from monarch_core.report.compare.groups import Group
from monarch_core.report.read.untrusted import LARGEST, finite
from monarch_core.report.wording import plural
from monarch_core.runs.artifacts import (
    Artifact,
    Basis,
    Comparison,
    Curve,
    Picture,
    Table,
    load_artifacts,
)
from monarch_core.runs.printable import printable

_MOST_ARTIFACTS = 500  # of one run
_LARGEST_SINGLE = 1e15  # of numbers in single precision, whose squares are summed as such

Kind = TypeVar("Kind", Curve, Comparison, Picture, Basis, Table)


@dataclass(frozen=True)
class Left:
    """A group with the artifacts of each of its seeds."""

    group: Group
    artifacts: list[list[Artifact]]

    def of(self, kind: type[Kind], figure: str) -> list[list[Kind]]:
        """Return the artifacts of one kind and key, per seed that has any."""
        found = [
            [a for a in seed if isinstance(a, kind) and a.figure == figure]
            for seed in self.artifacts
        ]
        return [seed for seed in found if seed]


def read_left(group: Group) -> tuple[Left, list[str]]:
    """Read the artifacts of a group; what cannot be read or drawn is named and left out."""
    found, notes, absent = [], [], 0
    for run in group.runs:
        try:
            artifacts = load_artifacts(run.folder)
            if len(artifacts) > _MOST_ARTIFACTS:
                raise ValueError(f"{len(artifacts)} artifacts, more than {_MOST_ARTIFACTS}")
        except FileNotFoundError:
            absent += 1
            continue
        except (OSError, ValueError) as error:
            notes.append(f"{run.name}, artifacts.npz: {printable(str(error))}")
            continue
        sound = []
        for artifact in map(_bounded, artifacts):
            why = _undrawable(artifact)
            if why:
                notes.append(f"{run.name}: {artifact.figure} {why} and is left out")
            else:
                sound.append(artifact)
        found.append(sound)
        notes += [f"{run.name}: {note}" for note in _doubled(sound)]
    if absent:
        notes.append(
            f"{group.model}, {group.name}: {plural(absent, 'run')} without artifacts.npz, so no "
            "fields or curves of it"
        )
    return Left(group, found), notes


def figure_keys(left: Sequence[Left], kind: type[Kind]) -> list[str]:
    """Return the figures that artifacts of one kind belong to."""
    everything = (a for item in left for seed in item.artifacts for a in seed)
    return list(dict.fromkeys(a.figure for a in everything if isinstance(a, kind)))


def _bounded(artifact: Artifact) -> Artifact:
    """Return an artifact whose texts can be printed and whose numbers can be computed with."""
    return replace(
        artifact, **{item.name: _safe(getattr(artifact, item.name)) for item in fields(artifact)}
    )


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, np.ndarray):
        return _gaps(value)
    if isinstance(value, dict):
        return {printable(name): _gaps(image) for name, image in value.items()}
    if isinstance(value, list):
        return [_safe(entry) for entry in value]
    if isinstance(value, bool):
        return value
    return math.nan if isinstance(value, int | float) and finite(value) is None else value


def _gaps(array: np.ndarray) -> np.ndarray:
    """Return an array with NaN in the place of infinity and of numbers that cannot be squared."""
    if array.dtype == np.float32 and np.all(np.abs(array) < _LARGEST_SINGLE):
        return array
    values = array.astype(np.float64)
    values[~(np.abs(values) <= LARGEST)] = np.nan
    return values


def _undrawable(artifact: Artifact) -> str:
    """Say what keeps an artifact from being drawn, empty if nothing does."""
    if isinstance(artifact, Table):
        return "" if artifact.columns else "has no columns"
    if isinstance(artifact, Curve):
        shown = artifact.x + artifact.y
    elif isinstance(artifact, Basis):
        shown = artifact.spectrum
    else:
        shown = artifact.truth if isinstance(artifact, Comparison) else artifact.image
    return "" if np.isfinite(shown).any() else "has no finite value"


def _doubled(artifacts: Sequence[Artifact]) -> list[str]:
    """Name the figures of which a run left several where one can be shown."""
    keys = [(type(a).__name__, a.figure) for a in artifacts if not isinstance(a, Curve)]
    return [
        f"{n} of {kind} {figure}, of which the first is shown"
        for (kind, figure), n in Counter(keys).items()
        if n > 1
    ]
