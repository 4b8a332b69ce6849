"""Is a file of the problem that results will name, and are its fields fit to learn from?"""

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from data_scripts.pde.conventions import OWN
from data_scripts.pde.readers import Trajectories, UnusableFileError, evenly_spaced
from pde.config.base import DatasetConfig, GeneratedConfig

log = logging.getLogger(__name__)

# Largest values of a field between which float32 can sum their squares.
_SMALLEST, _LARGEST = 1e-15, 1e15
# Deviation over magnitude below which float32 sees one value.
_CONSTANT = 1e-6


def require_axes(config: GeneratedConfig, source: Trajectories) -> None:
    """Raise UnusableFileError unless a file has fields of as many axes as the problem."""
    shape = source.shape[2:]
    if len(shape) != config.n_axes:
        raise UnusableFileError(
            f"{source.path} has fields of shape {shape}, but {config.name} has "
            f"{config.n_axes} axes; choose the data set that the file belongs to"
        )


def require_problem(config: GeneratedConfig, source: Trajectories) -> None:
    """Raise UnusableFileError unless a file holds fields of the problem of a config.

    `convention="own"` silences what the file says of its equation, domain and boundary, or does not
    say; not the viscosity, which has an option of its own.
    """
    states, own = source.states, config.convention == OWN
    doubts = list(states.doubts)
    if states.problem not in (None, config.name):
        doubts.insert(0, f"by layout and attributes it is of {states.problem}")
    if doubts and not own:
        raise UnusableFileError(
            f"{source.path} ({source.layout}) is not clearly of {config.name}: "
            f"{'; '.join(doubts)}. Choose the data set that the file belongs to, or, if you know "
            f"that its fields obey equation, domain, boundary and units of {config.name}, set "
            "dataset.convention=own"
        )
    _require_viscosity(config, source)
    _require_points(config, source)


def _require_viscosity(config: GeneratedConfig, source: Trajectories) -> None:
    """Compare what the file says with what results will say; not every equation has one."""
    wanted, stored, by_name = (
        getattr(config, "viscosity", None),
        source.viscosity,
        source.states.by_name,
    )
    if wanted is None:
        return
    if stored is None:
        log.warning(
            "%s does not state its viscosity; results will say dataset.viscosity=%g",
            source.path,
            wanted,
        )
    elif not math.isclose(wanted, stored, rel_tol=1e-5) and not (by_name and config.convention):
        raise UnusableFileError(
            f"{source.path} has viscosity {stored:.7g}{' by its name' if by_name else ''}, but "
            f"dataset.viscosity={wanted:g}; set dataset.viscosity={stored:.7g}"
            f"{' or, if the name is wrong, dataset.convention=own' if by_name else ''}"
        )


def _require_points(config: GeneratedConfig, source: Trajectories) -> None:
    """Compare where the points of a file lie with what the options say of uneven ones."""
    if config.is_even:
        return
    wanted = {"stored_grid": source.shape[-1] - 1, "stretching": source.states.stretching}
    for key, stored in wanted.items():
        if stored is not None and not math.isclose(getattr(config, key), stored, rel_tol=1e-6):
            said = getattr(config, key)
            raise UnusableFileError(
                f"{source.path} has points by {key}={stored:g}, but dataset.{key}={said:g}, from "
                f"which their coordinates follow; set dataset.{key}={stored:g}"
            )


def common_times(config: GeneratedConfig, sources: Sequence[Trajectories]) -> tuple[float, ...]:
    """Return the times of the frames used.

    Raises:
        UnusableFileError: they differ between the files of the splits.
    """
    used = [source.times[config.select_frames(source.times, source.path)] for source in sources]
    for source, times in zip(sources, used, strict=True):
        if not np.allclose(times, used[0], rtol=1e-4):
            raise UnusableFileError(
                f"all splits must have frames at the same times, got {used[0][0]:g} to "
                f"{used[0][-1]:g} in {sources[0].path} and {times[0]:g} to {times[-1]:g} in "
                f"{source.path}; make one of them again"
            )
    return tuple(float(t) for t in used[0])


def require_steps(config: GeneratedConfig, source: Trajectories, frames: slice) -> None:
    """Raise UnusableFileError unless the frames of an evolution are evenly spaced in time.

    One network makes every step of a roll-out, so that all must be as long.
    """
    times = source.times[frames]
    if config.evolves and not evenly_spaced(times):
        raise UnusableFileError(
            f"{source.path}: the frames used must be evenly spaced in time, got "
            f"{', '.join(f'{t:g}' for t in times[:6])}{', ...' if len(times) > 6 else ''}; choose "
            "others by first_frame and frame_spacing, or store others"
        )


def require_sound(
    path: object,
    values: Float[Tensor, "trajectory time *grid"],
    n_input_frames: int,
    *,
    place: Callable[[int, int], str],
) -> None:
    """Raise UnusableFileError for fields by which errors cannot be measured.

    Args:
        path: where they are from.
        values: the fields.
        n_input_frames: how many frames are given; those after them are divided by their norm.
        place: words for the place in the file of a trajectory and a frame of `values`.
    """
    largest = values.flatten(2).abs().amax(2)
    wrong = ~(largest < _LARGEST)
    wrong[:, n_input_frames:] |= largest[:, n_input_frames:] < _SMALLEST
    if wrong.any():
        trajectory, frame = (int(i) for i in wrong.nonzero()[0])
        size = float(largest[trajectory, frame])
        raise UnusableFileError(
            f"{path}: the field is {f'at most {size:g}' if size else 'zero everywhere'} in "
            f"{place(trajectory, frame)}, by which relative errors cannot be measured in float32; "
            f"{int(wrong.any(1).sum())} of {len(values)} trajectories are affected. Remove them, "
            "or change the unit of the field"
        )


def require_variety(
    path: object, values: Float[Tensor, "trajectory time *grid"], n_input_frames: int
) -> None:
    """Raise UnusableFileError where inputs or outputs to learn from are one constant."""
    for role, fields in zip(
        ("inputs", "outputs"), values.tensor_split([n_input_frames], dim=1), strict=True
    ):
        doubles = fields.double()
        if doubles.numel() and doubles.std(correction=0) <= _CONSTANT * doubles.abs().max():
            raise UnusableFileError(
                f"{path}: all {role} of the training split have the same value "
                f"{doubles.mean():g}, from which nothing can be learned; check the data"
            )


def require_distinct(
    config: DatasetConfig, splits: Mapping[str, tuple[Iterable[Tensor], Sequence[int], object]]
) -> None:
    """Raise UnusableFileError where a trajectory is in two splits; warn where twice in one.

    Args:
        config: whose `allow_duplicates` turns the error into a warning.
        splits: for each, the frames of every trajectory, their numbers in the file, and the path
            of that.
    """
    seen: dict[bytes, tuple[str, str]] = {}
    across: list[str] = []
    within: list[str] = []
    for split, (frames, numbers, path) in splits.items():
        for values, number in zip(frames, numbers, strict=True):
            key = hashlib.blake2b(values.numpy().tobytes(), digest_size=16).digest()
            place = f"trajectory {number} of {path} ({split})"
            first, before = seen.setdefault(key, (split, place))
            if before != place:
                (within if first == split else across).append(f"{place} is {before}")
    if across and not config.allow_duplicates:
        raise UnusableFileError(
            f"{len(across)} trajectories are in more than one split, so that the error would not "
            f"be one on unseen data: {across[0]}. Remove them, or set "
            "dataset.allow_duplicates=true"
        )
    for found in (across, within):
        if found:
            log.warning("%d trajectories are there more than once: %s", len(found), found[0])
