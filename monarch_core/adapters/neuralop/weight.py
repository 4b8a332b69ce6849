"""Factorised weights of spectral convolutions: few factors, multiplied out in every pass."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Inexact
from tltorch import FactorizedTensor
from torch import Tensor

from monarch_core.layers.spectral_conv import SpectralWeight


class FactorizedWeight(SpectralWeight):
    """A weight as one of the factorised tensors of tltorch, which neuralop takes too.

    Tucker, CP or TT (Kossaifi et al. 2024, arXiv:2310.00120). A separable weight has one number for
    each channel and frequency; it is a diagonal matrix on the channels.

    Args:
        shape: (in_channels, out_channels, *modes) of the weight.
        dtype: of the weight.
        factorization: name that tltorch knows, as "tucker", "cp", "tt" or "dense".
        rank: of the factorisation: a fraction of the numbers of the full weight, or ranks.
        is_separable: keep the diagonal on the channels alone, as many in as out.
        options: more of `FactorizedTensor.new`, such as fixed_rank_modes.

    Raises:
        ValueError: for an unknown factorisation, or a separable weight whose channels differ.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: torch.dtype,
        *,
        factorization: str,
        rank: Any,
        is_separable: bool,
        **options: Any,
    ) -> None:
        super().__init__()
        channels, out_channels, *modes = shape
        if is_separable and channels != out_channels:
            raise ValueError(
                f"a separable weight has as many channels in as out, got {channels} and "
                f"{out_channels}; make them equal, or set separable=False"
            )
        own = (channels, *modes) if is_separable else tuple(shape)
        self.is_separable = is_separable
        try:
            self.tensor = FactorizedTensor.new(
                own, rank=rank, factorization=factorization, dtype=dtype, **options
            )
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"factorization={factorization!r} with rank={rank!r} is none that tltorch makes "
                f"({error}); use tucker, cp or tt and a rank such as 0.1"
            ) from error

    def forward(self) -> Inexact[Tensor, "in_channels out_channels *modes"]:
        """Return the factors multiplied out."""
        W: Tensor = self.tensor.to_tensor()
        return (
            torch.diag_embed(W.movedim(0, -1)).movedim((-2, -1), (0, 1)) if self.is_separable else W
        )

    @torch.no_grad()
    def reset_parameters(self, deviation: float) -> None:
        """Draw the factors anew, as neuralop does."""
        self.tensor.normal_(0, deviation)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FactorizedWeight":
        """Change dtype and device as of two real numbers, which `double()` would leave alone."""

        def apart(value: Tensor) -> Tensor:
            if not value.is_complex():
                return fn(value)
            return torch.view_as_complex(fn(torch.view_as_real(value)))

        return super()._apply(apart, recurse)
