"""Linear layers with a Monarch weight against dense ones, alone and in a transformer."""

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor, nn

from benchmarks.options import Options
from benchmarks.rows import Row, time_modules
from monarch_core import MonarchLinear, monarchize, prepared
from sparse.config.model import Gpt2Config
from sparse.config.shapes import TextShape
from sparse.models.hosts import build_gpt2

WIDTHS = ((256, 256), (768, 768), (768, 3072))
ROWS = (1, 8, 64, 512, 2048)
BLOCKS = (4, 16)
BATCHES = ((2, 1024), (4, 512))  # windows, tokens of each
WIDTH = 768


def linear(options: Options) -> list[Row]:
    """One layer forward and in training, by rows, width and blocks; in a prepared view forward."""
    rows = []
    for (n_in, n_out), n_rows in product(WIDTHS, ROWS):
        torch.manual_seed(0)
        layers: dict[str, nn.Module] = {"nn.Linear": nn.Linear(n_in, n_out)}
        for n_blocks in BLOCKS:
            layers[f"{n_blocks} blocks"] = MonarchLinear(n_in, n_out, n_blocks)
        x = torch.randn(n_rows, n_in, device=options.device, requires_grad=True)
        facts = {"width": f"{n_in} to {n_out}", "rows": n_rows}
        # what takes microseconds is timed oftener
        own = replace(options, rounds=options.rounds * (20 if n_rows < 100 else 1))
        training = time_modules(layers, x, facts, own, ("training",))
        with torch.no_grad():
            views = {f"{name}, prepared": prepared(layer) for name, layer in layers.items()}
        del views["nn.Linear, prepared"]
        rows += time_modules({**layers, **views}, x, facts, own, ("forward",)) + training
    return rows


def block(options: Options) -> list[Row]:
    """The training step of one block of GPT-2-S, its dropout off, by the class of transformers."""
    torch.manual_seed(0)
    blocks: dict[str, nn.Module] = {"dense": Block()}
    for n_blocks in BLOCKS:
        blocks[f"{n_blocks} blocks"] = monarchize(Block(), n_blocks=n_blocks)
    rows = []
    for batch, context in BATCHES:
        x = torch.randn(batch, context, WIDTH, device=options.device, requires_grad=True)
        facts = {"rows": batch * context, "batch": batch}
        rows += time_modules(blocks, x, facts, options, ("training",))
    return rows


class Block(nn.Module):
    """Attention and feed-forward part of GPT-2-S, with random weights."""

    def __init__(self) -> None:
        super().__init__()
        config = Gpt2Config(size="small", width=WIDTH, n_layers=1, dropout=0.0)
        network = build_gpt2(config, TextShape(1, max(context for _, context in BATCHES)))
        self.host = network.get_submodule("host.transformer.h.0")

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of every token with what the block adds to them."""
        y: Tensor = self.host(x)
        return y
