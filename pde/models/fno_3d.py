"""The Fourier neural operator in space and time: all output frames at once."""

from jaxtyping import Float
from torch import Tensor, nn

from pde.config.model import Fno3dConfig
from pde.config.run import PdeConfig
from pde.models.fno import published_fno

MOST_AXES = 2  # of space


class SpaceTime(nn.Module):
    """Present the past to a network on the grid of space and time, and return its frames.

    Every point of space and time sees the whole past of its place, and neuralop appends its
    coordinates (x, y, t); with ten frames in two dimensions these are 13 channels.

    Args:
        network: from (batch, inputs, *grid, n_frames) to (batch, channels, *grid, n_frames).
        n_frames: frames that it predicts.
    """

    def __init__(self, network: nn.Module, n_frames: int) -> None:
        super().__init__()
        self.network = network
        self.n_frames = n_frames

    def forward(
        self, frames: Float[Tensor, "batch inputs *grid"]
    ) -> Float[Tensor, "batch values *grid"]:
        """Return the next `n_frames` frames, their channels following each other."""
        past = frames.unsqueeze(-1).expand(*frames.shape, self.n_frames)
        return self.network(past).movedim(-1, 1).flatten(1, 2)


def build_fno_3d(model: Fno3dConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the published FNO-3D, `build_fno` with time as a last axis.

    Time is not periodic and padded by `time_padding` zeros. The published script puts them at the
    end; half of them at either end is the same function, since nothing in the network but the
    coordinates, which come before the padding, knows where the period begins.

    Args:
        model: sizes.
        config: frames and transform.
        grid: points per axis of space.

    Raises:
        ValueError: when there are three axes of space, the padded grid cannot hold the modes, or
            the transform does not fit it.
    """
    if len(grid) > MOST_AXES:
        raise ValueError(
            f"fno_3d adds time to the axes of space, at most {MOST_AXES} of them, got "
            f"a grid of {'x'.join(map(str, grid))}; choose model=fno, which goes step by step"
        )
    n_frames = config.dataset.n_output_frames
    padding = [*[model.domain_padding] * len(grid), model.time_padding / 2 / n_frames]
    return SpaceTime(published_fno(model, config, (*grid, n_frames), padding), n_frames)
