"""Windows of a long sequence of tokens, for models that predict the next or a masked one."""

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor
from torch.utils.data import Dataset

from monarch_core.training.batches import mix_seed

NOT_MASKED = -100  # the target of a token that is not to be predicted
MASKED_SHARE = 0.15  # of the tokens of a window (Devlin et al. 2019, arXiv:1810.04805)
# Tells the random numbers of places from those of masks of the same seed.
_PLACE, _MASK = 1, 2


class WindowDataset(Dataset[tuple[tuple[Tensor], Tensor]]):
    """Pairs of tokens and targets, each of `context` whole numbers.

    Without a mask, token t of the target is the one after token t of the input. With one, 15 % of
    the tokens, at random places, are to be predicted: of these 80 % are masked, 10 % are exchanged
    for random ones and 10 % stay (Devlin et al. 2019); all other targets are `NOT_MASKED`. Every
    window has the same number of them, so that a mean over windows is one over tokens.

    Args:
        tokens: the whole split; it may lie in a file.
        context: tokens of a window.
        n_windows: how many; None: all that lie end to end.
        draws: windows lie at random places, others in every epoch, and masks are others as well.
            Otherwise the places are evenly spaced and the masks fixed.
        mask_token: what stands at masked places; None: the next token is predicted.
        seed: of places and masks; with epoch and index it determines both.

    Raises:
        ValueError: the split is shorter than one window.
    """

    def __init__(
        self,
        tokens: Integer[np.ndarray, " n"],
        context: int,
        n_windows: int | None = None,
        *,
        draws: bool = False,
        mask_token: int | None = None,
        seed: int = 0,
    ) -> None:
        self.tokens = tokens
        self.context = context
        self.n_read = context + (mask_token is None)  # one more where the next is predicted
        end_to_end = (len(tokens) - self.n_read) // context + 1
        if end_to_end < 1:
            raise ValueError(
                f"a split of {len(tokens)} tokens holds no window of dataset.context={context}; "
                "take a shorter context or more text"
            )
        self.draws = draws and n_windows is not None
        self.n_windows = (
            n_windows if self.draws and n_windows else min(end_to_end, n_windows or end_to_end)
        )
        self.n_end_to_end = end_to_end
        self.mask_token = mask_token
        self.renews_masks = draws
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the places and masks of an epoch, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_windows

    def start_of(self, i: int) -> int:
        """Return where window i begins."""
        if self.draws:
            n_places = len(self.tokens) - self.n_read + 1
            return mix_seed(self.seed, self.epoch, i, _PLACE) % n_places
        return i * self.n_end_to_end // self.n_windows * self.context

    def __getitem__(self, i: int) -> tuple[tuple[Tensor], Tensor]:
        start = self.start_of(i)
        window = torch.from_numpy(
            np.asarray(self.tokens[start : start + self.n_read], dtype=np.int64)
        )
        if self.mask_token is None:
            return (window[:-1],), window[1:]
        epoch = self.epoch if self.renews_masks else 0
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch, i, _MASK))
        inputs, target = mask(window, self.mask_token, generator)
        return (inputs,), target


def mask(
    window: Int[Tensor, " context"], mask_token: int, generator: torch.Generator
) -> tuple[Int[Tensor, " context"], Int[Tensor, " context"]]:
    """Return a window with some of its tokens masked, and what was there.

    Args:
        window: tokens below `mask_token`.
        mask_token: stands for those that are masked; random ones are drawn below it.
        generator: of all that is random.
    """
    n = max(1, round(MASKED_SHARE * len(window)))
    places = torch.randperm(len(window), generator=generator)[:n]
    inputs, target = window.clone(), torch.full_like(window, NOT_MASKED)
    target[places] = window[places]
    which = torch.rand(n, generator=generator)
    inputs[places[which < 0.8]] = mask_token
    exchanged = places[which >= 0.9]
    inputs[exchanged] = torch.randint(mask_token, (len(exchanged),), generator=generator)
    return inputs, target
