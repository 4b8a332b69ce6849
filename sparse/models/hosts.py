"""Networks of the library `transformers`, by its own classes, with random weights."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from sparse.config.model import TransformerConfig
from sparse.config.shapes import ImageShape, SentenceShape, TextShape
from sparse.library import transformers

# Patterns of the names of what lies inside the blocks of each network.
BLOCKS = {
    "gpt2": ["transformer.h.*"],
    "llama": ["model.layers.*"],
    "bert": ["bert.encoder.layer.*"],
    "vit": ["vit.layers.*"],
}


class LanguageModel(nn.Module):
    """A network of `transformers` that takes tokens and returns the logits of tokens.

    Args:
        host: the network.
    """

    def __init__(self, host: nn.Module) -> None:
        super().__init__()
        self.host = host

    def forward(
        self, tokens: Int[Tensor, "batch context"]
    ) -> Float[Tensor, "batch context vocabulary"]:
        """Return logits: of the next token, or of those that are masked."""
        logits: Tensor = self.host(input_ids=tokens).logits
        return logits


class SentenceClassifier(nn.Module):
    """A network of `transformers` that takes sentences or pairs and returns the logits of classes.

    What fills up a sample is not attended to, and what follows its first separator is the second
    sentence.

    Args:
        host: the network.
        shape: of the samples.
    """

    def __init__(self, host: nn.Module, shape: SentenceShape) -> None:
        super().__init__()
        self.host = host
        self.shape = shape

    def forward(self, tokens: Int[Tensor, "batch context"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of the classes."""
        is_text = tokens != self.shape.padding
        ends = tokens == self.shape.separator
        is_second = (ends.cumsum(1) - ends.long() > 0) & is_text
        logits: Tensor = self.host(
            input_ids=tokens, attention_mask=is_text.long(), token_type_ids=is_second.long()
        ).logits
        return logits


class ImageClassifier(nn.Module):
    """A network of `transformers` that takes images and returns the logits of classes.

    Args:
        host: the network.
    """

    def __init__(self, host: nn.Module) -> None:
        super().__init__()
        self.host = host

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch classes"]:
        """Return logits for normalised images."""
        logits: Tensor = self.host(pixel_values=images).logits
        return logits


def build_gpt2(config: TransformerConfig, shape: TextShape) -> LanguageModel:
    """Return GPT-2 (Radford et al. 2019), its gelu in the one pass that torch has for it."""
    library = transformers()
    options = library.GPT2Config(
        activation_function="gelu_pytorch_tanh",
        vocab_size=shape.vocabulary,
        n_positions=shape.context,
        n_embd=config.number("width"),
        n_layer=config.number("n_layers"),
        n_head=config.number("n_heads"),
        n_inner=config.number("n_hidden"),
        resid_pdrop=config.dropout_there,
        embd_pdrop=config.dropout_there,
        attn_pdrop=config.dropout_there,
        **_NO_GENERATION,
    )
    return LanguageModel(library.GPT2LMHeadModel(options))


def build_llama(config: TransformerConfig, shape: TextShape) -> LanguageModel:
    """Return LLaMA (Touvron et al. 2023, arXiv:2302.13971); its only dropout is of attention."""
    library = transformers()
    options = library.LlamaConfig(
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.context,
        attention_dropout=config.dropout_there,
        **_widths(config),
        **_NO_GENERATION,
    )
    return LanguageModel(library.LlamaForCausalLM(options))


def build_bert(
    config: TransformerConfig, shape: TextShape | SentenceShape
) -> LanguageModel | SentenceClassifier:
    """Return BERT (Devlin et al. 2019, arXiv:1810.04805): for masked tokens, or for classes."""
    library = transformers()
    options = library.BertConfig(
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.context,
        hidden_dropout_prob=config.dropout_there,
        attention_probs_dropout_prob=config.dropout_there,
        **_widths(config),
        **_NO_GENERATION,
    )
    if isinstance(shape, SentenceShape):
        options.num_labels = shape.n_classes
        return SentenceClassifier(library.BertForSequenceClassification(options), shape)
    return LanguageModel(library.BertForMaskedLM(options))


def build_vit(config: TransformerConfig, shape: ImageShape) -> ImageClassifier:
    """Return a vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929)."""
    library = transformers()
    options = library.ViTConfig(
        image_size=shape.size,
        patch_size=config.number("patch"),
        num_channels=shape.n_channels,
        num_labels=shape.n_classes,
        hidden_dropout_prob=config.dropout_there,
        attention_probs_dropout_prob=config.dropout_there,
        **_widths(config),
    )
    return ImageClassifier(library.ViTForImageClassification(options))


# Nothing is generated: no cache, and no token that begins, ends or fills a text.
_NO_GENERATION: dict[str, Any] = {
    "use_cache": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def _widths(config: TransformerConfig) -> dict[str, int]:
    return {
        "hidden_size": config.number("width"),
        "num_hidden_layers": config.number("n_layers"),
        "num_attention_heads": config.number("n_heads"),
        "intermediate_size": config.number("n_hidden"),
    }
