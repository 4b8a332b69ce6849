"""What `monarch_core.layers.rows` does, by the kernel (`rows.h`): several times faster, in float32.

These functions read memory and trust that they are given what `takes` has seen, or what was made of
it.
"""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.layers import rows as plain
from monarch_core.layers.kernel.build import kernel_library as _library
from monarch_core.layers.kernel.operator import is_on

WORTH_CALLING = 16  # rows, below which the call takes longer than the pass


def takes(x: Tensor) -> bool:
    """Return whether the kernel is to be had here for such rows."""
    return (
        x.dtype == torch.float32 and x.device.type == "cpu" and len(x) >= WORTH_CALLING and is_on()
    )


def take_apart(
    x: Float[Tensor, "rows n"], n_blocks: int, width: int
) -> Float[Tensor, "{n_blocks} rows {width}"]:
    """As `plain.take_apart`."""
    n_rows, n = x.shape
    if x.stride(1) != 1:
        return plain.take_apart(x, n_blocks, width)
    blocks = x.new_empty(n_blocks, n_rows, width)
    _sort("split_rows", n_blocks, (n_rows, 1, n, x.stride(0), 0), blocks, 0, x, blocks)
    return blocks


def put_together(
    y: Float[Tensor, "N rows width"], bias: Float[Tensor, " n"] | None, out: Float[Tensor, "rows n"]
) -> None:
    """As `plain.put_together`, for an `out` that is contiguous."""
    n_rows, n = out.shape
    bias = None if bias is None else bias.contiguous()
    _sort("merge_rows", len(y), (n_rows, 1, n, n, 0), y, 0, y, bias, out)


def shuffle(z: Float[Tensor, "N rows h"]) -> Float[Tensor, "N rows h"]:
    """As `plain.shuffle`, for contiguous blocks."""
    N, n_rows, h = z.shape
    if h % N:
        return plain.shuffle(z)
    shuffled = torch.empty_like(z)
    _sort("split_rows", N, (n_rows, N, h, h, n_rows * h), shuffled, h // N, z, shuffled)
    return shuffled


def shuffle_back(z: Float[Tensor, "N rows h"]) -> Float[Tensor, "N rows h"]:
    """As `plain.shuffle_back`, for contiguous blocks."""
    N, n_rows, h = z.shape
    if h % N:
        return plain.shuffle_back(z)
    back = torch.empty_like(z)
    _sort("merge_rows", N, (n_rows, N, h, h, n_rows * h), z, h // N, z, None, back)
    return back


def _sort(
    name: str,
    n_blocks: int,
    whole: tuple[int, ...],
    blocks: Tensor,
    block_piece: int,
    *given: Tensor | None,
) -> None:
    """Call a function of the library with the sizes of `rows::Layout` and pointers to the given."""
    sizes = (*whole, *blocks.stride()[:2], block_piece)
    # under autocast a product in between would be of lower precision
    assert all(t is None or t.dtype == torch.float32 for t in given)
    pointers = [None if t is None else ctypes.c_void_p(t.data_ptr()) for t in given]
    getattr(_library(), name)(
        (ctypes.c_int64 * 8)(*sizes), ctypes.c_int64(n_blocks), *pointers, torch.get_num_threads()
    )
