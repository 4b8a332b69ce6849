"""What is guessed of own data: whether ends go together, and disjoint splits."""

import numpy as np
import pytest

from pde.dataset.guesses import ends_of, likely_frames, likely_sizes, places_of_splits
from pde.dataset.thinning import thin_own

N = 41
RNG = np.random.default_rng(0)


def waves(x, n=12):
    """Fields of period 1 at any phase."""
    k, phase = RNG.integers(1, 4, (n, 2, 1)), RNG.uniform(0, 2 * np.pi, (n, 2, 1))
    return np.sin(2 * np.pi * k * x + phase).sum(1)


def sines(x, n=12):
    """Fields that walls hold at zero."""
    return sum(RNG.normal(size=(n, 1)) * np.sin(np.pi * k * x) for k in (1, 2, 3))


def cosines(x, n=12):
    """Fields without flux through walls."""
    return sum(RNG.normal(size=(n, 1)) * np.cos(np.pi * k * x) for k in (1, 2, 3))


RING, WITH_END, CENTRES = np.arange(N) / N, np.linspace(0, 1, N), (np.arange(N) + 0.5) / N


@pytest.mark.parametrize(
    ("u", "ends"),
    [
        pytest.param(waves(RING), "periodic", id="a ring"),
        pytest.param(waves(CENTRES) + 20, "periodic", id="cells of a ring, far from zero"),
        pytest.param(RNG.normal(size=(12, N)), "periodic", id="noise, of which nothing is known"),
        pytest.param(waves(WITH_END), "repeated", id="a ring with its first point twice"),
        pytest.param(sines(WITH_END), "open", id="zero at both ends"),
        pytest.param(sines(CENTRES), "open", id="cells between walls"),
        pytest.param(sines(np.linspace(0, 1, 12)), "open", id="few points between walls"),
        pytest.param(sines(WITH_END) + RNG.normal(size=(12, 1)), "open", id="held, each elsewhere"),
        pytest.param(cosines(WITH_END), "open", id="no flux"),
        pytest.param(waves(WITH_END) + WITH_END, "open", id="a slope"),
        pytest.param(
            np.exp(-(((CENTRES - 0.5) / 0.05) ** 2))[None], "open", id="a pulse far inside"
        ),
        pytest.param(np.zeros((3, 4)), "open", id="too few points"),
        pytest.param(RNG.normal(size=(12, 1)) * np.ones(N), "open", id="nothing varies"),
    ],
)
def test_ends_that_run_on_are_told_from_walls(u, ends):
    assert ends_of([u]) == ends
    assert ends_of([300 + 1e-3 * u, 1e4 * u]) == ends  # whatever their units


def test_no_channel_hides_the_walls_of_another():
    bumps, ring, doubled = sines(WITH_END) ** 2, waves(RING), waves(WITH_END)
    assert ends_of([300 + bumps, bumps]) == "open"  # each held at a value of its own
    assert ends_of([1e6 * ring, cosines(CENTRES), np.zeros_like(ring)]) == "open"
    assert ends_of([doubled, np.sin(2 * np.pi * WITH_END)[None] * RNG.normal(size=(12, 1))]) == (
        "repeated"  # a wave that is zero where the ring begins
    )
    pulse = RNG.normal(size=(12, 1)) * np.exp(-(((CENTRES - 0.5) / 0.05) ** 2))
    assert ends_of([ring, pulse]) == "periodic"  # nothing holds a pulse that never gets there
    assert ends_of([ring, np.zeros_like(ring), 0 * ring + 2]) == "periodic"
    rounded = (1 + RNG.uniform(-1e-7, 1e-7, (12, N))).astype(np.float32)
    assert len(np.unique(rounded)) > 1
    assert ends_of([sines(WITH_END), rounded]) == "open"  # nothing is told by a constant


def test_a_ring_loses_the_point_that_is_there_twice():
    assert thin_own(33, 32, periodic=True) == slice(0, 32, 1)
    assert thin_own(33, 16, periodic=True) == slice(0, 32, 2)
    assert thin_own(33, 11, periodic=True) == slice(None, None, 3)  # a ring of 33 points
    assert thin_own(33, 33, periodic=True) == slice(None)
    with pytest.raises(ValueError, match="33 points cannot be thinned out to 12"):
        thin_own(33, 12, periodic=True)


@pytest.mark.parametrize(
    ("n_times", "asked", "frames"),
    [
        (2, (0, 1, 0, 0), (1, 1)),
        (21, (0, 1, 0, 0), (4, 17)),
        (200, (0, 1, 0, 0), (4, 20)),
        (21, (1, 5, 0, 0), (1, 3)),
        (21, (0, 1, 10, 0), (10, 11)),
        (21, (0, 1, 0, 3), (4, 3)),
    ],
)
def test_a_few_frames_are_given_and_the_rest_predicted(n_times, asked, frames):
    assert likely_frames(n_times, *asked) == frames


NONE = {"train": 0, "valid": 0, "test": 0}


@pytest.mark.parametrize("n", [3, 7, 10, 23, 100])
def test_fractions_use_every_trajectory_once(n):
    sizes = likely_sizes(n, [0.8, 0.1, 0.1], NONE, {})
    places = places_of_splits(n, sizes, {})
    assert sorted(i for part in places.values() for i in part) == [*range(n)]
    assert [*places["train"], *places["valid"], *places["test"]] == [*range(n)]


def test_sizes_that_are_said_are_taken_and_the_test_is_last():
    sizes = likely_sizes(20, [0.8, 0.1, 0.1], {"train": 5, "valid": 3, "test": 2}, {})
    places = places_of_splits(20, sizes, {})
    assert places == {"train": range(5), "valid": range(5, 8), "test": range(18, 20)}


def test_splits_of_a_file_are_kept_and_a_missing_one_is_taken_from_its_training():
    held = {"train": range(20), "test": range(20, 26)}
    sizes = likely_sizes(26, [0.8, 0.1, 0.1], NONE, held)
    assert places_of_splits(26, sizes, held) == {
        "train": range(18),
        "valid": range(18, 20),
        "test": range(20, 26),
    }
    asked = {"train": 4, "valid": 0, "test": 1}
    places = places_of_splits(26, likely_sizes(26, [0.8, 0.1, 0.1], asked, held), held)
    assert (places["train"], places["test"]) == (range(4), range(20, 21))


@pytest.mark.parametrize(("n", "sizes"), [(2, (1, 1, 1)), (10, (8, 2, 2)), (10, (10, 0, 0))])
def test_too_few_trajectories_are_refused(n, sizes):
    asked = dict(zip(("train", "valid", "test"), sizes, strict=True))
    with pytest.raises(
        ValueError, match=rf"there are {n} trajectories, too few for n_train={sizes[0]}"
    ):
        places_of_splits(n, asked, {})
