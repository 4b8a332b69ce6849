"""Training, validation and test samples of a run, and what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from sparse.config.shapes import Shape

Sample = tuple[tuple[Tensor], Tensor]


class Samples(Protocol):
    """Pairs of inputs and target."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Sample: ...


@dataclass(frozen=True)
class Splits:
    """Disjoint sets of samples.

    Attributes:
        train: to learn from; its `set_epoch`, if there is one, chooses what an epoch holds.
        valid: to choose by.
        test: to report on.
        shape: what a model has to know of them.
        fingerprints: the identity of each split by its content, wherever it lies.
        identity: the package that the data are from; None for your own.
        bytes_per_token: mean length of a token of text; None where it is not known.
        classes: names of the classes of images or sentences.
    """

    train: Any
    valid: Any
    test: Any
    shape: Shape
    fingerprints: Mapping[str, str]
    identity: Mapping[str, Any] | None
    bytes_per_token: float | None = None
    classes: Sequence[str] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Samples in each split."""
        return {name: len(getattr(self, name)) for name in ("train", "valid", "test")}
