"""A Fourier neural operator as plain matrix products: neuralop's, with the same weights, faster."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from neuralop.layers.spectral_convolution import SpectralConv as NeuralopConv
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import gelu
from torch.nn.modules.module import _global_forward_hooks

from monarch_core.layers import SpectralConv
from monarch_core.layers.derivatives import are_transformed, formula_is_needed
from monarch_core.layers.kernel import pointwise as kernel
from monarch_core.layers.pointwise import PointwiseMLP
from monarch_core.layers.precision import check_real

# Their backward pass does not need their output: the skip connection is added to it in place.
OUTPUT_IS_FREE = (SpectralConv, NeuralopConv)


class FNO(nn.Module):
    """The Fourier neural operator of Li et al. 2021 (arXiv:2010.08895).

        v_0 = P(x, grid),   v_l = gelu(K_l v_(l-1) + W_l v_(l-1)),   y = Q(v_L)

    K_l is the spectral convolution with its bias, W_l a matrix on the channels; the last layer has
    no gelu. P lifts, Q projects (`PointwiseMLP`). The coordinates i / n of the points are channels
    of the input.

    Args:
        n_modes: kept frequencies per axis, both signs, as `conv_module` takes them.
        in_channels: of x, without the coordinates.
        out_channels: of y.
        hidden_channels: width.
        n_layers: Fourier layers.
        lifting_channels: hidden channels of P; 0 makes it one linear map.
        projection_channels: hidden channels of Q; 0 makes it one linear map.
        conv_module: makes K, called with (in_channels, out_channels, n_modes), such as
            `MonarchSpectralConv.configured(grid=...)` or neuralop's `SpectralConv`.

    Raises:
        ValueError: for a number of channels, layers or axes that no network has.
    """

    def __init__(
        self,
        n_modes: Sequence[int],
        in_channels: int,
        out_channels: int,
        hidden_channels: int,
        n_layers: int = 4,
        lifting_channels: int = 0,
        projection_channels: int = 128,
        *,
        conv_module: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        if isinstance(n_modes, int) or not n_modes:
            raise ValueError(
                f"n_modes must have one number per axis of the grid, got {n_modes}; "
                "use (16,) for one axis, (16, 16) for two"
            )
        for name, value, least in (
            ("in_channels", in_channels, 1),
            ("out_channels", out_channels, 1),
            ("hidden_channels", hidden_channels, 1),
            ("n_layers", n_layers, 1),
            ("lifting_channels", lifting_channels, 0),
            ("projection_channels", projection_channels, 0),
        ):
            if value < least:
                raise ValueError(
                    f"{name} of the FNO must be at least {least}, got {value}; the defaults are "
                    "4 layers, no hidden layer in the lifting and 128 channels in the projection"
                )
        self.in_channels, self.order = in_channels, len(n_modes)
        width = hidden_channels
        self.lifting = PointwiseMLP(in_channels + len(n_modes), lifting_channels, width)
        self.convs = nn.ModuleList(conv_module(width, width, n_modes) for _ in range(n_layers))
        self.skips = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(n_layers))
        self.projection = PointwiseMLP(width, projection_channels, out_channels)

    def forward(
        self, x: Float[Tensor, "batch in_channels *grid"]
    ) -> Float[Tensor, "batch out_channels *grid"]:
        """Return y on the grid of x.

        Raises:
            ValueError: if x has other channels or axes than the network was built for, or is
                complex.
        """
        if x.dim() != self.order + 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x must be (batch, {self.in_channels} channels, {self.order} axes of the grid), "
                f"got {tuple(x.shape)}; reshape it, or build the FNO with other in_channels and "
                "n_modes"
            )
        check_real(x)
        grid = x.shape[2:]
        coordinates = unit_grid(grid, x).expand(x.shape[0], *[-1] * (len(grid) + 1))
        v = self.lifting(torch.cat((x, coordinates), dim=1).flatten(2))
        for layer, (conv, skip) in enumerate(zip(self.convs, self.skips, strict=True)):
            Kv, W = conv(v.unflatten(2, grid)), cast(Tensor, skip.weight)
            Kv, W = Kv.to(v.dtype), W.to(v.dtype)  # autocast does not see products in place
            is_last = layer == len(self.convs) - 1
            if _output_is_free(conv) and not formula_is_needed(Kv, W, v):
                pre, activated = _AddProduct.apply(Kv, W, v, not is_last)
                v = (pre if is_last else activated).flatten(2)
            else:
                v = torch.baddbmm(Kv.flatten(2), W.expand(v.shape[0], -1, -1), v)
                v = v if is_last else gelu(v)
        return self.projection(v).unflatten(2, grid)


class _AddProduct(Function):
    """y + W v in the memory of y, and gelu of it. In place on a view, torch copies the gradient."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, W: Tensor, v: Tensor, with_gelu: bool
    ) -> tuple[Tensor, Tensor | None]:
        ctx.mark_dirty(y)
        ctx.set_materialize_grads(False)
        if kernel.takes(y, W, v) and y.is_contiguous():
            activated = kernel.add_product(y, W, v, with_gelu=with_gelu)
        else:
            y.flatten(2).baddbmm_(W.expand(v.shape[0], -1, -1), v)
            activated = gelu(y) if with_gelu else None
        ctx.save_for_backward(W, v, *([y] if with_gelu else []))
        return y, activated

    @staticmethod
    def backward(
        ctx: Any, grad_pre: Tensor | None, grad: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        W, v, *pre = ctx.saved_tensors
        if grad_pre is not None and grad is not None:  # in a second derivative
            grad_pre = grad_pre + torch.ops.aten.gelu_backward(grad, *pre)
            grad = None
        given = grad_pre if grad is None else grad
        if given is None:
            return None, None, None, None
        plain = not (torch.is_grad_enabled() or are_transformed(given, W, v))
        if plain and kernel.takes(given, W, v):
            return *kernel.gradients_of_product(given, W, v, None if grad is None else pre[0]), None
        if grad is not None:
            given = torch.ops.aten.gelu_backward(grad, *pre)
        flat = given.reshape(len(v), len(W), -1)
        return given, flat.bmm(v.mT).sum(0), W.mT.expand(len(v), -1, -1).bmm(flat), None


def _output_is_free(conv: nn.Module) -> bool:
    """Return whether nobody else wants the output of this layer: its backward pass, or a hook."""
    return isinstance(conv, OUTPUT_IS_FREE) and not (conv._forward_hooks or _global_forward_hooks)


def unit_grid(grid: Sequence[int], like: Tensor) -> Float[Tensor, "1 axes *grid"]:
    """Return the coordinates i / n of every point, one channel per axis."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) / n for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def copy_neuralop_weights(model: FNO, host: nn.Module) -> None:
    """Take over the weights of a neuralop `FNO` of the same sizes and spectral layers.

    It has linear skip connections and neither channel MLP nor norm, as published.

    Raises:
        ValueError: a parameter of one is missing in the other, or differs in shape. Nothing has
            been copied then.
    """
    own, state = dict(model.named_parameters()), {}
    for name, value in host.named_parameters():
        for old, new in (
            ("fno_blocks.fno_skips.", "skips."),
            ("fno_blocks.convs.", "convs."),
            (".fcs.", ".maps."),
            (".conv.weight", ".weight"),
        ):
            name = name.replace(old, new)
        is_pointwise = not name.startswith("convs.") and name.endswith("weight")
        state[name] = value.squeeze(-1) if is_pointwise else value
    shapes, theirs = ({n: tuple(p.shape) for n, p in s.items()} for s in (own, state))
    differing = [
        f"{name} is {shapes.get(name, 'not there')} here and {theirs.get(name, 'not there')} there"
        for name in sorted({*shapes, *theirs})
        if shapes.get(name) != theirs.get(name)
    ]
    if differing:
        raise ValueError(
            f"the two networks differ in {len(differing)} parameters: {'; '.join(differing[:3])}; "
            "build both with the same sizes, spectral layers and linear skip connections, and the "
            "host without channel MLP and norm"
        )
    model.load_state_dict(state)
