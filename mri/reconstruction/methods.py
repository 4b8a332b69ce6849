"""What makes the image of a slice: the model of a run, or a method that needs no training."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from monarch_core import Fourier
from monarch_core.runs.schema import load_config
from monarch_core.training.devices import choose_accelerator
from monarch_core.training.recipe import load_trained
from monarch_core.transforms import prepared
from mri.config.reconstruct import ReconstructConfig
from mri.config.run import MriConfig
from mri.grids import loading_for
from mri.models import model_of_run
from mri.models.calibrated import load_encoding
from mri.models.wavelet import L1Wavelet
from mri.physics.axis_transforms import AxisTransforms, axis_transforms
from mri.physics.conjugate_gradient import check_iterations, conjugate_gradient
from mri.physics.encoding import Sense

Grid = tuple[int, int]
# (kspace, maps, mask) of a slice -> one image per set and echo
Method = Callable[
    [
        Complex[Tensor, "echoes coils ky kz"],
        Complex[Tensor, "sets coils ky kz"],
        Float[Tensor, "echoes ky kz"],
    ],
    Complex[Tensor, "sets echoes ky kz"],
]


def find_method(config: ReconstructConfig, grid: Grid) -> Method:
    """Return the method of a config, on its device; the echoes of a slice are independent.

    Raises:
        ValueError: the run or the calibration is none, or of another grid; or an option makes no
            sense.
    """
    device = torch.device(choose_accelerator(config.accelerator))
    if config.run is not None:
        model = run_model(Path(config.run), grid)
    elif config.method != "l1_wavelet":
        return _on(device, _sense(config, _encoding(config, grid).to(device)))
    else:
        model = L1Wavelet(_encoding(config, grid), [config.weight], config.iterations)
    model = prepared(model.to(device).eval())

    def reconstruct(kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        n_echoes = len(kspace)  # as batch entries, which have masks of their own
        return model(kspace[:, None], maps.expand(n_echoes, *maps.shape[1:]), mask)[:, 0][None]

    return _on(device, reconstruct)


def run_model(run_dir: Path, grid: Grid) -> torch.nn.Module:
    """Return the trained model of a run for images of a grid.

    Raises:
        ValueError: there is no finished run, or its weights are of another grid.
    """
    config = load_config(run_dir, MriConfig)
    with loading_for(run_dir, grid):
        model = model_of_run(run_dir, config, grid)
        load_trained(run_dir, model, config)
    return model


def _encoding(config: ReconstructConfig, grid: Grid) -> AxisTransforms:
    """Return the encoding of a calibration, the DFT without one."""
    if config.calibration is None:
        return axis_transforms(Fourier, grid)
    return load_encoding(Path(config.calibration), grid)


def _sense(config: ReconstructConfig, encoding: AxisTransforms) -> Method:
    """Return SENSE with one or several sets of maps, iterative or zero-filled.

        x = argmin_x ||sum_m Omega F S_m x_m - y||^2 + lambda sum_m ||x_m||^2

    for cg_sense; x_m = S_m^H F^H Omega y for sense (of several sets Uecker et al. 2014).
    """
    check_iterations(config.iterations)
    transform = prepared(encoding)

    def reconstruct(kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        n_echoes, height = len(kspace), encoding.shape_in[0]
        operators = [Sense(m.expand(n_echoes, *m.shape), mask, transform) for m in maps]

        # sets below each other in one image, so that the conjugate gradients see one system
        def adjoint(y: Tensor) -> Tensor:
            return torch.cat([A.adjoint(y) for A in operators], -2)

        def normal(x: Tensor) -> Tensor:
            parts = x.split(height, -2)
            return adjoint(
                torch.stack([A.forward(p) for A, p in zip(operators, parts, strict=True)]).sum(0)
            )

        x = adjoint(kspace[:, None])
        if config.method == "cg_sense":
            x = conjugate_gradient(normal, x, config.weight, config.iterations)
        return torch.stack(x[:, 0].split(height, -2))

    return reconstruct


def _on(device: torch.device, method: Method) -> Method:
    @torch.no_grad()
    def reconstruct(kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        return method(kspace.to(device), maps.to(device), mask.to(device)).cpu()

    return reconstruct
