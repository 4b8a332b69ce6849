"""Compressed sensing with an l1 penalty on wavelet coefficients, through sigpy."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mri.config.model import L1WaveletConfig
from mri.models.tuning import Regularised
from mri.physics.conjugate_gradient import check_iterations
from mri.physics.encoding import AxisFactory, axis_transforms, check_measurement, zero_filled_scale


class L1Wavelet(Regularised):
    """L1-wavelet reconstruction of each echo (Lustig et al. 2007), without anything to learn.

        x = argmin_x 1/2 ||Omega F S x - y||^2 + lambda s ||W x||_1

    solved by accelerated proximal gradients in `sigpy.mri.app.L1WaveletRecon` with F the DFT. s is
    the zero-filled scale of the echo, so `lamda` is dimensionless and the result follows the unit
    of the data. `lamda` starts at the first candidate; `mri.models.tuning.choose_lamda` picks
    among the candidates on the validation split. Runs on the CPU and passes no gradient.

    Args:
        grid: height and width.
        candidates: values of lambda to choose from.
        n_iterations: proximal gradient steps.
        wavelet: name of the wavelet, as in PyWavelets.

    Raises:
        ValueError: if a candidate or the number of steps makes no sense.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        candidates: Sequence[float],
        n_iterations: int,
        wavelet: str = "db4",
    ) -> None:
        super().__init__(candidates)
        check_iterations(n_iterations)
        self.grid = grid
        self.n_iterations = n_iterations
        self.wavelet = wavelet

    @torch.no_grad()
    def forward(
        self,
        kspace: Complex[Tensor, "batch echoes coils h w"],
        maps: Complex[Tensor, "batch coils h w"],
        mask: Float[Tensor, "batch h w"],
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return one image per echo, in the unit of the data.

        Raises:
            ValueError: if the shapes do not belong together or are not those of the grid.
        """
        from sigpy.mri.app import L1WaveletRecon  # here, since importing it takes seconds

        check_measurement(kspace, maps, mask, self.grid, self.grid)
        scale = zero_filled_scale(kspace)
        scaled = (kspace / scale.unsqueeze(-3)).cpu().numpy()
        image = torch.empty(kspace.shape[:2] + self.grid, dtype=kspace.dtype)
        for b, (slice_maps, slice_mask) in enumerate(zip(maps.cpu(), mask.cpu(), strict=True)):
            # ||A||^2 is at most the largest sum of squares, which spares sigpy's power iterations.
            step = 1.0 / max(float(slice_maps.abs().square().sum(0).max()), 1e-12)
            for e in range(kspace.shape[1]):
                app = L1WaveletRecon(
                    scaled[b, e],
                    slice_maps.numpy(),
                    float(self.lamda),
                    weights=slice_mask.numpy(),
                    wave_name=self.wavelet,
                    max_iter=self.n_iterations,
                    alpha=step,
                    show_pbar=False,
                )
                image[b, e] = torch.from_numpy(app.run())
        return image.to(kspace.device) * scale


def build_l1_wavelet(
    config: L1WaveletConfig, transform: AxisFactory, grid: tuple[int, int]
) -> L1Wavelet:
    """Return compressed sensing.

    Raises:
        ValueError: the transform has parameters, which would be ignored.
    """
    if any(True for _ in axis_transforms(transform, grid).parameters()):
        raise ValueError(
            "l1_wavelet runs sigpy's own FFT and cannot use a transform with parameters; set "
            "transform=fft"
        )
    return L1Wavelet(grid, config.candidates, config.n_iterations)
