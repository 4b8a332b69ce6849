"""What our transforms and the operators of an imaging library ask of one another."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Complex
from torch import Tensor, nn

from monarch_core.transforms import PlaneTransform
from monarch_core.transforms.arguments import check_counts
from monarch_core.transforms.plane import check_grid

TOLERANCE = 1e-3  # relative, of single precision after a transform that may be approximate


@runtime_checkable
class AdjointPair(Protocol):
    """A linear map of complex tensors with its adjoint, such as a transform or an encoding."""

    def forward(self, x: Tensor, /) -> Tensor:
        """Return A x."""

    def adjoint(self, y: Tensor, /) -> Tensor:
        """Return A^H y."""


class HostTransform(PlaneTransform):
    """An operator of a host library where one of our transforms of image axes stands.

    It is tried once, on a random image: it must map a plane to a plane, be linear over the complex
    numbers, and its adjoint must be its adjoint.

    Args:
        operator: the host's; it treats all images alike.
        shape_in: height and width that it takes, in pixels.

    Raises:
        ValueError: for an operator that is none of that, or that does not take this shape.
    """

    def __init__(self, operator: nn.Module, shape_in: Sequence[int]) -> None:
        super().__init__()
        height, width = check_counts("shape_in", shape_in, 2, "give height and width in pixels")
        self.operator = operator
        self._shape_in = height, width
        self._shape_out = self._tried()

    @property
    def shape_in(self) -> tuple[int, int]:
        """Height and width that `forward` takes."""
        return self._shape_in

    @property
    def shape_out(self) -> tuple[int, int]:
        """Height and width that `forward` returns."""
        return self._shape_out

    @abstractmethod
    def _forward(self, x: Complex[Tensor, "n h w"]) -> Complex[Tensor, "..."]:
        """Return what the operator makes of n images."""

    @abstractmethod
    def _adjoint(self, y: Complex[Tensor, "n h_out w_out"]) -> Complex[Tensor, "..."]:
        """Return what the adjoint of the operator makes of n images."""

    def forward(self, x: Complex[Tensor, "*batch h w"]) -> Complex[Tensor, "*batch h_out w_out"]:
        """Return A x.

        Raises:
            ValueError: if the last two axes of `x` are not `shape_in`.
        """
        check_grid("the array", x.shape[-2:], self.shape_in)
        y = self._forward(x.reshape(-1, *self.shape_in))
        return y.reshape(*x.shape[:-2], *self.shape_out)

    def adjoint(self, y: Complex[Tensor, "*batch h_out w_out"]) -> Complex[Tensor, "*batch h w"]:
        """Return A^H y.

        Raises:
            ValueError: if the last two axes of `y` are not `shape_out`.
        """
        check_grid("the array", y.shape[-2:], self.shape_out)
        x = self._adjoint(y.reshape(-1, *self.shape_out))
        return x.reshape(*y.shape[:-2], *self.shape_in)

    @torch.no_grad()
    def _tried(self) -> tuple[int, int]:
        """Return the height and width of what the operator makes of an image."""
        name, grid = type(self.operator).__name__, " x ".join(map(str, self.shape_in))
        held = (*self.operator.parameters(), *self.operator.buffers())
        device = next((tensor.device for tensor in held), torch.device("cpu"))
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(2, *self.shape_in, dtype=torch.complex64, generator=generator)
        u, v = noise.to(device).split(1)
        try:
            Au, Av, Aiu = self._forward(u), self._forward(v), self._forward(1j * u)
            if Au.ndim != 3 or len(Au) != 1:
                raise ValueError(
                    f"{name} makes an array {tuple(Au.shape)} of one image of {grid}, which is no "
                    "plane; give the transform alone: coils, and a mask for each image, belong to "
                    "`mri.physics.encoding.Sense`"
                )
            AhAv = self._adjoint(Av)
        except RuntimeError as error:
            raise ValueError(
                f"{name} fails on an image of {grid} ({error}); give as shape_in the height and "
                "width that it was built for"
            ) from error
        size = TOLERANCE * Au.norm()
        if not (Aiu - 1j * Au).norm() <= size:
            raise ValueError(
                f"{name} is not linear over the complex numbers, as where a mask differs between "
                "real and imaginary part; give an operator that treats both alike"
            )
        if AhAv.shape != v.shape or not _gap(u, AhAv, Au, Av) <= size * Av.norm():
            raise ValueError(
                f"the adjoint of {name} is not that of its forward on images of {grid}; give as "
                "shape_in the height and width that it was built for, and check the adjoint"
            )
        return Au.shape[-2], Au.shape[-1]


def _gap(u: Tensor, AhAv: Tensor, Au: Tensor, Av: Tensor) -> Tensor:
    """Return |<A u, A v> - <u, A^H A v>|."""
    return ((Au.conj() * Av).sum() - (u.conj() * AhAv).sum()).abs()
