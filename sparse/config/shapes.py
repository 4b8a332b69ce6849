"""What a model has to know of its data, and all that it knows of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextShape:
    """Windows of tokens.

    Attributes:
        vocabulary: different tokens, the one that masks others included where there is one.
        context: tokens of a window.
    """

    vocabulary: int
    context: int


@dataclass(frozen=True)
class SentenceShape:
    """Sentences or pairs of them, filled up to the same length, and their classes.

    Attributes:
        vocabulary: different tokens.
        context: tokens of a sample.
        n_classes: classes.
        padding: the token that fills up.
        separator: the token after each sentence.
    """

    vocabulary: int
    context: int
    n_classes: int
    padding: int
    separator: int


@dataclass(frozen=True)
class ImageShape:
    """Square images of intensities from 0 to 1, and their classes.

    Attributes:
        n_channels: colours.
        size: pixels along each side.
        n_classes: classes.
        mean: of the intensities of each channel, which the model subtracts.
        std: their standard deviation, which it divides by.
    """

    n_channels: int
    size: int
    n_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


Shape = TextShape | SentenceShape | ImageShape
