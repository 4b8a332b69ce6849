"""Linear layers with a Monarch weight against dense ones, alone and in a transformer."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.options import Options
from benchmarks.rows import Row, compared, time_modules
from monarch_core import MonarchLinear, monarchize, prepared
from sparse.config.model import Gpt2Config
from sparse.config.shapes import TextShape
from sparse.metrics.losses import cross_entropy
from sparse.models.hosts import build_gpt2

WIDTHS = ((256, 256), (768, 768), (768, 3072))
ROWS = (1, 8, 64, 512, 2048)
BLOCKS = (4, 16)
BATCHES = ((2, 1024), (4, 512))  # windows, tokens of each
WIDTH = 768
TRAINED: dict[str, Any] = {"width": 256, "n_hidden": 1024}  # the networks on text of docs/sparse.md
WINDOWS, TOKENS, VOCABULARY = 4, 128, 71  # of a step, of a window, and how many there are


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


def step(options: Options) -> list[Row]:
    """A whole step of the small GPT-2 on text: both passes, clipping and AdamW."""
    tokens = torch.randint(VOCABULARY, (WINDOWS, TOKENS + 1), device=options.device)
    runs = {}
    for name, n_blocks in {"dense": 1, **{f"{n} blocks": n for n in BLOCKS}}.items():
        torch.manual_seed(0)
        network: nn.Module = build_gpt2(Gpt2Config(**TRAINED), TextShape(VOCABULARY, TOKENS))
        if n_blocks > 1:
            monarchize(network.get_submodule("host.transformer"), n_blocks=n_blocks)
        runs[name] = take_step(network.to(options.device), tokens)
    return compared({"width": TRAINED["width"], "rows": WINDOWS * TOKENS}, runs, options)


def take_step(network: nn.Module, tokens: Tensor) -> Callable[[], None]:
    """Return what predicts each token after the first and takes a step of AdamW."""
    optimizer = torch.optim.AdamW(network.parameters())

    def run() -> None:
        cross_entropy(network(tokens[:, :-1]), tokens[:, 1:]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return run


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
