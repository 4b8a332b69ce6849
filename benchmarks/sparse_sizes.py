"""The sizes of the paper, counted on the classes of today: `python -m benchmarks.sparse_sizes`.

Writes a table, with `--update docs/sparse.md --marker sparse_sizes` into a document. No number is
held in memory: the networks are made of tensors that have a shape and nothing else. All blocks of a
network are alike, so the numbers of n of them follow from those of one and of two.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from monarch_core.report.documents import add_destination, deliver, run_command
from sparse.config.dataset import DatasetConfig, GlueConfig, ImageFolderConfig, TextConfig
from sparse.config.model import BertConfig, Gpt2Config, MixerConfig, ModelConfig, VitConfig
from sparse.config.run import SparseConfig
from sparse.config.shapes import ImageShape, SentenceShape, Shape, TextShape
from sparse.config.weight import WeightConfig
from sparse.metrics.cost import count_flops
from sparse.models import build_model

IMAGE = ImageShape(3, 224, 1000, (0.5,) * 3, (0.5,) * 3)
GPT2 = TextShape(50257, 1024)
BERT = SentenceShape(30522, 512, 2, 0, 102)


@dataclass(frozen=True)
class Published:
    """A network of Dao et al. 2022 (arXiv:2204.00595, tables 1, 2, 5 and 8), dense and Monarch.

    Attributes:
        name: there.
        config: the same network here.
        shape: of its data.
        parameters: in millions.
        flops: in units of 1e9; those of the dense networks are multiplications.
        n_tokens: of the sample of which the paper seems to count them: patches of an image (and the
            class of ViT), or tokens.
    """

    name: str
    config: type[ModelConfig]
    size: str
    shape: Shape
    parameters: tuple[float, float]
    flops: tuple[float, float]
    n_tokens: int


@dataclass(frozen=True)
class Choice:
    """Which layers are exchanged.

    Attributes:
        words: for the table.
        include: patterns of their names; empty: those that a run exchanges.
        exclude: patterns of names to leave dense.
        drops: part of the network that is not counted.
    """

    words: str
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    drops: str = ""


NETWORKS = (
    Published("Mixer-S/16", MixerConfig, "small", IMAGE, (18.5, 7.0), (3.8, 1.5), 196),
    Published("Mixer-B/16", MixerConfig, "base", IMAGE, (59.9, 20.9), (12.6, 5.0), 196),
    Published("ViT-S/16", VitConfig, "small", IMAGE, (48.8, 19.6), (9.9, 3.9), 197),
    Published("ViT-B/16", VitConfig, "base", IMAGE, (86.6, 33.0), (17.6, 5.9), 197),
    Published("GPT-2-S", Gpt2Config, "small", GPT2, (124, 72), (106, 51), 1024),
    Published("GPT-2-M", Gpt2Config, "medium", GPT2, (355, 165), (361, 166), 1024),
    Published("BERT-base", BertConfig, "base", BERT, (109, 55), (11.2, 6.2), 128),
    Published("BERT-large", BertConfig, "large", BERT, (335, 144), (39.5, 14.6), 128),
)
ALL = Choice("all linear layers of the blocks")
CHOICES: dict[type[ModelConfig], tuple[Choice, ...]] = {
    MixerConfig: (ALL, Choice("of these, the mixing of channels alone", exclude=["*mlp_tokens*"])),
    VitConfig: (ALL, Choice("these and the head", include=["*.layers.*", "*.classifier"])),
    Gpt2Config: (ALL,),
    BertConfig: (
        Choice("all linear layers of the blocks; without pooler", drops="pooler"),
        Choice("these and the pooler", include=["*.encoder.layer.*", "*.pooler.*"]),
        Choice(
            "the feed-forward parts alone; without pooler", exclude=["*attention*"], drops="pooler"
        ),
    ),
}
DATA: dict[type[Shape], type[DatasetConfig]] = {
    ImageShape: ImageFolderConfig,
    TextShape: TextConfig,
    SentenceShape: GlueConfig,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="sparse_sizes", description=(__doc__ or "").splitlines()[0]
    )
    add_destination(parser)
    return run_command(parser, lambda options: deliver(table(), (), options), arguments)


def table() -> str:
    """Return a row for each network and each choice of layers, as Markdown."""
    lines = [
        "| model | exchanged | parameters, paper | counted | multiplications, paper | counted "
        "| by its parameters |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for network in NETWORKS:
        for choice in CHOICES[network.config]:
            counts = [count(network, choice, weight) for weight in ("dense", "monarch")]
            cells = [network.name, choice.words]
            for published, unit, found in (
                (network.parameters, "M", [n / 1e6 for n, _ in counts]),
                (network.flops, "G", [n / 1e9 for _, n in counts]),
            ):
                cells.append(f"{published[0]} to {published[1]} {unit}")
                off = 100 * (found[1] / published[1] - 1)
                cells.append(f"{found[0]:.2f} to {found[1]:.2f} {unit} ({off:+.1f} %)")
            middle, half = following(network)
            cells.append(f"{middle:.2f} ± {half:.2f} G")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def following(network: Published) -> tuple[float, float]:
    """Return the Monarch multiplications that follow from all else that the paper says.

    Every number of a weight that acts on tokens is multiplied once for each of them, so, whichever
    layers of the blocks are exchanged and for what,

        multiplications saved = tokens x parameters saved

    Returns:
        In units of 1e9, the middle and the half of what the rounding of the paper's numbers leaves.
    """
    (dense, monarch), flops = network.parameters, network.flops[0]
    middle = flops - network.n_tokens * (dense - monarch) / 1e3
    return middle, _rounding(flops) + network.n_tokens * 2 * _rounding(dense) / 1e3


def _rounding(published: float) -> float:
    """Return the largest error of a number given whole, or with one digit behind the point."""
    return 0.5 if isinstance(published, int) else 0.05


def count(network: Published, choice: Choice, weight: str) -> tuple[int, int]:
    """Return parameters, and multiplications of one sample, of a network with all its blocks.

    Text models are counted without what makes logits of their outputs.
    """
    n = network.config(size=network.size).number("n_layers")
    (p1, m1), (p2, m2) = (_counted(network, choice, weight, n_layers) for n_layers in (1, 2))
    return p1 + (n - 1) * (p2 - p1), m1 + (n - 1) * (m2 - m1)


def _counted(network: Published, choice: Choice, weight: str, n_layers: int) -> tuple[int, int]:
    config = SparseConfig(
        dataset=DATA[type(network.shape)](),
        model=network.config(size=network.size, n_layers=n_layers),
        weight=_weight(choice, weight),
    )
    with torch.device("meta"):
        model: Any = build_model(config, network.shape)
        inputs = torch.zeros(1, 3, 224, 224)
        if network.shape is not IMAGE:
            model, inputs = model.host.base_model, torch.zeros(1, network.n_tokens).long()
        if choice.drops:
            setattr(model, choice.drops, None)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        return n_parameters, count_flops(model, mode.from_tensor(inputs)) // 2


def _weight(choice: Choice, weight: str) -> WeightConfig:
    if weight == "dense":
        return WeightConfig("dense", "dense")
    # Nothing can be projected where there are no numbers.
    return WeightConfig(weight, include=choice.include, exclude=choice.exclude, start="random")


if __name__ == "__main__":
    sys.exit(main())
