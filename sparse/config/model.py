"""Options of the networks of a run, and their sizes by name."""

from dataclasses import dataclass
from typing import ClassVar

from monarch_core.runs.ranges import check_ranges
from sparse.config.dataset import Content

RANGES: dict[str, tuple[float, float]] = {
    "width": (1, 2**16),
    "n_layers": (1, 1024),
    "n_heads": (1, 1024),
    "n_hidden": (1, 2**18),
    "n_hidden_tokens": (1, 2**18),
    "patch": (1, 1024),
    "dropout": (0, 0.99),
}


@dataclass
class ModelConfig:
    """Options of any network; `name` decides which others there are.

    Attributes:
        name: which network, one of `MODELS`.
        size: a word of `SIZES` for the numbers that are null.
        width: channels.
        n_layers: blocks.
        n_hidden: hidden channels of the feed-forward part of a block.
        dropout: probability that an activation is left out in training; null: as published.
    """

    READS: ClassVar[tuple[Content, ...]] = ("text",)
    IS_MASKED: ClassVar[bool] = False
    # The numbers of every size, by the names of the fields.
    SIZES: ClassVar[dict[str, dict[str, int | float]]] = {}

    name: str = ""
    size: str = "tiny"
    width: int | None = None
    n_layers: int | None = None
    n_hidden: int | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for another model, an unknown size, or numbers that do not fit."""
        own = type(self).name
        if self.name != own:
            raise ValueError(
                f"the options are those of {own}, got model.name={self.name}; choose another model "
                "by its file, as in model=vit"
            )
        if self.size not in self.SIZES:
            raise ValueError(f"model.size must be one of {', '.join(self.SIZES)}, got {self.size}")
        check_ranges(self, "model", {k: v for k, v in RANGES.items() if hasattr(self, k)})
        width, n_heads = self.number("width"), self.SIZES[self.size].get("n_heads")
        if n_heads is not None:
            n_heads = self.number("n_heads")
            if width % n_heads:
                raise ValueError(
                    f"model.n_heads must divide model.width, got {n_heads} heads and a width of "
                    f"{width}"
                )

    def number(self, key: str) -> int:
        """Return what was given for a field, else that of the size."""
        given = getattr(self, key)
        return int(self.SIZES[self.size][key] if given is None else given)

    @property
    def dropout_there(self) -> float:
        """The probability that was given, else that of the size."""
        return self.SIZES[self.size]["dropout"] if self.dropout is None else self.dropout


def _sizes(
    names: str, rows: dict[str, tuple[int | float, ...]]
) -> dict[str, dict[str, int | float]]:
    return {size: dict(zip(names.split(), row, strict=True)) for size, row in rows.items()}


_TEXT = "width n_layers n_heads n_hidden dropout"
_IMAGES = f"{_TEXT} patch"


@dataclass
class TransformerConfig(ModelConfig):
    """Options of any transformer.

    Attributes:
        n_heads: heads of the attention.
    """

    n_heads: int | None = None


@dataclass
class Gpt2Config(TransformerConfig):
    """GPT-2, `transformers.GPT2LMHeadModel`: predicts the next token."""

    SIZES = _sizes(
        _TEXT,
        {
            "smoke": (16, 1, 2, 32, 0.0),
            "tiny": (128, 4, 4, 512, 0.0),
            "small": (768, 12, 12, 3072, 0.1),
            "medium": (1024, 24, 16, 4096, 0.1),
        },
    )

    name: str = "gpt2"


@dataclass
class LlamaConfig(TransformerConfig):
    """LLaMA, `transformers.LlamaForCausalLM`: predicts the next token; gated feed-forward part."""

    SIZES = _sizes(
        _TEXT,
        {
            "smoke": (16, 1, 2, 32, 0.0),
            "tiny": (128, 4, 4, 344, 0.0),
            "small": (768, 12, 12, 2048, 0.0),
            "7b": (4096, 32, 32, 11008, 0.0),
        },
    )

    name: str = "llama"


@dataclass
class BertConfig(TransformerConfig):
    """BERT: predicts tokens that are masked, or classes of sentences.

    The first is `transformers.BertForMaskedLM`, the second `BertForSequenceClassification`.
    """

    READS = ("text", "sentences")
    IS_MASKED = True
    SIZES = _sizes(
        _TEXT,
        {
            "smoke": (16, 1, 2, 32, 0.0),
            "tiny": (128, 4, 4, 512, 0.0),
            "base": (768, 12, 12, 3072, 0.1),
            "large": (1024, 24, 16, 4096, 0.1),
        },
    )

    name: str = "bert"


@dataclass
class VitConfig(TransformerConfig):
    """Vision transformer, `transformers.ViTForImageClassification`.

    The size `small` is that of the Monarch paper (48.8 million parameters), not the usual one.

    Attributes:
        patch: pixels along each side of a patch.
    """

    READS = ("images",)
    SIZES = _sizes(
        _IMAGES,
        {
            "smoke": (16, 1, 2, 32, 0.0, 14),
            "tiny": (128, 4, 4, 512, 0.0, 4),
            "small": (768, 8, 8, 2304, 0.0, 16),
            "base": (768, 12, 12, 3072, 0.0, 16),
        },
    )

    name: str = "vit"
    patch: int | None = None


@dataclass
class MixerConfig(ModelConfig):
    """MLP-Mixer, our own (`sparse.models.mixer`).

    Attributes:
        n_hidden_tokens: hidden channels of the mixing of patches.
        patch: pixels along each side of a patch.
    """

    READS = ("images",)
    SIZES = _sizes(
        "width n_layers n_hidden n_hidden_tokens dropout patch",
        {
            "smoke": (16, 1, 32, 8, 0.0, 14),
            "tiny": (128, 4, 512, 64, 0.0, 4),
            "small": (512, 8, 2048, 256, 0.0, 16),
            "base": (768, 12, 3072, 384, 0.0, 16),
        },
    )

    name: str = "mixer"
    n_hidden_tokens: int | None = None
    patch: int | None = None


# Which options a network has, by its name.
MODELS: dict[str, type[ModelConfig]] = {
    config.name: config for config in (Gpt2Config, LlamaConfig, BertConfig, VitConfig, MixerConfig)
}
