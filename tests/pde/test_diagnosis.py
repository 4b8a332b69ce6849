"""The diagnosis knows a homogeneous problem, and one whose basis is another along one axis."""

import math
from pathlib import Path

import pytest
import torch
from programs import run_program

from pde.metrics.diagnosis import FEWEST, Diagnosis, diagnose

ROOT = Path(__file__).parents[2]


def smooth(n_samples, *grid, seed=0):
    noise = torch.randn(n_samples, *grid, generator=torch.Generator().manual_seed(seed))
    axes = tuple(range(1, len(grid) + 1))
    spectrum = torch.fft.fftn(noise, dim=axes)
    for axis, n in zip(axes, grid, strict=True):
        f = torch.fft.fftfreq(n, 1 / n)
        spectrum *= torch.exp(-0.02 * f**2).view(-1, *[1] * (len(grid) - axis))
    return torch.fft.ifftn(spectrum, dim=axes).real


def convolved(u, axis):
    n = u.shape[axis]
    f = torch.fft.fftfreq(n, 1 / n)
    shape = [1] * (u.ndim - axis - 1)
    factor = torch.exp(-0.01 * f**2 + 0.3j * f).view(-1, *shape)
    return torch.fft.ifft(torch.fft.fft(u, dim=axis) * factor, dim=axis).real


def halves(u, v):
    n = 2 * len(u) // 3
    return (u[:n], v[:n]), (u[n:], v[n:])


@pytest.mark.parametrize("noise", [0.0, 0.05, 1.0])
def test_a_convolution_with_noise_needs_no_other_basis(noise):
    u = smooth(300, 45)
    v = convolved(u, 1) + noise * torch.randn(u.shape, generator=torch.Generator().manual_seed(1))
    (found,) = diagnose(*halves(u, v))
    assert not found.is_worth_a_run
    assert "keep the FFT" in str(found)
    assert noise == 0 or abs(found.gain) < 0.02


def test_a_medium_needs_its_own_basis():
    u = smooth(300, 45)
    (found,) = diagnose(*halves(u, (1 + 0.5 * torch.sin(0.3 * torch.arange(45))) * u))
    assert found.along < 0.01 < 0.1 < found.diagonal
    assert found.gain > 0.9
    assert str(found).startswith("axis 0: the best linear map misses 0.0")
    assert "try transform=monarch" in str(found)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_axis_is_found(axis):
    """Layers along one axis, homogeneous along the other, and noise."""
    u = smooth(200, 16, 20)
    layers = 1 + 0.5 * torch.sign(torch.sin(0.9 * torch.arange(u.shape[axis + 1])))
    v = convolved(u, 2 - axis) * (layers[:, None] if axis == 0 else layers)
    v += 0.01 * torch.randn(v.shape, generator=torch.Generator().manual_seed(2))
    found = diagnose(*halves(u, v))
    assert [d.axis for d in found] == [0, 1]
    assert [d.is_worth_a_run for d in found] == [axis == 0, axis == 1]


def test_shifted_pairs_are_the_floor():
    """A problem that is shifted at random has no gain, and the same seed the same numbers."""
    u = smooth(300, 32)
    v = (1 + 0.5 * torch.sin(0.3 * torch.arange(32))) * u
    shifts = torch.randint(32, (300,), generator=torch.Generator().manual_seed(3)).tolist()
    u, v = (torch.stack([x.roll(s) for x, s in zip(f, shifts, strict=True)]) for f in (u, v))
    first, again = (diagnose(*halves(u, v))[0] for _ in range(2))
    assert not first.is_worth_a_run
    assert first == again


def test_what_chance_explains_is_no_result():
    """Of homogeneous problems and few samples nothing is said but that, and how many it takes."""
    u = smooth(32, 45)
    v = convolved(u, 1) + 0.05 * torch.randn(u.shape, generator=torch.Generator().manual_seed(1))
    found = diagnose(*halves(u, v))[0]
    assert found.chance > found.gain > 0.1  # which looks like a result
    assert not found.is_worth_a_run
    words = str(found)
    assert words.startswith(
        "axis 0: too few trajectories to tell: with 21 to fit to, chance may be"
    )
    assert f"about {found.n_enough} would be enough" in words
    assert found.n_enough >= 90
    assert "keep" not in words
    assert "misses" not in words


def test_fewer_samples_than_frequencies_do_not_tell():
    told = Diagnosis(0, 0.5, 0.5, (1.0, 1.0, 1.0), n_samples=40, n_frequencies=24)
    assert str(told).endswith("keep the FFT")
    few = Diagnosis(0, 0.5, 0.5, (1.0, 1.0, 1.0), n_samples=20, n_frequencies=24)
    assert "too few trajectories to tell" in str(few)
    assert few.n_enough == 48


def test_where_nothing_is_missed_nothing_is_to_gain():
    exact = Diagnosis(0, 1e-9, 1e-9, (1.0, 1.5, 2.0), n_samples=40, n_frequencies=24)
    assert str(exact).endswith("keep the FFT")


def test_an_overfitted_map_is_not_shown_as_worse_without_a_reason():
    u = smooth(90, 45)
    v = convolved(u, 1) + 0.05 * torch.randn(u.shape, generator=torch.Generator().manual_seed(1))
    (found,) = diagnose(*halves(u, v))
    assert found.along > found.diagonal
    assert "one of any kind, fitted to 60 samples, is overfitted" in str(found)
    assert str(found).endswith(": keep the FFT")


def test_enough_samples_by_the_estimate():
    """Chance falls as one over the root: four times the samples for half of it."""
    found = Diagnosis(0, 0.5, 0.4, (1.0, 1.1, 1.2, 1.3), n_samples=50, n_frequencies=16)
    assert found.is_undecided
    assert found.n_enough == math.ceil(50 * (found.chance / found.gain) ** 2)


def test_too_few_samples():
    u = smooth(FEWEST - 1, 16)
    with pytest.raises(ValueError, match=f"at least {FEWEST} training samples, got {FEWEST - 1}"):
        diagnose((u, u), (u, u))


def test_the_command_says_it_for_every_axis(tmp_path):
    words = ["experiment=smoke", "dataset.n_train=30", "dataset.n_valid=10"]
    script = ROOT / "pde/diagnose.py"
    done = run_program(script, *words, folder=tmp_path, imports=("pde.train", "pde.diagnose"))
    assert done.returncode == 0, done.stderr
    assert "axis 0: " in done.stdout
    assert "axis 1: " in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
