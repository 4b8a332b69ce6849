"""Is the Fourier basis the right one, axis by axis? What linear maps say before any training.

With u the last given frame and v the next one, both in the Fourier basis of every axis, and f and
g frequencies of axis d, k those of the others,

    diagonal    v[f, k] = h[f, k] u[f, k]                a convolution                       (1)
    along d     v[f, k] = sum_g H_k[f, g] u[g, k]        any matrix along d, for each k      (2)

(1) is a case of (2). On a periodic and homogeneous problem (2) is no better; where another basis
belongs to axis d, such as the normal modes of a layered medium, it is. Both are fitted to training
samples, with a penalty chosen on part of them, and measured on samples that they have not seen.

What (2) gains or loses by chance is seen on the same pairs after circular shifts along d, random
for each pair: they make any problem homogeneous along d and leave all else as it is. What no linear
map can see, such as the wave that a nonlinearity makes of a sine, is not seen here either.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from pde.dataset.samples import Splits, TrajectoryDataset

Predict = Callable[[Tensor], Tensor]
# Relative to the mean square of an input.
PENALTIES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
N_SHIFTED = 3
FEWEST, MOST = 20, 2000  # samples; more tell no more
HIGHEST = 64  # frequency along the axis in question; networks keep fewer
# A ratio of errors this far below that of shifted pairs is one that a network can use.
SMALLEST_GAIN = 0.03
# What chance may be, above which a gain that is worth a run could hide behind it.
LARGEST_CHANCE = 0.2
# Below this error of (1) there is nothing to gain.
SMALLEST_MISSED = 1e-3


@dataclass(frozen=True)
class Diagnosis:
    """What linear maps say of one axis.

    Attributes:
        axis: its number.
        diagonal: relative L2 error of (1), the mean over held-out samples.
        along: that of (2).
        shifted: the ratio of the two on shifted pairs, one for each time they were shifted.
        n_samples: fitted to.
        n_frequencies: along the axis, the size of a matrix H_k.
        channel: name of the field, "" if there is one.
    """

    axis: int
    diagonal: float
    along: float
    shifted: tuple[float, ...]
    n_samples: int
    n_frequencies: int
    channel: str = ""

    @property
    def ratio(self) -> float:
        """Error of (2) over that of (1)."""
        return self.along / self.diagonal

    @property
    def floor(self) -> float:
        """The ratio of a homogeneous problem: the mean of the shifted ones."""
        return sum(self.shifted) / len(self.shifted)

    @property
    def noise(self) -> float:
        """Largest distance of a shifted ratio from the floor."""
        return max(abs(ratio - self.floor) for ratio in self.shifted)

    @property
    def gain(self) -> float:
        """Part of the error that another basis along this axis takes away, 1 - ratio / floor."""
        return 1 - self.ratio / self.floor

    @property
    def chance(self) -> float:
        """Gain that a homogeneous problem may seem to have."""
        return max(SMALLEST_GAIN, 3 * self.noise / self.floor)

    @property
    def is_worth_a_run(self) -> bool:
        """Whether the gain is beyond what chance makes of a homogeneous problem."""
        return self.gain > self.chance

    @property
    def is_undecided(self) -> bool:
        """Whether chance explains the gain, and could as well hide one that is worth a run.

        So it can with fewer samples than frequencies, to which any matrix is fitted.
        """
        hides = self.chance > LARGEST_CHANCE or self.n_samples < self.n_frequencies
        return hides and self.diagonal > SMALLEST_MISSED and not self.is_worth_a_run

    @property
    def n_enough(self) -> int:
        """Samples with which chance, as 1 / sqrt(n), falls to the gain or to 20 %, in two digits.

        max(n (chance / max(gain, 0.2))^2, 2 frequencies)
        """
        by_chance = self.n_samples * (self.chance / max(self.gain, LARGEST_CHANCE)) ** 2
        n = math.ceil(max(by_chance, 2 * self.n_frequencies))
        digits = 10 ** max(0, len(str(n)) - 2)
        return math.ceil(n / digits) * digits

    def __str__(self) -> str:
        """Return the finding in one sentence."""
        where = f"{self.channel}, axis {self.axis}" if self.channel else f"axis {self.axis}"
        if self.is_undecided:
            return (
                f"{where}: too few trajectories to tell: with {self.n_samples} to fit to, chance "
                f"may be {self.chance:.0%} and the gain of another basis seems to be "
                f"{self.gain:.0%}; about {self.n_enough} would be enough, and a validation split "
                "in proportion"
            )
        missed = (
            f"the best linear map misses {self.along:.2%}, the best one that is diagonal in the "
            f"Fourier basis {self.diagonal:.2%}; another basis gains"
        )
        if self.along > self.diagonal:
            missed = (
                f"the best linear map that is diagonal in the Fourier basis misses "
                f"{self.diagonal:.2%}; one of any kind, fitted to {self.n_samples} samples, is "
                f"overfitted and misses {self.along:.2%}. Against shifted pairs, where it is as "
                "overfitted, another basis gains"
            )
        verdict = "try transform=monarch" if self.is_worth_a_run else "keep the FFT"
        chance = f"of which chance may be {self.chance:.1%}"
        return f"{where}: {missed} {self.gain:.1%}, {chance}: {verdict}"


def diagnose_splits(splits: Splits, channels: Sequence[str] = ("",)) -> list[Diagnosis]:
    """Return what `diagnose` finds of the last given frame and the one after it.

    Args:
        splits: the data.
        channels: names of the channels of a frame, each of which is diagnosed by itself. The output
            of a steady problem goes with its first input.
    """
    found = []
    for channel, name in enumerate(channels):
        train, valid = (_pairs(split, channel) for split in (splits.train, splits.valid))
        found += [replace(d, channel=name) for d in diagnose(train, valid)]
    return found


def _pairs(split: TrajectoryDataset, channel: int) -> tuple[Tensor, Tensor]:
    """Return what is given last of a channel, and what follows."""
    if split.n_given == 0:
        assert split.constants is not None
        return split.constants[:MOST, 0], split.future[:MOST, channel]
    last = split.n_given - split.n_channels + channel
    return split.frames[:MOST, last], split.future[:MOST, channel]


def diagnose(
    train: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], seed: int = 0
) -> list[Diagnosis]:
    """Compare linear maps along every axis.

    Args:
        train: frames to fit to, and those that follow, (sample, *grid) each.
        held_out: the same of other samples.
        seed: of the shifts.

    Raises:
        ValueError: there are too few samples to fit to.
    """
    if len(train[0]) < FEWEST:
        raise ValueError(
            f"a diagnosis needs at least {FEWEST} training samples, got {len(train[0])}; raise "
            "dataset.n_train, or cut long trajectories of your own by dataset.window=FRAMES"
        )
    generator = torch.Generator().manual_seed(seed)
    found = []
    for axis in range(train[0].ndim - 1):
        diagonal, along = _errors(train, held_out, axis)
        ratios = []
        for _ in range(N_SHIFTED):
            both = [_shifted(pairs, axis, generator) for pairs in (train, held_out)]
            shifted = _errors(both[0], both[1], axis)
            ratios.append(shifted[1] / shifted[0])
        n_frequencies = len(_kept(train[0].shape[axis + 1]))
        found.append(Diagnosis(axis, diagonal, along, tuple(ratios), len(train[0]), n_frequencies))
    return found


def _shifted(
    pairs: tuple[Tensor, Tensor], axis: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return pairs after a circular shift along an axis, another for each of them."""
    n = pairs[0].shape[axis + 1]
    shifts = torch.randint(n, (len(pairs[0]),), generator=generator).tolist()
    u, v = (
        torch.stack([field.roll(s, axis) for field, s in zip(fields, shifts, strict=True)])
        for fields in pairs
    )
    return u, v


def _errors(
    train: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], axis: int
) -> tuple[float, float]:
    """Return the held-out errors of (1) and (2)."""
    pairs = [tuple(_spectrum(fields, axis) for fields in p) for p in (train, held_out)]
    norms = [p[1].double().flatten(1).norm(dim=1) for p in (train, held_out)]
    inner = len(train[0]) * 4 // 5
    (u, v), (x, y) = pairs
    errors = []
    for fit in (_fit_diagonal, _fit_along):
        with_penalty = fit(u[:, :inner], v[:, :inner])
        tried = [
            _error(with_penalty(p), u[:, inner:], v[:, inner:], norms[0][inner:]) for p in PENALTIES
        ]
        penalty = PENALTIES[tried.index(min(tried))]
        errors.append(_error(fit(u, v)(penalty), x, y, norms[1]))
    return errors[0], errors[1]


def _spectrum(fields: Float[Tensor, "sample *grid"], axis: int) -> Complex[Tensor, "k sample f"]:
    """Return the lowest frequencies of an axis, for each of the other axes' frequencies."""
    axes = tuple(range(1, fields.ndim))
    spectrum = torch.fft.fftn(fields.double(), dim=axes, norm="ortho").movedim(axis + 1, -1)
    kept = _kept(spectrum.shape[-1])
    return (
        spectrum[..., kept].flatten(1, -2).transpose(0, 1)
        if len(axes) > 1
        else spectrum[None, ..., kept]
    )


def _kept(n: int) -> list[int]:
    """Return the lowest frequencies of n points."""
    return [f for f in range(n) if min(f, n - f) <= HIGHEST]


def _fit_diagonal(u: Tensor, v: Tensor) -> Callable[[float], Predict]:
    """Fit h of (1) by least squares, with a penalty on |h|^2."""
    power, moment = u.abs().square().sum(1), (u.conj() * v).sum(1)

    def predict(penalty: float) -> Predict:
        h = moment / (power + penalty * power.mean())
        return lambda x: h[:, None] * x

    return predict


def _fit_along(u: Tensor, v: Tensor) -> Callable[[float], Predict]:
    """Fit H of (2) likewise."""
    gram, moment = u.mH @ u, u.mH @ v
    power, one = gram.diagonal(dim1=1, dim2=2).real.mean(), torch.eye(u.shape[2])

    def predict(penalty: float) -> Predict:
        H = torch.linalg.solve(gram + penalty * power * one, moment)
        return lambda x: x @ H

    return predict


def _error(predict: Predict, u: Tensor, v: Tensor, norms: Tensor) -> float:
    """Return the mean relative error; frequencies that are left out count as they are."""
    inside = v.abs().square().sum((0, 2))
    missed = (predict(u) - v).abs().square().sum((0, 2)) + (norms.square() - inside).clamp(min=0)
    return float((missed.sqrt() / norms).mean())
