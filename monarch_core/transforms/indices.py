"""Index tensors of transforms: they follow from the options, so that nothing can lose them."""

from abc import ABC
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from monarch_core.transforms.base import LinearTransform


class IndexedTransform(LinearTransform, ABC):
    """A transform with index tensors that are neither learned nor stored.

    They are buffers, on the device of the parameters, but never on the meta device: an index
    without numbers picks anything, without an error. `Module.to_empty` leaves nothing in a buffer,
    and no state dict holds these: they are written anew from a copy of their numbers whenever the
    module moves.
    """

    def __init__(self, n_in: int, n_out: int, heads: int = 1) -> None:
        super().__init__(n_in, n_out, heads)
        self._numbers: dict[str, list[Any]] = {}

    def set_index(self, name: str, index: Tensor | None) -> None:
        """Add an index tensor on the default device, from one on the CPU, or None in its place."""
        if index is not None:
            self._numbers[name] = index.tolist()
            index = self._tensor(name, torch.get_default_device())
        self.register_buffer(name, index, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "IndexedTransform":
        super()._apply(fn, recurse)
        for name in self._numbers:
            setattr(self, name, self._tensor(name, self.get_buffer(name).device))
        return self

    def _tensor(self, name: str, device: torch.device) -> Tensor:
        place = "cpu" if device.type == "meta" else device
        return torch.tensor(self._numbers[name], device=place)
