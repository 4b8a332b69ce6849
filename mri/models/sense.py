"""Linear reconstructions: zero-filled SENSE, its controls, and CG-SENSE."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from monarch_core.transforms import prepared
from mri.config.model import CgSenseConfig, SenseConfig
from mri.models.tuning import Regularised
from mri.physics.axis_transforms import AxisTransforms, EncodingFactory
from mri.physics.conjugate_gradient import check_iterations, conjugate_gradient
from mri.physics.encoding import Sense, check_measurement, zero_filled

WEIGHTINGS = ("none", "scale", "diagonal")


class SenseReconstruction(nn.Module):
    """Zero-filled SENSE with a given inverse transform, linear in k-space.

        x = g S^H T (w Omega y)

    T maps k-space to image along each axis. `weighting` says what else is learned: nothing
    ("none": g = 1, w = 1), one complex number ("scale": g), or one real number per frequency
    ("diagonal": w). All start at 1. The map is linear, so it needs no normalisation: any unit
    that goes in comes out.

    Args:
        inverse: k-space to image. The inverse DFT makes this zero-filled SENSE; a Monarch
            transform makes it mSENSE (Dao et al. 2022, arXiv:2204.00595).
        weighting: "none", "scale" or "diagonal".

    Raises:
        ValueError: if `weighting` is another word.
    """

    scale: nn.Parameter | None
    density: nn.Parameter | None

    def __init__(self, inverse: AxisTransforms, weighting: str = "none") -> None:
        super().__init__()
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting must be one of {WEIGHTINGS}, got {weighting!r}")
        self.inverse = inverse
        scale = nn.Parameter(torch.tensor([1.0, 0.0])) if weighting == "scale" else None
        density = nn.Parameter(torch.ones(inverse.shape_in)) if weighting == "diagonal" else None
        self.register_parameter("scale", scale)
        self.register_parameter("density", density)

    def forward(
        self,
        kspace: Complex[Tensor, "batch echoes coils k_h k_w"],
        maps: Complex[Tensor, "batch coils h w"],
        mask: Float[Tensor, "batch k_h k_w"],
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return one image per echo, in the unit of the data.

        Raises:
            ValueError: if the shapes do not belong together or do not fit the transform.
        """
        if self.density is not None:
            mask = mask * self.density
        image = zero_filled(kspace, maps, mask, self.inverse)
        return image if self.scale is None else image * torch.view_as_complex(self.scale)

    @torch.no_grad()
    def weights(self) -> Float[Tensor, "k_h k_w"]:
        """Return |g w|, what each frequency is multiplied by besides the transform."""
        weights = torch.ones(self.inverse.shape_in)
        if self.density is not None:
            weights = self.density.abs().cpu()
        return weights if self.scale is None else weights * self.scale.norm().cpu()


class CgSense(Regularised):
    """Iterative SENSE by conjugate gradients (Pruessmann et al. 2001).

        x = argmin_x ||Omega F S x - y||^2 + lambda ||x||^2,  started at zero

    F is the injected transform and can be learned through the iterations. `lamda` is a saved number
    that starts at the first candidate; `choose_lamda` picks among the candidates on the validation
    split. It needs no normalisation: the solution is linear in k-space.

    Args:
        transform: image to k-space.
        candidates: values of lambda to choose from, relative to an operator whose largest
            singular value is 1 for maps of unit root-sum-of-squares.
        n_iterations: conjugate-gradient steps.

    Raises:
        ValueError: if a candidate or the number of steps makes no sense.
    """

    def __init__(
        self, transform: AxisTransforms, candidates: Sequence[float], n_iterations: int
    ) -> None:
        super().__init__(candidates)
        check_iterations(n_iterations)
        self.transform = transform
        self.n_iterations = n_iterations

    def forward(
        self,
        kspace: Complex[Tensor, "batch echoes coils k_h k_w"],
        maps: Complex[Tensor, "batch coils h w"],
        mask: Float[Tensor, "batch k_h k_w"],
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return one image per echo, in the unit of the data.

        Raises:
            ValueError: if the shapes do not belong together or do not fit the transform.
        """
        check_measurement(kspace, maps, mask, self.transform.shape_out, self.transform.shape_in)
        sense = Sense(maps, mask, prepared(self.transform))
        b = sense.adjoint(kspace)
        return conjugate_gradient(sense.normal, b, self.lamda, self.n_iterations)


def build_sense(config: SenseConfig, encoding: EncodingFactory, grid: tuple[int, int]) -> nn.Module:
    """Return zero-filled SENSE."""
    return SenseReconstruction(encoding(grid, inverse=True), config.weighting)


def build_cg_sense(
    config: CgSenseConfig, encoding: EncodingFactory, grid: tuple[int, int]
) -> nn.Module:
    """Return iterative SENSE."""
    return CgSense(encoding(grid), config.candidates, config.n_iterations)
