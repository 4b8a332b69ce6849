"""Training losses: means over the samples of a batch.

Prepared scans are divided by the standard deviation of their target's magnitude, so these are in
units of that deviation (or of its square) and a learning rate means the same for every dataset. A
slice without signal counts as little as it holds. Where a difference is zero, so is its gradient.
Every loss raises ValueError for images that cannot be compared.
"""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float, Shaped
from torch import Tensor

from mri.metrics.structure import structural_similarity

# Complex, of any one shape; both are left to the ValueError below, which names the remedy.
Images = Shaped[Tensor, "..."]


STRUCTURE_WEIGHT = 0.02
_STRUCTURED = "l2_ssim"


def mean_absolute(prediction: Images, target: Images) -> Float[Tensor, ""]:
    """Return mean |p - t|, in the unit of the images."""
    _check(prediction, target)
    return (prediction - target).abs().mean()


def mean_squared(prediction: Images, target: Images) -> Float[Tensor, ""]:
    """Return mean |p - t|^2, in the squared unit of the images."""
    _check(prediction, target)
    difference = prediction - target
    return (difference.real.square() + difference.imag.square()).mean()


def mean_absolute_of_magnitudes(prediction: Images, target: Images) -> Float[Tensor, ""]:
    """Return mean | |p| - |t| |, in the unit of the images; for targets without a phase."""
    _check(prediction, target)
    return (prediction.abs() - target.abs()).abs().mean()


def squared_and_structure(
    prediction: Images, target: Images, *, weight: float = STRUCTURE_WEIGHT
) -> Float[Tensor, ""]:
    """Return mean |p - t|^2 + w (1 - mean SSIM(|p|, |t|)).

    The squared error is that of complex images, in the squared unit of the images; SSIM is of
    magnitudes (`structural_similarity`), dimensionless, and w, the `weight`, in the unit of the
    first term.
    """
    squared = mean_squared(prediction, target)
    similarity = structural_similarity(prediction.abs(), target.abs())
    return squared + weight * (1 - similarity).sum() / max(1, len(similarity))


def _check(prediction: Tensor, target: Tensor) -> None:
    """Refuse what torch would broadcast, average to NaN, or take for an image without phase."""
    if prediction.shape != target.shape or target.numel() == 0:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must be of one "
            "shape, and not empty; give one image per echo and slice"
        )
    if not (prediction.is_complex() and target.is_complex()):
        raise ValueError(
            f"images are complex, got a prediction of {prediction.dtype} and a target of "
            f"{target.dtype}; convert real ones with .to(torch.complex64)"
        )


LOSSES: dict[str, Callable[..., Tensor]] = {
    "l1": mean_absolute,
    "l2": mean_squared,
    _STRUCTURED: squared_and_structure,
    "l1_magnitude": mean_absolute_of_magnitudes,
}


def find_loss(
    name: str, structure_weight: float = STRUCTURE_WEIGHT
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of that name.

    Args:
        name: a key of `LOSSES`.
        structure_weight: of the similarity in l2_ssim; the others have none.

    Raises:
        ValueError: there is none of that name, or it does not read another weight.
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}")
    if name == _STRUCTURED:
        return partial(LOSSES[name], weight=structure_weight)
    if structure_weight != STRUCTURE_WEIGHT:
        raise ValueError(
            f"structure_weight={structure_weight} is of loss={_STRUCTURED}, got loss={name}; leave "
            "it out, or use that loss"
        )
    return LOSSES[name]
