"""Tasks of GLUE: sentences or pairs of them, and their classes, kept in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32, Int64
from torch import Tensor
from torch.utils.data import Dataset

from monarch_core.extras import require
from monarch_core.runs.fingerprint import fingerprint_arrays
from sparse.config.dataset import TASKS, GlueConfig
from sparse.config.shapes import SentenceShape
from sparse.dataset.splits import Splits
from sparse.library import transformers

# Bytes that stand in no text: the filling, the begin of a sample, and the end of a sentence. One
# more token than there are bytes, as a model of masked bytes has.
PADDING, BEGIN, SEPARATOR = 0, 1, 2
VOCABULARY = 257
# From the sentences of one sample to its tokens, exactly `context` of them.
Encoder = Callable[[list[str]], list[int]]


class SentenceDataset(Dataset[tuple[tuple[Tensor], Tensor]]):
    """Pairs of tokens, filled up to one length, and a class.

    Args:
        tokens: of all samples.
        labels: classes, counted from 0.
    """

    def __init__(
        self, tokens: Int32[np.ndarray, "n context"], labels: Int64[np.ndarray, " n"]
    ) -> None:
        self.tokens = tokens
        self.labels = labels

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, i: int) -> tuple[tuple[Tensor], Tensor]:
        return (torch.from_numpy(self.tokens[i]).long(),), torch.tensor(self.labels[i])


def load_glue(config: GlueConfig) -> Splits:
    """Return a task of GLUE, whose validation split is the test split here.

    Raises:
        MissingExtraError: the package `datasets` is not installed.
        ValueError: the data cannot be read or are others, or the tokenizer is none.
    """
    require("glue", "datasets")
    columns, classes = TASKS[config.task]
    encode, shape = _tokenizer(config, len(classes))
    found = _read(config)
    names = ("train", "validation_matched" if config.task == "mnli" else "validation")
    learned, test = (_encoded(found, name, columns, shape, encode) for name in names)
    n = len(learned)
    if config.n_valid >= n:
        raise ValueError(
            f"dataset.n_valid={config.n_valid} of {n} samples would leave none to learn from; hold "
            "out fewer"
        )
    order = np.random.default_rng(config.split_seed).permutation(n)
    held, kept = np.sort(order[: config.n_valid]), np.sort(order[config.n_valid :])
    train, valid = (
        SentenceDataset(learned.tokens[which], learned.labels[which]) for which in (kept, held)
    )
    return Splits(
        train,
        valid,
        test,
        shape=shape,
        fingerprints={
            name: fingerprint_arrays([split.tokens, split.labels])
            for name, split in (("train", train), ("valid", valid), ("test", test))
        },
        identity={"benchmark": "GLUE", "task": config.task},
        classes=classes,
    )


def _read(config: GlueConfig) -> Any:
    """Return what `datasets` knows under a name: columns of each split."""
    import datasets

    try:
        return datasets.load_dataset(config.path, config.task)
    except (OSError, ValueError) as error:  # also what it raises without a network
        raise ValueError(
            f"datasets cannot load {config.path!r} with the task {config.task!r} ({error}); give a "
            "name on its hub or a folder as dataset.path"
        ) from error


def _encoded(
    found: Any, name: str, columns: tuple[str, ...], shape: SentenceShape, encode: Encoder
) -> SentenceDataset:
    """Return the samples of a split of GLUE."""
    try:
        split = found[name]
        texts = list(zip(*(split[key] for key in columns), strict=True))
        labels = list(split["label"])
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"the data have no split {name} with {', '.join(columns)} and label ({error}); "
            "dataset.path and dataset.task must be of one task of GLUE"
        ) from error
    tokens = np.array([encode(list(sentences)) for sentences in texts], dtype=np.int32)
    classes = np.array(labels, dtype=np.int64)
    if len(classes) == 0 or classes.min() < 0 or classes.max() >= shape.n_classes:
        raise ValueError(
            f"the labels of the split {name} must be from 0 to {shape.n_classes - 1}, got "
            f"{sorted(set(classes.tolist()))[:5]}; is it another task?"
        )
    return SentenceDataset(tokens, classes)


def _tokenizer(config: GlueConfig, n_classes: int) -> tuple[Encoder, SentenceShape]:
    """Return what makes tokens of sentences, and the shape of the samples."""
    if config.tokenizer is None:
        shape = SentenceShape(VOCABULARY, config.context, n_classes, PADDING, SEPARATOR)
        return lambda sentences: encode_bytes(sentences, config.context), shape
    path = Path(config.tokenizer)
    if not path.is_dir():
        raise ValueError(
            f"dataset.tokenizer={path} is no folder; give one with the files of a tokenizer of "
            "transformers, or leave it out for bytes"
        )
    try:
        known = transformers().AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} holds no tokenizer of transformers: {error}") from error
    if known.pad_token_id is None or known.sep_token_id is None:
        raise ValueError(
            f"the tokenizer of {path} has no token that fills up or none that separates; give that "
            "of a BERT"
        )
    shape = SentenceShape(
        len(known), config.context, n_classes, known.pad_token_id, known.sep_token_id
    )

    def encode(sentences: list[str]) -> list[int]:
        options = {"truncation": True, "padding": "max_length", "max_length": config.context}
        tokens: list[int] = known(*sentences, **options)["input_ids"]
        return tokens

    return encode, shape


def encode_bytes(sentences: list[str], context: int) -> list[int]:
    """Return BEGIN, then the UTF-8 bytes of each sentence and SEPARATOR, then PADDING.

    Too long a text is cut at its end, the longer one of a pair first. Control characters among the
    three are left out of it.

    Args:
        sentences: one or two.
        context: tokens of the result.
    """
    special = bytes((PADDING, BEGIN, SEPARATOR))
    first, *rest = (sentence.encode().translate(None, special) for sentence in sentences)
    n_free = context - 2 - len(rest)
    for second in rest:
        first = first[: max(n_free // 2, n_free - len(second))]
    tokens = [BEGIN, *first[:n_free], SEPARATOR]
    for second in rest:
        tokens += [*second[: n_free - len(first)], SEPARATOR]
    return tokens + [PADDING] * (context - len(tokens))
