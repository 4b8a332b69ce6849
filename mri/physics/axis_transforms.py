"""The transform between image and k-space, as one linear transform along each axis.

Axes are named batch, echoes (or contrasts), coils, height, width, in this order. k-space is centred
(zero frequency at index n // 2) and orthonormal. Transforms are dimensionless.
"""

from collections.abc import Callable

import torch
from jaxtyping import Complex
from torch import Tensor, nn

from monarch_core.layers.chunks import chunk_bytes
from monarch_core.transforms import LinearTransform, prepared

AxisFactory = Callable[..., LinearTransform]
# Makes the transform of a grid: `encoding(grid, inverse=False)`.
EncodingFactory = Callable[..., "AxisTransforms"]


class AxisTransforms(nn.Module):
    """A linear transform along each image axis, the same for every slice, echo and coil.

        Y = A_H X A_W^T           (1) forward
        X = A_H^H Y conj(A_W)     (2) adjoint

    X holds one image per entry of the batch axes; A_H acts along height, A_W along width.

    With several matrices (`LinearTransform.heads`) along height, the columns of the image share
    them out: with one for each, column z has A_H[z], as the encoding of a scanner whose errors
    change along the readout has (`data_scripts.mri.scanner`). The axes are then transformed one
    after another, from image to k-space along height first:

        Y[:, l] = sum_z A_W[l, z] A_H[z] X[:, z]                    (3) forward
        X[:, z] = A_H[z]^H sum_l conj(A_W[l, z]) Y[:, l]            (4) adjoint

    and those of an inverse, from k-space, along width first. Several matrices along width are
    shared out by the lines of k-space.

    Args:
        along_height: transform of axis -2, dimensionless.
        along_width: transform of axis -1, dimensionless.
        inverse: the pair stands where an inverse transform would, from k-space to image.

    Raises:
        ValueError: columns or lines cannot share the matrices out evenly.
    """

    def __init__(
        self, along_height: LinearTransform, along_width: LinearTransform, *, inverse: bool = False
    ) -> None:
        super().__init__()
        n_columns = along_width.n_out if inverse else along_width.n_in
        n_lines = along_height.n_in if inverse else along_height.n_out
        for heads, n, what in (
            (along_height.heads, n_columns, "columns of the image"),
            (along_width.heads, n_lines, "lines of k-space"),
        ):
            if n % heads:
                raise ValueError(
                    f"{n} {what} cannot share out {heads} matrices evenly; use one for all, one "
                    "for each, or a number that divides them"
                )
        self.along_height = along_height
        self.along_width = along_width
        self.inverse = inverse

    @property
    def shape_in(self) -> tuple[int, int]:
        """Height and width that `forward` takes."""
        return self.along_height.n_in, self.along_width.n_in

    @property
    def shape_out(self) -> tuple[int, int]:
        """Height and width that `forward` returns."""
        return self.along_height.n_out, self.along_width.n_out

    @property
    def heads(self) -> int:
        """Matrices along the axis that has more of them; with one the order of axes is free."""
        return max(self.along_height.heads, self.along_width.heads)

    def forward(self, x: Complex[Tensor, "*batch h w"]) -> Complex[Tensor, "*batch h_out w_out"]:
        """Return A_H X A_W^T.

        Raises:
            ValueError: if the last two axes of `x` are not `shape_in`.
        """
        check_grid("the array", x.shape[-2:], self.shape_in)
        if self.inverse and self.heads > 1:
            return _few_at_a_time(self, lambda A, X: A.along_height(A.along_width(X).mT).mT, x)
        return _few_at_a_time(self, lambda A, X: A.along_width(A.along_height(X.mT).mT), x)  # (1)

    def adjoint(self, y: Complex[Tensor, "*batch h_out w_out"]) -> Complex[Tensor, "*batch h w"]:
        """Return A_H^H Y conj(A_W).

        Raises:
            ValueError: if the last two axes of `y` are not `shape_out`.
        """
        check_grid("the array", y.shape[-2:], self.shape_out)
        if not self.inverse and self.heads > 1:
            return _few_at_a_time(
                self, lambda A, Y: A.along_height.adjoint(A.along_width.adjoint(Y).mT).mT, y
            )  # (4)
        return _few_at_a_time(
            self, lambda A, Y: A.along_width.adjoint(A.along_height.adjoint(Y.mT).mT), y
        )  # (2)


def _few_at_a_time(
    A: AxisTransforms,
    apply: Callable[[AxisTransforms, Tensor], Tensor],
    x: Complex[Tensor, "*batch h w"],
) -> Complex[Tensor, "*batch h_out w_out"]:
    """Return apply(A, x), for so few images at once that they stay in the cache.

    Several matrices do not stay there themselves, and are read for so many more images.
    """
    images = x.reshape(-1, *x.shape[-2:])
    size = x.element_size() * x.shape[-2] * x.shape[-1]
    n = max(1, A.heads * chunk_bytes(x.device) // size)
    if n >= len(images) or torch.compiler.is_compiling():
        return apply(A, x)
    view = prepared(A)
    pieces = [apply(view, piece) for piece in images.split(n)]
    return torch.cat(pieces).unflatten(0, x.shape[:-2])


def axis_transforms(
    factory: AxisFactory, grid: tuple[int, int], *, inverse: bool = False
) -> AxisTransforms:
    """Build the centred, orthonormal transform of a grid, one factory call per axis.

    Args:
        factory: called as `factory(n, inverse=..., norm="ortho", centered=True)`.
        grid: height and width in pixels.
        inverse: False for image to k-space, True for k-space to image.
    """
    height, width = grid
    return AxisTransforms(
        factory(height, inverse=inverse, norm="ortho", centered=True),
        factory(width, inverse=inverse, norm="ortho", centered=True),
        inverse=inverse,
    )


def check_grid(what: str, found: torch.Size, expected: tuple[int, int]) -> None:
    """Check that an array has the height and width that a transform was built for.

    Raises:
        ValueError: naming both and what to do.
    """
    if tuple(found) != tuple(expected):
        raise ValueError(
            f"{what} has height x width {found[0]} x {found[1]}, but the transform was built for "
            f"{expected[0]} x {expected[1]}; crop or pad the data to that size, or build the "
            "model for the size of the data (one model serves one grid)"
        )
