"""The data of a run, whichever they are."""

from sparse.config.dataset import (
    DatasetConfig,
    GlueConfig,
    ImageFolderConfig,
    MnistConfig,
    TextConfig,
    TextFilesConfig,
)
from sparse.dataset.glue import load_glue
from sparse.dataset.image_folder import load_image_folder
from sparse.dataset.images import load_mnist
from sparse.dataset.splits import Splits
from sparse.dataset.text import load_text, load_text_files


def load_splits(config: DatasetConfig, *, masked: bool = False, seed: int = 0) -> Splits:
    """Return the three splits.

    Args:
        config: which data.
        masked: text: tokens are masked and to be found again, otherwise the next is predicted.
        seed: of what is random in training samples.

    Raises:
        MissingExtraError: the package that holds the data is not installed.
        ValueError: files are missing, damaged, of another format or too short.
    """
    match config:
        case TextConfig():
            return load_text(config, masked=masked, seed=seed)
        case TextFilesConfig():
            return load_text_files(config, masked=masked, seed=seed)
        case MnistConfig():
            return load_mnist(config)
        case ImageFolderConfig():
            return load_image_folder(config, seed=seed)
        case GlueConfig():
            return load_glue(config)
        case _:
            raise AssertionError(config)
