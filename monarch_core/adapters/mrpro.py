"""mrpro: our transforms as linear operators of it, and its operators where ours stand."""

from collections.abc import Sequence

from jaxtyping import Complex
from torch import Tensor

from monarch_core.adapters.planes import AdjointPair, HostTransform
from monarch_core.extras import require

require("mrpro", "mrpro")

from mrpro.operators import LinearOperator, NonUniformFastFourierOp  # noqa: E402


class TransformOp(LinearOperator):
    """A transform as a linear operator of mrpro, to be composed, solved and learned there.

        (y,) = op(x),         y = A x      (1)
        (x,) = op.adjoint(y), x = A^H y    (2)

    A acts on the last axes, which mrpro calls (..., coils, z, y, x), and on complex numbers. With
    the centred orthonormal DFT along height and width it is `FastFourierOp(dim=(-2, -1))`. The
    parameters are those of the operator, and autograd differentiates (1) and (2) in them: through
    `mrpro.algorithms.optimizers.cg` as it is. `ConjugateGradientOp` differentiates in its arguments
    alone unless it is given `implicit_backward=False`.

    Args:
        transform: has `forward` and `adjoint`: `mri.physics.encoding.AxisTransforms`, or a whole
            `Sense`, whose images have the axes (..., echoes, height, width). Parameters of what is
            no module are not among `op.parameters()`.
    """

    def __init__(self, transform: AdjointPair) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, x: Complex[Tensor, "..."]) -> tuple[Complex[Tensor, "..."]]:
        """Return A x (1), in a tuple as mrpro has it."""
        return (self.transform.forward(x),)

    def adjoint(self, y: Complex[Tensor, "..."]) -> tuple[Complex[Tensor, "..."]]:
        """Return A^H y (2), in a tuple as mrpro has it."""
        return (self.transform.adjoint(y),)


class MrproTransform(HostTransform):
    """A linear operator of mrpro, such as its `FourierOp`, where our transform of a `Sense` stands.

    The images of a batch are its coils: it is applied to (1, n, 1, height, width).

    Args:
        operator: maps (..., coils, z=1, height, width) to k-space on a grid, each image alike.
        shape_in: height and width of the image, in pixels.

    Raises:
        ValueError: for an operator that samples off the grid, has coils, does not take this shape,
            or whose adjoint is not its adjoint.
    """

    operator: LinearOperator

    def __init__(self, operator: LinearOperator, shape_in: Sequence[int]) -> None:
        if any(isinstance(part, NonUniformFastFourierOp) for part in operator.modules()):
            raise ValueError(
                "the operator holds a NonUniformFastFourierOp, whose samples are on no grid, and "
                "masks and metrics here are Cartesian; reconstruct non-Cartesian data with "
                "mrpro.algorithms.reconstruction.IterativeSENSEReconstruction"
            )
        super().__init__(operator, shape_in)

    def _forward(self, x: Complex[Tensor, "n h w"]) -> Complex[Tensor, "..."]:
        """Return A x of n images."""
        (y,) = self.operator(x[None, :, None])
        return _without_axes(y)

    def _adjoint(self, y: Complex[Tensor, "n h_out w_out"]) -> Complex[Tensor, "..."]:
        """Return A^H y of n images."""
        (x,) = self.operator.adjoint(y[None, :, None])
        return _without_axes(x)


def _without_axes(x: Complex[Tensor, "..."]) -> Complex[Tensor, "..."]:
    """Return (1, n, 1, h, w) as (n, h, w), anything else as it is."""
    plain = x.ndim == 5 and len(x) == x.shape[2] == 1
    return x[0, :, 0] if plain else x
