"""The Fourier transform on points that are not even: exact, as two matrices."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

# Ratio of singular values beyond which two waves are one on the points, in single precision.
LARGEST_CONDITION = 1e3


def nonuniform_fourier(
    x: Float[Tensor, " n"], modes: Sequence[int]
) -> tuple[Complex[Tensor, "modes n"], Complex[Tensor, "n modes"]]:
    """Return analysis A and synthesis B of the waves of given frequencies on points of (0, 1).

        B[j, f] = exp(2 pi i f x_j) / sqrt(n)                                               (1)

    Where a negative frequency is among the modes, A is the pseudo-inverse of B: A B = 1. Otherwise
    the fields are real, and those f < 0 are the conjugates of the others, as in a `SpectralConv`:

        u_j = Re sum_f s(f) B[j, f] c_f,    s = 1 at f = 0 and 2 f = n, else 2              (2)

    A u are the coefficients c of the least squares fit of (2) to u, from the pseudo-inverse of
    [s Re B, -s Im B], which acts on [Re c; Im c]. A field (2) is thus reproduced exactly, any other
    becomes the nearest such field in the mean square over the points, which is how errors are
    measured. Quadrature weights instead of a fit would reproduce nothing exactly. On the points
    j / n the matrices are those of the DFT with norm "ortho".

    Args:
        x: the points, in lengths of the domain; double precision.
        modes: frequencies, whole cycles of the domain, each once.

    Raises:
        ValueError: points that are not finite, or on which the waves cannot be told apart.
    """
    if not torch.isfinite(x).all():
        raise ValueError(f"the points must be finite, got {x.tolist()}; correct the coordinates")
    n, f = len(x), torch.tensor(list(modes), dtype=torch.float64)
    B = torch.exp(2j * torch.pi * torch.outer(x.double(), f)) / n**0.5  # (1)
    if (f < 0).any():
        return _pseudo_inverse(B, modes), B
    s = torch.where((f == 0) | (2 * f == n), 1.0, 2.0)
    D = torch.cat((s * B.real, -s * B.imag), dim=1)  # (2)
    return torch.complex(*_pseudo_inverse(D, modes).chunk(2)), B


def _pseudo_inverse(D: Tensor, modes: Sequence[int]) -> Tensor:
    """Return that of D; the rows of columns that are zero, such as the sine at f = 0, are zero."""
    seen = D.norm(dim=0) > 1e-9
    condition = torch.linalg.cond(D[:, seen]).item()
    if not (condition < LARGEST_CONDITION and seen.sum() <= len(D)):
        raise ValueError(
            f"the waves of frequencies {min(modes)} to {max(modes)} cannot be told apart on these "
            f"{len(D)} points (condition {condition:.3g}); keep fewer modes, or take more points"
        )
    found = D.new_zeros(D.shape[1], len(D))
    found[seen] = torch.linalg.pinv(D[:, seen])
    return found
