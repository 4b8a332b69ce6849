"""Unrolled networks: data consistency and a small learned regulariser in turn.

With `data_consistency="gradient"` a cascade is one step of learned proximal gradient descent
(Hammernik et al. 2018, arXiv:1704.00447); with "cg" it is the alternation of MoDL (Aggarwal et al.
2019, arXiv:1712.02862). The transform is injected and appears as a forward/adjoint pair.
"""

import dataclasses
import math
from typing import cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from monarch_core.transforms import prepared
from mri.config.model import UnrolledConfig
from mri.models.channels import from_channels, to_channels
from mri.physics.axis_transforms import EncodingFactory
from mri.physics.conjugate_gradient import check_iterations, conjugate_gradient
from mri.physics.encoding import (
    Sense,
    check_measurement,
    zero_filled,
    zero_filled_scale,
)

DATA_CONSISTENCIES = ("gradient", "cg")
INITIAL_STEP = 1.0
INITIAL_LAMDA = 0.05


class Regulariser(nn.Module):
    """A small residual convolutional network, D(x) = x + C(x), on each echo.

    C is a chain of 3 x 3 convolutions with ReLU between them. Its last layer starts at zero, so
    an untrained unrolled network is plain iterative SENSE.

    Args:
        n_channels: channels between the layers.
        n_layers: convolutions, at least two.

    Raises:
        ValueError: if there are fewer than two layers or no channel.
    """

    def __init__(self, n_channels: int, n_layers: int) -> None:
        super().__init__()
        if n_layers < 2 or n_channels < 1:
            raise ValueError(
                "a regulariser needs at least 2 layers and 1 channel, got "
                f"n_layers={n_layers} and n_channels={n_channels}; 5 and 32 are usual"
            )
        layers: list[nn.Module] = []
        for n_in in [2] + [n_channels] * (n_layers - 2):
            layers += [nn.Conv2d(n_in, n_channels, 3, padding=1), nn.ReLU()]
        last = nn.Conv2d(n_channels, 2, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.get_parameter("bias"), 0)
        self.layers = nn.Sequential(*layers, last)

    def forward(
        self, x: Complex[Tensor, "batch echoes h w"]
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return D(x) for images of about unit scale."""
        return x + from_channels(self.layers(to_channels(x)), x)


class Encoding(nn.Module):
    """The transform of a cascade, image to k-space, and its way back.

    Args:
        encoding: makes the transform of a grid.
        grid: height and width in pixels.
        tied: the way back is the adjoint; otherwise a second transform, started at the inverse.
    """

    def __init__(self, encoding: EncodingFactory, grid: tuple[int, int], tied: bool) -> None:
        super().__init__()
        self.encode = encoding(grid)
        self.decode = None if tied else encoding(grid, inverse=True)

    def to_image(
        self,
        kspace: Complex[Tensor, "batch echoes coils k_h k_w"],
        maps: Complex[Tensor, "batch coils h w"],
        mask: Float[Tensor, "batch k_h k_w"],
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return S^H F^H Omega y when tied, S^H T Omega y otherwise."""
        if self.decode is None:
            return Sense(maps, mask, self.encode).adjoint(kspace)
        return zero_filled(kspace, maps, mask, self.decode)


class Unrolled(nn.Module):
    """Cascades of data consistency and regularisation.

        x_0 = B y                                                          (1)
        gradient:  x_{k+1} = D_k(x_k - eta_k B (A x_k - y))                (2)
        cg:        z = D_k(x_k),
                   x_{k+1} = argmin_x ||A x - y||^2 + lambda_k ||x - z||^2 (3)

    A = Omega F S; B = A^H when tied and S^H T Omega otherwise. k-space is divided by the
    zero-filled scale of each echo at the entrance and the image multiplied by it at the exit.

    Args:
        encoding: makes the transform of a grid.
        grid: height and width in pixels.
        n_cascades: number of cascades, 4 to 8 as a rule.
        data_consistency: "gradient" (2) or "cg" (3).
        n_iterations: conjugate-gradient steps of a cascade, for "cg".
        n_channels: channels of the regulariser.
        n_layers: layers of the regulariser.
        tied: the way back to the image is the adjoint of the transform.
        transform_per_cascade: each cascade learns its own transform.
        regulariser_per_cascade: each cascade learns its own regulariser.

    Raises:
        ValueError: if a word is unknown, there is no cascade, the number of steps makes no sense,
            or "cg" is asked for without a tied transform (its operator would not be Hermitian).
    """

    steps: nn.Parameter | None
    log_lamdas: nn.Parameter | None

    def __init__(
        self,
        encoding: EncodingFactory,
        grid: tuple[int, int],
        *,
        n_cascades: int,
        data_consistency: str,
        n_iterations: int,
        n_channels: int,
        n_layers: int,
        tied: bool,
        transform_per_cascade: bool,
        regulariser_per_cascade: bool,
    ) -> None:
        super().__init__()
        if data_consistency not in DATA_CONSISTENCIES:
            raise ValueError(
                f"data_consistency must be one of {DATA_CONSISTENCIES}, got {data_consistency!r}"
            )
        if n_cascades < 1:
            raise ValueError(f"n_cascades must be at least 1, got {n_cascades}; 4 to 8 are usual")
        if data_consistency == "cg" and not tied:
            raise ValueError(
                "data_consistency=cg solves with A^H A and needs the adjoint of the transform, got "
                "tied=false; set tied=true, or data_consistency=gradient"
            )
        if data_consistency == "cg":
            check_iterations(n_iterations)
        self.n_iterations = n_iterations
        self.n_cascades = n_cascades
        self.encodings = nn.ModuleList(
            Encoding(encoding, grid, tied)
            for _ in range(n_cascades if transform_per_cascade else 1)
        )
        self.regularisers = nn.ModuleList(
            Regulariser(n_channels, n_layers)
            for _ in range(n_cascades if regulariser_per_cascade else 1)
        )
        gradient = data_consistency == "gradient"
        steps = nn.Parameter(torch.full((n_cascades,), INITIAL_STEP)) if gradient else None
        log_lamdas = torch.full((n_cascades,), math.log(INITIAL_LAMDA))
        self.register_parameter("steps", steps)
        self.register_parameter("log_lamdas", None if gradient else nn.Parameter(log_lamdas))

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
        encodings = [cast(Encoding, prepared(encoding)) for encoding in self.encodings]
        first = encodings[0]
        check_measurement(kspace, maps, mask, first.encode.shape_out, first.encode.shape_in)
        scale = zero_filled_scale(kspace)
        y = mask[:, None, None] * kspace / scale.unsqueeze(-3)
        x = first.to_image(y, maps, mask)  # (1)
        for k in range(self.n_cascades):
            x = self._cascade(k, encodings[k % len(encodings)], x, y, maps, mask)
        return scale * x

    def _cascade(
        self, k: int, encoding: Encoding, x: Tensor, y: Tensor, maps: Tensor, mask: Tensor
    ) -> Tensor:
        """Return x_{k+1}."""
        regularise = self.regularisers[k % len(self.regularisers)]
        sense = Sense(maps, mask, encoding.encode)
        if self.steps is not None:
            residual = sense.forward(x) - y
            return regularise(x - self.steps[k] * encoding.to_image(residual, maps, mask))  # (2)
        assert self.log_lamdas is not None
        lamda = self.log_lamdas[k].exp()
        z = regularise(x)
        b = sense.adjoint(y) + lamda * z
        return conjugate_gradient(sense.normal, b, lamda, self.n_iterations, start=z)  # (3)


def build_unrolled(
    config: UnrolledConfig, encoding: EncodingFactory, grid: tuple[int, int]
) -> nn.Module:
    """Return the unrolled network."""
    options = dataclasses.asdict(config)
    del options["name"]
    return Unrolled(encoding, grid, **options)
