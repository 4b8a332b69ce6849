"""Build the network of a run from its config and the shape of its data."""

import logging
from collections.abc import Callable
from typing import Any

from torch import nn

from monarch_core.adapters.dense_layers import ExchangedLayers
from monarch_core.layers.swap import densify
from sparse.config.model import ModelConfig
from sparse.config.run import SparseConfig
from sparse.config.shapes import ImageShape, Shape
from sparse.models import hosts, mixer
from sparse.models.normalized import Normalized
from sparse.models.start import load_start
from sparse.models.structured import swap_linear

log = logging.getLogger(__name__)

_BUILDERS: dict[str, Callable[[Any, Any], nn.Module]] = {
    "gpt2": hosts.build_gpt2,
    "llama": hosts.build_llama,
    "bert": hosts.build_bert,
    "vit": hosts.build_vit,
    "mixer": mixer.Mixer,
}
_BLOCKS = {**hosts.BLOCKS, "mixer": mixer.BLOCKS}


def build_model(config: SparseConfig, shape: Shape) -> nn.Module:
    """Return the network that a run starts to train, called as `model(inputs)`; it gives logits.

    Tokens are whole numbers (batch, context) and give (batch, context, vocabulary); images are
    intensities from 0 to 1, (batch, channels, size, size), and give (batch, classes). The dense
    network is drawn first, so that what is exchanged in no run is the same in all of a seed.

    Raises:
        ValueError: the sizes do not fit the data or the blocks, or the weights of `start_from` are
            damaged.
    """
    model = build_dense(config.model, shape)
    if config.start_from is not None:
        load_start(model, config, shape)
    done = _swap(model, config, config.weight.start or "")
    if config.start_from is not None and config.weight.start == "projection":
        log.info("relative residual of each layer:\n%s", done)
    return model


def build_trained(config: SparseConfig, shape: Shape) -> nn.Module:
    """Return the network that a finished run leaves, with weights to be loaded into it."""
    model = build_dense(config.model, shape)
    _swap(model, config, "random")
    return densify(model) if config.switch_at is not None else model


def build_dense(config: ModelConfig, shape: Shape) -> nn.Module:
    """Return the network of the host library, behind the normalisation of images.

    Raises:
        ValueError: the patches do not tile an image.
    """
    if isinstance(shape, ImageShape):
        patch = config.number("patch")
        if shape.size % patch:
            raise ValueError(
                f"model.patch must divide the {shape.size} pixels of an image, got {patch}; use "
                "another model.patch or dataset.size"
            )
        return Normalized(_BUILDERS[config.name](config, shape), shape)
    return _BUILDERS[config.name](config, shape)


def _swap(model: nn.Module, config: SparseConfig, start: str) -> ExchangedLayers:
    blocks = [f"*{pattern}" for pattern in _BLOCKS[config.model.name]]
    return swap_linear(model, config.weight, blocks, start=start)
