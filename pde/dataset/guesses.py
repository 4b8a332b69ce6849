"""What is likely of data that do not say it: boundaries, frames, sizes of splits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

Ends = Literal["open", "repeated", "periodic"]

# Curvature across the ends over that inside, above which the values do not run on.
_KINK = 2.5
# Difference of the ends over that of neighbours, below which the ends are equal.
_EQUAL = 1e-3
# Deviation of the values at the end over that of all, below which the end is held fixed.
_HELD = 1e-2
# Difference of neighbours over the values, below which it may be the rounding of float32.
_ROUNDING = 1e-6
_MOST_INPUT, _MOST_OUTPUT = 4, 20


def ends_of(channels: Iterable[Float[np.ndarray, "*field n"]]) -> Ends:
    """Return how the two ends of the last axis go together, in most of the fields.

    Units differ, so that each channel is looked at by itself: one whose values do not run on across
    the ends makes them "open", else one that has the first point twice makes them "repeated". Where
    no channel says more than that something holds its ends, they are "open".
    """
    found = {_ends_of_one(u) for u in channels}
    return next((ends for ends in get_args(Ends) if ends in found), "open")


def _ends_of_one(u: Float[np.ndarray, "*field n"]) -> Ends | None:
    """Return how the ends of one channel go together; None where it does not tell.

    With r(...) the root mean square, of n values on a ring D2 u[i] = u[i-1] - 2 u[i] + u[i+1], and

        max(r(D2 u[0]), r(D2 u[n-1])) > 2.5 r(D2 u[1], ..., D2 u[n-2])    a kink or a jump

    across the ends, they are "open" where there is one, "periodic" where there is none. Where
    u[n-1] = u[0] the last point is left away first, and they are "repeated" instead of periodic, a
    ring whose first point is stored twice; None if that value never varies, so that something
    holds it, or where nothing but rounding varies along the axis.
    """
    u = np.asarray(u, dtype=np.float64)
    if u.shape[-1] < 5:
        return "open"
    slope = _rms(np.diff(u, axis=-1))
    closed = _rms(u[..., 0] - u[..., -1]) <= _EQUAL * slope
    if slope <= _ROUNDING * _rms(u) or (closed and u[..., 0].std() <= _HELD * u.std()):
        return None
    ring = u[..., :-1] if closed else u
    bend = np.roll(ring, 1, -1) - 2 * ring + np.roll(ring, -1, -1)
    if max(_rms(bend[..., 0]), _rms(bend[..., -1])) > _KINK * _rms(bend[..., 1:-1]):
        return "open"
    return "repeated" if closed else "periodic"


def likely_frames(n_times: int, first: int, stride: int, n_in: int, n_out: int) -> tuple[int, int]:
    """Return how many frames are given and predicted, of n_times in the file; 0 asks for a guess.

    A fifth of them are given, at most 4, and the rest predicted, at most 20.
    """
    n_used = max(len(range(first, n_times, stride)), 2)
    n_in = n_in or min(_MOST_INPUT, max(1, n_used // 5))
    return n_in, n_out or min(_MOST_OUTPUT, max(1, n_used - n_in))


def likely_sizes(
    n: int, fractions: Sequence[float], sizes: Mapping[str, int], held: Mapping[str, range]
) -> dict[str, int]:
    """Return the trajectories of each split; a size of 0 asks for a guess.

    Args:
        n: trajectories in the file.
        fractions: of train, valid and test.
        sizes: what is said.
        held: the splits that the file has.
    """
    shares = dict(zip(sizes, fractions, strict=True))
    if not held:
        found = {split: sizes[split] or max(1, round(shares[split] * n)) for split in sizes}
        if not sizes["train"] and sum(shares.values()) > 1 - 1e-9:
            found["train"] = max(1, n - found["valid"] - found["test"])
        return found
    found = {split: sizes[split] or len(held.get(split, ())) for split in sizes}
    spare = len(held["train"])
    for split in ("valid", "test"):
        if split not in held:
            share = shares[split] / (shares[split] + shares["train"])
            found[split] = sizes[split] or max(1, round(share * len(held["train"])))
            spare -= found[split]
    found["train"] = sizes["train"] or max(1, spare)
    return found


def places_of_splits(
    n: int, sizes: Mapping[str, int], held: Mapping[str, range]
) -> dict[str, range]:
    """Return the trajectories of each split, which are disjoint.

    Without splits in the file the first ones are for training, those after them for validation and
    the last ones for testing. A split that the file lacks is taken from the end of its training
    trajectories.

    Raises:
        ValueError: there are too few.
    """
    free = held.get("train", range(n))
    n_train, n_valid, n_test = (sizes[split] for split in ("train", "valid", "test"))
    begin, end = n_train, len(free)
    places = {"train": free[:n_train]}
    if "valid" in held:
        places["valid"] = held["valid"][:n_valid]
    else:
        begin += n_valid
        places["valid"] = free[n_train:begin]
    if "test" in held:
        places["test"] = held["test"][:n_test]
    else:
        end -= n_test
        places["test"] = free[max(end, 0) :]
    if begin > end or any(len(places[split]) < max(size, 1) for split, size in sizes.items()):
        wanted = ", ".join(f"n_{split}={size}" for split, size in sizes.items())
        has = ", ".join(f"{len(part)} of {split}" for split, part in held.items()) or str(n)
        raise ValueError(
            f"there are {has} trajectories, too few for {wanted}: the splits are disjoint and each "
            "needs at least one, so lower dataset.n_train, n_valid or n_test"
        )
    return places


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
