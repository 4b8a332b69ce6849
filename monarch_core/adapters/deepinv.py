"""deepinv: our transforms as physics of it, and its physics where ours stand."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from monarch_core.adapters.planes import AdjointPair, HostTransform
from monarch_core.extras import require
from monarch_core.transforms.arguments import check_choice

require("deepinv", "deepinv")

from deepinv.physics import LinearPhysics  # noqa: E402
from deepinv.physics.nufft import NonCartesianMRI  # noqa: E402

PSEUDO_INVERSE = 1e8  # the weight of the data by which deepinv itself approaches it


class TransformPhysics(LinearPhysics):
    """A transform as physics of deepinv, for its solvers and its unfolded networks.

        physics.A(x) = real(A complex(x)),    physics.A_adjoint(y) = real(A^H complex(y))    (1)

    where complex(x) = x[:, 0] + i x[:, 1] and real is its inverse: (B, 2, ..., H, W) holds B arrays
    of complex numbers. With the centred orthonormal DFT along height and width it is
    `deepinv.physics.MRI` without a mask; with a `Sense` of maps (coils, H, W) it is `MultiCoilMRI`.

    Its solvers, such as `A_dagger`, are differentiated step by step. Implicit differentiation as
    deepinv has it reaches tensors that are buffers and no parameters, which would then learn
    nothing: it is refused where there are such.

    Args:
        transform: has `forward` and `adjoint`: `mri.physics.encoding.AxisTransforms`, or a whole
            `Sense`. Parameters of what is no module are not among `physics.parameters()`.
        implicit_backward_solver: as in `LinearPhysics`.
        options: others of `LinearPhysics`: `noise_model`, `max_iter`, `tol`, `solver`, ...

    Raises:
        ValueError: if parameters are to learn through an implicit backward pass.
    """

    def __init__(
        self,
        transform: AdjointPair,
        *,
        implicit_backward_solver: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(implicit_backward_solver=implicit_backward_solver, **options)
        self.transform = transform
        if implicit_backward_solver and any(p.requires_grad for p in self.parameters()):
            raise ValueError(
                "implicit_backward_solver=True gives no gradients to the parameters of the "
                "transform (deepinv differentiates in buffers there); leave it False, or freeze "
                "the transform with requires_grad_(False)"
            )

    def A(self, x: Float[Tensor, "batch re_im *shape"]) -> Float[Tensor, "batch re_im *measured"]:
        """Return the measurements without noise (1)."""
        return _real(self.transform.forward(_complex(x)))

    def A_adjoint(
        self, y: Float[Tensor, "batch re_im *measured"]
    ) -> Float[Tensor, "batch re_im *shape"]:
        """Return A^T y, of (1) as a map of real numbers."""
        return _real(self.transform.adjoint(_complex(y)))

    def A_dagger(
        self, y: Float[Tensor, "batch re_im *measured"], solver: str = "CG", **options: Any
    ) -> Float[Tensor, "batch re_im *shape"]:
        """Return the least squares solution, argmin_x |A x - y|^2 + 1e-8 |x|^2.

        It is that of `LinearPhysics` with implicit differentiation. The one without, of deepinv
        0.5.0, returns (A A^T)^-1 y where A is square.

        Args:
            y: measurements.
            solver: "CG" or "lsqr"; others of deepinv take a square A for its normal operator.
            options: `max_iter`, `tol`, `verbose` and others of `prox_l2`.

        Raises:
            ValueError: for another solver.
        """
        check_choice("solver", solver, ("CG", "lsqr"))
        return self.prox_l2(0.0, y, PSEUDO_INVERSE, solver=solver, **options)


class DeepinvTransform(HostTransform):
    """Physics of deepinv, such as its `MRI`, where our transform of a `Sense` stands.

    Noise and sensor of the physics play no part.

    Args:
        physics: maps (B, 2, height, width) to k-space on a grid, each image alike.
        shape_in: height and width of the image, in pixels.

    Raises:
        ValueError: for physics that is not linear, samples off the grid, has coils or a mask of
            each image, does not take this shape, or whose adjoint is not its adjoint.
    """

    operator: LinearPhysics

    def __init__(self, physics: LinearPhysics, shape_in: Sequence[int]) -> None:
        if isinstance(physics, NonCartesianMRI):
            raise ValueError(
                "samples of NonCartesianMRI are on no grid, and masks and metrics here are "
                "Cartesian; reconstruct non-Cartesian data with its own A_dagger"
            )
        super().__init__(physics, shape_in)

    def _forward(self, x: Complex[Tensor, "n h w"]) -> Complex[Tensor, "..."]:
        """Return A x of n images."""
        return _complex(self.operator.A(_real(x)))

    def _adjoint(self, y: Complex[Tensor, "n h_out w_out"]) -> Complex[Tensor, "..."]:
        """Return A^H y of n images."""
        return _complex(self.operator.A_adjoint(_real(y)))


def _complex(x: Float[Tensor, "batch re_im *shape"]) -> Complex[Tensor, "batch *shape"]:
    if x.is_complex() or x.ndim < 2 or x.shape[1] != 2:
        raise ValueError(
            f"the array must be real, (batch, 2, ..., height, width) with real and imaginary part "
            f"on axis 1, got {x.dtype} {tuple(x.shape)}; use torch.view_as_real(x).movedim(-1, 1)"
        )
    return torch.view_as_complex(x.movedim(1, -1).contiguous())


def _real(x: Complex[Tensor, "batch *shape"]) -> Float[Tensor, "batch re_im *shape"]:
    return torch.view_as_real(x.resolve_conj()).movedim(-1, 1)
