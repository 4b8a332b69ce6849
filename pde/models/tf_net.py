"""Turbulent-Flow Net (Wang et al. 2020, arXiv:1911.08655)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pde.config.model import TfNetConfig
from pde.config.run import PdeConfig
from pde.models.convolutions import convolution, crop, enlargement, normed_convolution

N_LEVELS = 4


class TFNet(nn.Module):
    """Three scales of the flow, each with its own encoder, and one decoder for their sum.

        w*[t] = S w[t]                                learned filter in space, 3 points wide  (1)
        m[t]  = sum_{s < T} g[s] w*[t - T + 1 + s]    learned filter in time: the mean flow   (2)
        w~[t] = w*[t] - m[t]                          resolved turbulence                     (3)
        w'[t] = w[t] - w*[t]                          small scales                            (4)

    for the last n_in - T + 1 frames t. The encoders halve the grid four times; the decoder adds
    what the three of them have at each level, and ends with a convolution of its output and of
    those frames.

    The FNO paper (Li et al. 2021, arXiv:2010.08895) did not publish its version. This one follows
    the published code of Wang et al. for the network, but predicts one scalar field, starts both
    filters as plain averages and the rest as torch does, and has neither dropout nor a penalty on
    the divergence. With 64 channels, T = 4 and ten frames in two dimensions it has 7,451,725
    parameters; the FNO paper prints 7,451,724, one tap of (2) less.

    Args:
        n_in: input frames, oldest first.
        n_channels: channels of the first level, doubled at each of the next three.
        n_filter_frames: T.
        n_axes: axes of the grid, whose lengths may be any.

    Raises:
        ValueError: if T exceeds `n_in`, or `n_channels` is odd.
    """

    def __init__(
        self, n_in: int, n_channels: int = 64, n_filter_frames: int = 4, n_axes: int = 2
    ) -> None:
        super().__init__()
        if n_filter_frames > n_in:
            raise ValueError(
                f"tf_net cannot average {n_filter_frames} frames of {n_in} input frames; set "
                f"model.n_filter_frames to at most {n_in}"
            )
        if n_channels % 2:
            raise ValueError(
                f"hidden_channels of tf_net must be a multiple of 2, got {n_channels}; use 64"
            )
        n_seen = n_in - n_filter_frames + 1
        widths = [n_channels * 2**level for level in range(N_LEVELS)]
        self.n_filter_frames = n_filter_frames
        self.S = nn.Parameter(torch.full((1, 1, *[3] * n_axes), 3.0**-n_axes))
        self.g = nn.Parameter(torch.full((n_filter_frames,), 1 / n_filter_frames))
        self.encoders = nn.ModuleList(
            nn.ModuleList(
                normed_convolution(n_axes, a, b, stride=2)
                for a, b in zip([n_seen, *widths], widths, strict=False)
            )
            for _ in range(3)
        )
        self.decoder = nn.ModuleList(
            enlargement(n_axes, 2 * b, b) for b in [w // 2 for w in widths]
        )
        self.head = convolution(n_axes, n_channels // 2 + n_seen, 1)

    def split(self, w: Float[Tensor, "batch n_in *grid"]) -> list[Tensor]:
        """Return the mean flow, the turbulence and the small scales of the last frames."""
        T, n_axes = self.n_filter_frames, w.ndim - 2
        filtered = _convolve(n_axes, w.flatten(0, 1).unsqueeze(1), self.S).reshape(w.shape)  # (1)
        mean = torch.einsum("bt...s,s->bt...", filtered.unfold(1, T, 1), self.g)  # (2)
        return [mean, filtered[:, T - 1 :] - mean, (w - filtered)[:, T - 1 :]]  # (3), (4)

    def forward(self, w: Float[Tensor, "batch n_in *grid"]) -> Float[Tensor, "batch 1 *grid"]:
        """Return one frame."""
        seen = w[:, self.n_filter_frames - 1 :]
        levels = [seen]
        scales = self.split(w)
        for layers in zip(*self.encoders, strict=True):
            scales = [layer(scale) for layer, scale in zip(layers, scales, strict=True)]
            levels.append(torch.stack(scales).sum(0))
        y = levels.pop()
        for enlarge in reversed(self.decoder):
            below = levels.pop()
            y = crop(enlarge(y), below)
            y = y + below if levels else torch.cat((below, y), dim=1)
        return self.head(y)


def build_tf_net(model: TfNetConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the TF-Net for the frames of a data set."""
    data = config.dataset
    if data.in_channels != data.n_input_frames:
        raise ValueError(
            f"tf_net filters the frames of one field in time, got {data.out_channels} channels and "
            f"{data.n_constants} constants; choose model=fno, pde_unet or resnet"
        )
    n_in, n_averaged = data.n_input_frames, model.n_filter_frames
    return TFNet(n_in, model.hidden_channels, n_averaged, n_axes=len(grid))


def _convolve(n_axes: int, x: Tensor, kernel: Tensor) -> Tensor:
    convolve = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}[n_axes]
    return convolve(x, kernel, padding=1)
