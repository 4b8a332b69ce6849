"""Images of your own, in folders by class as those of ImageNet, read when they are needed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from monarch_core.extras import require
from monarch_core.training.batches import mix_seed
from sparse.config.dataset import ImageFolderConfig
from sparse.config.shapes import ImageShape
from sparse.dataset.splits import Splits

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp"}
# Statistics of ImageNet, by which published networks normalise.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WHITE_16 = 2**16 - 1  # of 16 bits
_LARGER = 256 / 224  # the shorter side, before the centre is cut out
_AREA, _ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)  # of the part that is trained on


@dataclass(frozen=True)
class Labelled:
    """A file and its class."""

    path: Path
    label: int


class ImageFolderDataset(Dataset[tuple[tuple[Tensor], Tensor]]):
    """Pairs of an image, intensities from 0 to 1 as (3, size, size), and its class.

    Training images are a random part, mirrored or not (Szegedy et al. 2015, arXiv:1409.4842),
    others in every epoch; the others are scaled and their centre is cut out.

    Args:
        items: files and their classes.
        size: pixels along each side.
        augment: take random parts.
        seed: of these; with epoch and index it determines them.
    """

    def __init__(
        self, items: list[Labelled], size: int, *, augment: bool = False, seed: int = 0
    ) -> None:
        self.items = items
        self.size = size
        self.augment = augment
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the parts of an epoch, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> tuple[tuple[Tensor], Tensor]:
        item = self.items[i]
        rng = np.random.default_rng(mix_seed(self.seed, self.epoch, i)) if self.augment else None
        return (read_image(item.path, self.size, rng),), torch.tensor(item.label)


def read_image(
    path: Path, size: int, rng: np.random.Generator | None
) -> Float[Tensor, "3 size size"]:
    """Return a square image; a random part of it, maybe mirrored, where there is a generator.

    Raises:
        ValueError: the file is no image, or far too large, or its intensities have no known range.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = (_eight_bits(path, file) if file.mode[0] in "IF" else file).convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); repair it, make it smaller or remove it"
        ) from error
    width, height = image.size
    box = _centre(width, height, size) if rng is None else _random_part(width, height, rng)
    image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    values = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)
    return values.flip(-1) if rng is not None and rng.random() < 0.5 else values


def _eight_bits(path: Path, file: "Image") -> "Image":
    """Return grey values of 16 bits as 8 bits; `convert` would make all above 255 white."""
    from PIL import Image

    values = np.asarray(file)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > _WHITE_16:
        raise ValueError(
            f"{path} has {values.dtype} intensities from {values.min()} to {values.max()}, of "
            "which nothing says what is white; save it with 8 or 16 bits"
        )
    return Image.fromarray((values * (255 / _WHITE_16)).round().astype(np.uint8))


def _centre(width: int, height: int, size: int) -> tuple[float, float, float, float]:
    side = min(width, height) * size / round(size * _LARGER)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _random_part(
    width: int, height: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return a part of random area and aspect; the largest centred square if none fits."""
    for _ in range(10):
        area = width * height * rng.uniform(*_AREA)
        aspect = np.exp(rng.uniform(*np.log(_ASPECT)))
        w, h = float(np.sqrt(area * aspect)), float(np.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def load_image_folder(config: ImageFolderConfig, *, seed: int) -> Splits:
    """Return the splits of a folder; arguments and errors as `load_splits`."""
    require("sparse", "PIL")
    root = Path(config.path)
    classes = _classes(root, "train")
    train = _items(root, "train", classes)
    present = {item.label for item in train}
    empty = [name for i, name in enumerate(classes) if i not in present]
    if empty:
        raise ValueError(
            f"{root / 'train' / empty[0]} has no images ({', '.join(sorted(SUFFIXES))}): nothing "
            "would be learned of that class; convert its files, or remove the folder everywhere"
        )
    _classes(root, "val", classes)
    other = _items(root, "val", classes)
    if (root / "test").is_dir():
        _classes(root, "test", classes)
        valid, test = other, _items(root, "test", classes)
    else:
        (train, valid), test = _hold_out(train, config), other
    size = config.size
    return Splits(
        train=ImageFolderDataset(train, size, augment=True, seed=seed),
        valid=ImageFolderDataset(valid, size),
        test=ImageFolderDataset(test, size),
        shape=ImageShape(3, size, len(classes), MEAN, STD),
        fingerprints={
            name: _mark(items, root)
            for name, items in (("train", train), ("valid", valid), ("test", test))
        },
        identity=None,
        classes=classes,
    )


def _classes(root: Path, part: str, known: list[str] | None = None) -> list[str]:
    """Return the names of the classes of a part; refuse those that training lacks."""
    found = sorted(path.name for path in (root / part).glob("[!.]*") if path.is_dir())
    if len(found) < 2:
        raise ValueError(
            f"{root / part} must have a folder of images for each of at least two classes, as in "
            f"{part}/CLASS/image.jpg, got {len(found)}; "
            + (
                "move a test folder without classes (as that of ImageNet) elsewhere"
                if part == "test"
                else "give the folder above as dataset.path"
            )
        )
    unknown = sorted(set(found) - set(known or found))
    if unknown:
        raise ValueError(
            f"{root / part} has classes that training lacks: {', '.join(unknown[:3])}; every class "
            "needs a folder in train"
        )
    return found


def _items(root: Path, part: str, classes: list[str]) -> list[Labelled]:
    """Return the images of a part, of which there are some."""
    items = [
        Labelled(path, label)
        for label, name in enumerate(classes)
        for path in sorted((root / part / name).glob("[!.]*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not items:
        raise ValueError(
            f"{root / part} has no images ({', '.join(sorted(SUFFIXES))}) in the folders of its "
            "classes; put some there"
        )
    return items


def _hold_out(
    items: list[Labelled], config: ImageFolderConfig
) -> tuple[list[Labelled], list[Labelled]]:
    """Take some images of each class out of those of training."""
    rng = np.random.default_rng(config.split_seed)
    kept, held = [], []
    for label in sorted({item.label for item in items}):
        own = [item for item in items if item.label == label]
        if len(own) <= config.n_valid_per_class:
            raise ValueError(
                f"{own[0].path.parent} has {len(own)} images, of which dataset.n_valid_per_class="
                f"{config.n_valid_per_class} are for validation; take fewer"
            )
        order = rng.permutation(len(own))
        held += [own[i] for i in sorted(order[: config.n_valid_per_class])]
        kept += [own[i] for i in sorted(order[config.n_valid_per_class :])]
    return kept, held


def _mark(items: list[Labelled], root: Path) -> str:
    """Return the identity of files by their names below the folder, and their sizes."""
    digest = hashlib.blake2b(digest_size=8)
    for item in items:
        name = item.path.relative_to(root).as_posix()
        digest.update(f"{name} {item.path.stat().st_size} {item.label};".encode())
    return digest.hexdigest()
