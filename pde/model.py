"""Neural operators and the roll-out in time that turns one step into a trajectory."""

import math
from collections.abc import Callable

import torch
from hydra.utils import instantiate
from jaxtyping import Float
from neuralop.models import FNO
from torch import Tensor, nn
from torch.utils.data import Dataset

from monarch_core.transforms import matrices_computed_once
from pde.config import PdeConfig

Sample = tuple[tuple[Tensor], Tensor]


class RollOut(nn.Module):
    """Predict a trajectory from its first frames, one frame at a time.

        w[t] = step(w[t - n_input_frames], ..., w[t - 1])

    Each prediction is fed back as input, and back-propagation runs through all steps. Mean and
    standard deviation of the field are part of the model (`normalize_to`) and saved with its
    weights, so inputs and outputs are in physical units.

    Args:
        step: network from (batch, n_input_frames, x, y) to (batch, 1, x, y), of unit scale.
        n_steps: frames to predict unless `forward` is told otherwise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, step: nn.Module, n_steps: int) -> None:
        super().__init__()
        self.step = step
        self.n_steps = n_steps
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def normalize_to(self, train: Dataset[Sample]) -> None:
        """Take mean and standard deviation of all frames of the training split.

        Raises:
            ValueError: if all frames are one constant.
        """
        n, total, squares = 0, 0.0, 0.0
        for (frames,), target in (train[i] for i in range(len(train))):  # type: ignore[arg-type]
            sample = torch.cat((frames, target)).double()
            n += sample.numel()
            total += sample.sum().item()
            squares += sample.square().sum().item()
        mean = total / n
        variance = squares / n - mean**2
        if not variance > 0:
            raise ValueError(
                f"all frames of the training split have the same value {mean:g}; check the data"
            )
        self.mean.fill_(mean)
        self.std.fill_(math.sqrt(variance))

    def forward(
        self, frames: Float[Tensor, "batch n_input_frames x y"], n_steps: int | None = None
    ) -> Float[Tensor, "batch n_steps x y"]:
        """Return the next `n_steps` frames, in the unit of the input."""
        window = (frames - self.mean) / self.std
        predictions = []
        with matrices_computed_once():
            for _ in range(n_steps or self.n_steps):
                predictions.append(self.step(window))
                window = torch.cat((window[:, 1:], predictions[-1]), dim=1)
        return torch.cat(predictions, dim=1) * self.std + self.mean


def build_model(config: PdeConfig, grid: tuple[int, ...]) -> RollOut:
    """Return the surrogate: a Fourier neural operator rolled out in time.

    Args:
        config: `model` is the operator, `transform` what stands where its Fourier transforms are
            (the one thing that differs between two compared runs), `dataset` has the frames.
        grid: points per axis.

    Raises:
        ValueError: when the grid cannot hold the modes or the transform does not fit the grid.
    """
    model, dataset = config.model, config.dataset
    if 2 * model.n_modes > min(grid):
        raise ValueError(
            f"a grid of {'x'.join(map(str, grid))} points holds k < {min(grid) // 2} modes per "
            f"axis, got model.n_modes={model.n_modes}; use a smaller number or a finer grid"
        )
    spectral_conv: Callable[..., type[nn.Module]] = instantiate(config.transform.spectral_conv)
    step = FNO(
        n_modes=(2 * model.n_modes,) * len(grid),
        in_channels=dataset.n_input_frames,
        out_channels=1,
        hidden_channels=model.hidden_channels,
        n_layers=model.n_layers,
        lifting_channel_ratio=model.lifting_channels / model.hidden_channels,
        projection_channel_ratio=model.projection_channels / model.hidden_channels,
        use_channel_mlp=model.use_channel_mlp,
        conv_module=spectral_conv(grid=grid),
    )
    return RollOut(step, dataset.n_output_frames)
