"""How much to hold at once where work can be done piece by piece."""

import torch

_CPU, _GPU = 2**20, 2**28


def chunk_bytes(device: torch.device) -> int:
    """Return how many bytes of values in between one piece of work had best have on a device.

    Within a CPU's second-level cache, so that they are still there when they are used, and never
    new memory; on a GPU, enough for full occupation.
    """
    return _CPU if device.type == "cpu" else _GPU
