"""What a network needs at the least, known before data are made."""

import math

from pde.config.model import FourierConfig
from pde.config.run import PdeConfig

FLOAT32 = 4  # bytes
COPIES = 4  # of each weight: itself, its gradient and two moments of the optimiser


def least_memory(config: PdeConfig) -> dict[str, float]:
    """Return bytes that each part of a run needs at the least, by a name with its numbers.

    The spectral weights (of the convolutional networks, one 3 x 3 convolution) and one field per
    channel of one batch are counted.
    """
    data, model = config.dataset, config.model
    points = math.prod(data.points)
    per_pair = 3.0**data.n_axes
    width = sizes = f"hidden_channels={model.hidden_channels}"
    if isinstance(model, FourierConfig):
        per_pair = math.prod(
            (float(min(2 * model.n_modes, n)) for n in data.points), start=model.n_layers
        )
        sizes += f", n_layers={model.n_layers}, n_modes={model.n_modes}"
    batch = min(config.fit.batch_size, data.split_sizes["train"])
    return {
        f"the weights of the model (model.{sizes})": FLOAT32
        * COPIES
        * per_pair
        * model.hidden_channels**2,
        f"the fields of one batch (fit.batch_size={batch}, model.{width}; {points} points)": float(
            FLOAT32 * math.prod((batch, model.hidden_channels, points))
        ),
    }
