"""Numbers of rows sorted into blocks and back, between the products of a Monarch matrix."""

from jaxtyping import Num
from torch import Tensor, nn


def take_apart(
    x: Num[Tensor, "rows n"], n_blocks: int, width: int
) -> Num[Tensor, "{n_blocks} rows {width}"]:
    """Return number k N + b of every row at place k of block b, zero where the row has ended.

    That pass costs what a plain copy costs, several times less than to transpose the whole batch.
    """
    padding = n_blocks * width - x.shape[1]
    if padding:
        x = nn.functional.pad(x, (0, padding))
    return x.view(x.shape[0], width, n_blocks).permute(2, 0, 1).contiguous()


def put_together(
    y: Num[Tensor, "N rows width"], bias: Num[Tensor, " n"] | None, out: Num[Tensor, "rows n"]
) -> None:
    """Write the rows that `take_apart` makes y of, plus a bias, into `out`."""
    n_blocks, rows, width = y.shape
    y = y.permute(1, 2, 0)
    if out.shape[1] == width * n_blocks:
        out.view(rows, width, n_blocks).copy_(y)
    else:
        out.copy_(y.reshape(rows, width * n_blocks)[:, : out.shape[1]])
    if bias is not None:
        out.add_(bias)


def shuffle(z: Num[Tensor, "N rows h"]) -> Num[Tensor, "N rows h"]:
    """Return at place r of block m what stands at place r N + m of the blocks side by side."""
    N, rows, h = z.shape
    if h % N == 0:  # r = b h / N + j // N does not cross the blocks of z
        return z.view(N, rows, h // N, N).permute(3, 1, 0, 2).reshape(N, rows, h)
    return z.transpose(0, 1).reshape(rows, h, N).permute(2, 0, 1).contiguous()


def shuffle_back(z: Num[Tensor, "N rows h"]) -> Num[Tensor, "N rows h"]:
    """Return what `shuffle` makes z of."""
    N, rows, h = z.shape
    if h % N == 0:
        return z.view(N, rows, N, h // N).permute(2, 1, 3, 0).reshape(N, rows, h)
    return z.permute(1, 2, 0).reshape(rows, N, h).transpose(0, 1)
