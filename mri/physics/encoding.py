"""The encoding operator of Cartesian parallel imaging, as one composition of small operators.

    y_c = Omega F S_c x,    A = Omega F S    (1)

S multiplies an image x by the sensitivity maps of the C coils (`CoilMaps`), F is the transform to
k-space, axis by axis (`AxisTransforms`), Omega keeps the sampled frequencies (a mask).
`Sense` is the composition A together with its adjoint A^H = S^H F^H Omega.

Axes are named batch, echoes (or contrasts), coils, height, width, in this order. k-space is centred
(zero frequency at index n // 2) and orthonormal. Images carry the unit of the data; maps, masks
and transforms are dimensionless.
"""

from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mri.physics.axis_transforms import AxisTransforms, check_grid


class CoilMaps:
    """Multiplication by coil sensitivities, and the coil combination that is its adjoint.

        (S x)_c = S_c x                  (1)
        S^H z = sum_c conj(S_c) z_c      (2)

    Args:
        maps: sensitivities, shared by the echoes, dimensionless.
    """

    def __init__(self, maps: Complex[Tensor, "*batch coils h w"]) -> None:
        self.maps = maps

    def _conjugate(self) -> Complex[Tensor, "*batch 1 coils h w"]:
        return self.maps.conj().resolve_conj().unsqueeze(-4)

    @cached_property
    def _fixed_conjugate(self) -> Complex[Tensor, "*batch 1 coils h w"]:
        return self._conjugate()

    def forward(
        self, image: Complex[Tensor, "*batch echoes h w"]
    ) -> Complex[Tensor, "*batch echoes coils h w"]:
        """Return the image as each coil sees it (1)."""
        return self.maps.unsqueeze(-4) * image.unsqueeze(-3)

    def adjoint(
        self, coil_images: Complex[Tensor, "*batch echoes coils h w"]
    ) -> Complex[Tensor, "*batch echoes h w"]:
        """Return the coil-combined image (2)."""
        # Of maps that learn, a conjugate made without gradients would serve no gradients.
        learned = self.maps.requires_grad
        return ((self._conjugate() if learned else self._fixed_conjugate) * coil_images).sum(-3)


class Sense:
    """The encoding operator A = Omega F S and its adjoint.

        A x = Omega F S x            (1)
        A^H y = S^H F^H Omega y      (2)

    With F the centred orthonormal DFT this is `sigpy.mri.linop.Sense` with the mask as weights,
    and A^H y is zero-filled SENSE.

    Args:
        maps: coil sensitivities, dimensionless.
        mask: 1 where k-space was sampled, 0 elsewhere; shared by echoes and coils, dimensionless.
        transform: image to k-space.

    Raises:
        ValueError: if the shapes of maps, mask and transform do not belong together.
    """

    def __init__(
        self,
        maps: Complex[Tensor, "*batch coils h w"],
        mask: Float[Tensor, "*same_batch k_h k_w"],
        transform: AxisTransforms,
    ) -> None:
        check_grid("the coil maps", maps.shape[-2:], transform.shape_in)
        check_grid("the mask", mask.shape[-2:], transform.shape_out)
        if maps.shape[:-3] != mask.shape[:-2]:
            raise ValueError(
                f"maps {tuple(maps.shape)} and mask {tuple(mask.shape)} must share their batch "
                "axes: give maps as (*batch, coils, height, width) and the mask as "
                "(*batch, height, width)"
            )
        self.coils = CoilMaps(maps)
        self.mask = mask.unsqueeze(-3).unsqueeze(-3)
        self.transform = transform

    def forward(
        self, image: Complex[Tensor, "*batch echoes h w"]
    ) -> Complex[Tensor, "*batch echoes coils k_h k_w"]:
        """Return the sampled k-space of every coil, A x (1); zero where the mask is zero."""
        return self.mask * self.transform(self.coils.forward(image))

    def adjoint(
        self, kspace: Complex[Tensor, "*batch echoes coils k_h k_w"]
    ) -> Complex[Tensor, "*batch echoes h w"]:
        """Return the coil-combined zero-filled image, A^H y (2)."""
        return self.coils.adjoint(self.transform.adjoint(self.mask * kspace))

    def normal(
        self, image: Complex[Tensor, "*batch echoes h w"]
    ) -> Complex[Tensor, "*batch echoes h w"]:
        """Return A^H A x, with the mask applied once, squared (it may hold weights)."""
        kspace = self.transform(self.coils.forward(image))
        return self.coils.adjoint(self.transform.adjoint(self.mask.square() * kspace))


def zero_filled(
    kspace: Complex[Tensor, "*batch echoes coils k_h k_w"],
    maps: Complex[Tensor, "*batch coils h w"],
    mask: Float[Tensor, "*batch k_h k_w"],
    inverse: AxisTransforms,
) -> Complex[Tensor, "*batch echoes h w"]:
    """Reconstruct with the transform from k-space to image given directly.

        x = S^H T Omega y

    With T the inverse DFT this equals `Sense.adjoint`; with T learned it is the linear SENSE
    reconstruction whose inverse transform was replaced (mSENSE; Dao et al. 2022, arXiv:2204.00595).

    Raises:
        ValueError: if the shapes of k-space, maps, mask and transform do not belong together.
    """
    check_measurement(kspace, maps, mask, inverse.shape_in, inverse.shape_out)
    return CoilMaps(maps).adjoint(inverse(mask.unsqueeze(-3).unsqueeze(-3) * kspace))


def zero_filled_scale(
    kspace: Complex[Tensor, "*batch echoes coils k_h k_w"],
) -> Float[Tensor, "*batch echoes 1 1"]:
    """Return the root mean square of the zero-filled image of each echo, in image units.

        s = sqrt(sum_{c,k} |y_c[k]|^2 / (H W))

    By Parseval's theorem this is the value for root-sum-of-squares coil combination with the
    orthonormal DFT, so the scale depends neither on the learned transform nor on the maps. An echo
    without signal has scale 1.
    """
    n_pixels = kspace.shape[-2] * kspace.shape[-1]
    unit = power_of_two(kspace, (-3, -2, -1))
    scaled = kspace / unit
    energy = (scaled.real.square() + scaled.imag.square()).sum((-3, -2, -1), keepdim=True)
    scale = unit * (energy / n_pixels).sqrt()
    return torch.where(scale > 0, scale, 1.0).squeeze(-3)


def power_of_two(x: Complex[Tensor, "..."], axes: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Return a power of two of about the size of `x`, with `axes` kept at length one.

    Dividing by it is exact and keeps the squares of any unit within the range of single precision.
    1 where `x` is zero.
    """
    x = x.detach()
    size = torch.maximum(*(part.abs().amax(axes, keepdim=True) for part in (x.real, x.imag)))
    mantissa, _ = torch.frexp(size)
    return torch.where(size > 0, size / mantissa, 1.0)


def check_measurement(
    kspace: Tensor,
    maps: Tensor,
    mask: Tensor,
    kspace_grid: tuple[int, int],
    image_grid: tuple[int, int],
) -> None:
    """Check that one batch belongs together and fits the model's transform.

    Args:
        kspace: (*batch, echoes, coils, height, width).
        maps: (*batch, coils, height, width).
        mask: (*batch, height, width).
        kspace_grid: height and width of k-space that the transform was built for.
        image_grid: height and width of the image that the transform was built for.

    Raises:
        ValueError: naming the shapes or kinds of numbers that disagree and what to do.
    """
    check_grid("k-space", kspace.shape[-2:], kspace_grid)
    check_grid("the mask", mask.shape[-2:], kspace_grid)
    check_grid("the coil maps", maps.shape[-2:], image_grid)
    shapes = f"k-space {tuple(kspace.shape)}, maps {tuple(maps.shape)}, mask {tuple(mask.shape)}"
    if kspace.shape[-3] != maps.shape[-3]:
        raise ValueError(
            f"k-space has {kspace.shape[-3]} coils and the maps have {maps.shape[-3]} ({shapes}); "
            "estimate the maps from the same coils, in the order (coils, height, width)"
        )
    if not kspace.shape[:-4] == maps.shape[:-3] == mask.shape[:-2]:
        raise ValueError(
            f"batch axes disagree: {shapes}; expected k-space (*batch, echoes, coils, height, "
            "width), maps (*batch, coils, height, width) and mask (*batch, height, width)"
        )
    if not (kspace.is_complex() and maps.is_complex()) or mask.is_complex():
        raise ValueError(
            f"k-space and maps must be complex and the mask real, got {kspace.dtype}, {maps.dtype} "
            f"and {mask.dtype}; a real part alone is another measurement"
        )
