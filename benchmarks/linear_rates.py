"""Loss against learning rate of dense and Monarch networks: `python -m benchmarks.linear_rates`.

A network of three hidden layers learns the digits of scikit-learn by Adam. The hidden layers are
dense or Monarch with 4 or 16 blocks, at two widths, with the start "linear" and one rate, with the
same start and the rates of `rate_factors`, and with the start "blocks" and those rates. The losses
on the held out digits go to a CSV file, the only argument, and are printed.
"""

import csv
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import fmean

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from monarch_core import MonarchLinear
from monarch_core.training.config import FitConfig
from monarch_core.training.optimization import make_optimizer

Row = dict[str, object]
WIDTHS = (256, 512)  # with less, 16 blocks leave slices of the weight empty
RATES = tuple(2e-4 * 2**k for k in range(8))
WAYS = {"one rate": ("linear", False), "rates": ("linear", True), "both": ("blocks", True)}
SEEDS = (0, 1, 2)
EPOCHS, BATCH, N_TRAIN = 5, 64, 1200


def main() -> int:
    """Train all networks and write the losses; return the exit status."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/results/linear_rates.csv")
    torch.set_num_threads(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        for row in rows():
            if not file.tell():
                writer = csv.DictWriter(file, row)
                writer.writeheader()
            writer.writerow(row)
            sys.stdout.write(" ".join(f"{key}={value}" for key, value in row.items()) + "\n")
            sys.stdout.flush()
    return 0


def rows() -> Iterator[Row]:
    """Yield the losses of every network: mean and largest over the seeds, a column per rate."""
    for width in WIDTHS:
        for n_blocks, way in [(1, "dense"), *((n, way) for n in (4, 16) for way in WAYS)]:
            losses = {
                f"{rate:.2g}": [held_out_loss(width, n_blocks, way, rate, seed) for seed in SEEDS]
                for rate in RATES
            }
            yield {
                "width": width,
                "blocks": n_blocks,
                "way": way,
                **{rate: f"{fmean(values):.2f}" for rate, values in losses.items()},
                **{f"{rate}, largest": f"{max(values):.2f}" for rate, values in losses.items()},
            }


def held_out_loss(width: int, n_blocks: int, way: str, rate: float, seed: int) -> float:
    """Return the cross entropy, in nats, on digits that were not trained on."""
    torch.manual_seed(seed)
    start, block_rates = WAYS.get(way, ("linear", False))

    def hidden() -> nn.Module:
        if n_blocks == 1:
            return nn.Linear(width, width)
        return MonarchLinear(width, width, n_blocks, start=start)

    layers: list[nn.Module] = [nn.Linear(64, width)]
    for _ in range(3):
        layers += [nn.ReLU(), hidden()]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Linear(width, 10))
    config = FitConfig(
        learning_rate=rate, transform_learning_rate=rate, weight_decay=0.0, block_rates=block_rates
    )
    optimizer = make_optimizer(model, config)
    (x, y), held_out = digits()
    for _ in range(EPOCHS):
        for batch in torch.randperm(N_TRAIN).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        return nn.functional.cross_entropy(model(held_out[0]), held_out[1]).item()


@cache
def digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return images and labels of the training and the held out digits, always the same."""
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32) / 8 - 1
    y = torch.tensor(data.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, rest = order[:N_TRAIN], order[N_TRAIN:]
    return (x[train], y[train]), (x[rest], y[rest])


if __name__ == "__main__":
    sys.exit(main())
