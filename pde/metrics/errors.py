"""Errors of predicted fields, all relative to the truth and dimensionless.

Nothing is added to the norm of the truth: where that is zero, an error is infinite or NaN. Data in
which it is are refused when they are read (`pde.dataset.checks`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from neuralop.losses import H1Loss
from torch import Tensor

from monarch_core.transforms.arguments import per_axis

# Wavenumber bands of PDEBench (Takamoto et al. 2022, arXiv:2210.07182), in cycles per box.
BANDS = {"low": (0, 4), "mid": (4, 12), "high": (12, None)}
# Options of neuralop's loss, by axis.
PERIODIC_IN = ("periodic_in_x", "periodic_in_y", "periodic_in_z")


def _require_one_shape(prediction: Tensor, target: Tensor) -> None:
    """Raise ValueError for shapes that merely broadcast, which give the error of other fields."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction and target must have one shape, got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}; give one prediction per target"
        )


def relative_l2(
    prediction: Float[Tensor, "batch *shape"], target: Float[Tensor, "batch *shape"]
) -> Float[Tensor, ""]:
    """Return the mean over the batch of ||prediction - target|| / ||target||.

    The norm runs over all frames and points of a sample: the published `test_l2_full`.
    """
    _require_one_shape(prediction, target)
    error = (prediction - target).flatten(1).norm(dim=1)
    return (error / target.flatten(1).norm(dim=1)).mean()


def relative_l2_of_each(
    prediction: Float[Tensor, "batch steps channel *grid"],
    target: Float[Tensor, "batch steps channel *grid"],
) -> Float[Tensor, " channel"]:
    """Return the relative L2 error of each channel, mean over the samples in which it is not zero.

    Such as the third component of a velocity, a channel may be zero throughout a sample.
    """
    _require_one_shape(prediction, target)
    error, norm = (
        field.movedim(2, 1).flatten(2).norm(dim=2) for field in (prediction - target, target)
    )
    return (error / norm.where(norm > 0, torch.inf)).sum(0) / (norm > 0).sum(0)


def relative_l2_per_step(
    prediction: Float[Tensor, "batch steps *grid"], target: Float[Tensor, "batch steps *grid"]
) -> Float[Tensor, " steps"]:
    """Return the relative L2 error of each frame, mean over the batch."""
    _require_one_shape(prediction, target)
    error = (prediction - target).flatten(2).norm(dim=2)
    return (error / target.flatten(2).norm(dim=2)).mean(0)


def roll_out_loss(
    prediction: Float[Tensor, "batch steps *grid"], target: Float[Tensor, "batch steps *grid"]
) -> Float[Tensor, ""]:
    """Return the sum over steps of the relative L2 error, mean over the batch.

    The training loss of Li et al. 2021 (arXiv:2010.08895).
    """
    return relative_l2_per_step(prediction, target).sum()


def relative_h1(
    prediction: Float[Tensor, "batch steps *channel_and_grid"],
    target: Float[Tensor, "batch steps *channel_and_grid"],
    *,
    periodic: bool | Sequence[bool] = True,
    n_channels: int = 1,
) -> Float[Tensor, ""]:
    """Return the relative H1 error of neuralop, mean over the batch and the frames.

    sqrt(||e||^2 + ||grad e||^2) over the same of the target, with central differences on the unit
    box; at the ends of an axis that is not `periodic` they are one-sided, of third order. Several
    channels, on an axis before the grid, are one field: the squares of all of them are added.
    """
    _require_one_shape(prediction, target)
    n_axes = prediction.ndim - 2 - (n_channels > 1)
    loss = H1Loss(
        d=n_axes,
        reduction="mean",
        measure=1.0,
        **dict(zip(PERIODIC_IN, per_axis("periodic", periodic, n_axes), strict=False)),
        eps=0.0,  # added to the norm of the target, it would flatter where that is small
    )
    if n_channels == 1:
        return loss.rel(prediction.flatten(0, 1).unsqueeze(1), target.flatten(0, 1).unsqueeze(1))
    terms = loss.compute_terms(
        prediction.flatten(0, 1),
        target.flatten(0, 1),
        [1 / n for n in prediction.shape[3:]],
    )
    ours, theirs = (torch.stack([*found.values()]) for found in terms)
    error, norm = ((field.square().sum((0, 2, 3))).sqrt() for field in (ours - theirs, theirs))
    return (error / norm).mean()


def band_errors(
    prediction: Float[Tensor, "batch steps *grid"],
    target: Float[Tensor, "batch steps *grid"],
    *,
    periodic: bool | Sequence[bool] = True,
) -> dict[str, float]:
    """Return the L2 error in each band of wavenumbers |k|, relative to the whole target.

    sqrt(sum of |e_hat|^2 in the band / sum of all |target_hat|^2), mean over the batch. The
    squares of all bands add up to the square of the total error of a sample.
    """
    _require_one_shape(prediction, target)
    total = energy_spectrum(target, periodic=periodic).sum(-1)
    error = energy_spectrum(prediction - target, periodic=periodic)
    errors = {}
    for name, (low, high) in BANDS.items():
        share = error[:, low:high].sum(-1) / total
        errors[name] = share.sqrt().mean().item()
    return errors


def energy_spectrum(
    field: Float[Tensor, "batch steps *grid"], *, periodic: bool | Sequence[bool] = True
) -> Float[Tensor, "batch k"]:
    """Return sum |field_hat|^2 over shells |k| rounded to integers (halves up), mean over frames.

    Along an axis that is not periodic the field is first continued evenly beyond its ends, which
    makes it periodic without a jump: the spectrum is that of a cosine transform (DCT-II), k = 1/2,
    1, 3/2, ...

    Unit: that of the field, squared; the shells sum to the mean square of the field. Wavenumbers
    are in cycles per box.
    """
    axes = tuple(range(2, field.ndim))
    shape = field.shape[2:]
    for axis, is_periodic in zip(axes, per_axis("periodic", periodic, len(axes)), strict=True):
        if not is_periodic:
            field = torch.cat((field, field.flip(axis)), dim=axis)
    energy = torch.fft.fftn(field, dim=axes, norm="forward").abs().square().mean(1)
    squares = torch.zeros((), device=field.device)
    for n, box in zip(field.shape[2:], shape, strict=True):
        k = torch.fft.fftfreq(n, 1 / box, device=field.device)
        squares = squares[..., None] + k.square()
    shell = (squares.sqrt() + 0.5).floor().long().flatten()
    spectrum = energy.new_zeros(len(energy), int(shell.max()) + 1)
    return spectrum.index_add(1, shell, energy.flatten(1))
