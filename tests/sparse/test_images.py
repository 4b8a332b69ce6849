"""Images: splits of classes, folders, and what a model gets."""

import numpy as np
import pytest
import torch
from PIL import Image
from sparse_runs import IMAGES, config_of, splits_of

from sparse.config.dataset import ImageFolderConfig
from sparse.dataset.image_folder import read_image
from sparse.dataset.images import stratified
from sparse.dataset.load import load_splits


def test_mnist_is_split_alike_in_every_class_and_by_the_seed_alone():
    splits = splits_of(config_of(*IMAGES))
    assert splits.sizes == {"train": 3500, "valid": 500, "test": 1000}
    for name, n in (("train", 350), ("valid", 50), ("test", 100)):
        assert np.bincount(getattr(splits, name).labels).tolist() == [n] * 10
    (image,), label = splits.train[1000]
    assert image.shape == (1, 28, 28)
    assert 0 == image.min() < image.max() <= 1
    assert label.dtype == torch.int64
    again = splits_of(config_of(*IMAGES, "seed=7"))
    assert again.fingerprints == splits.fingerprints
    other = splits_of(config_of(*IMAGES, "dataset.split_seed=1"))
    assert other.fingerprints["test"] != splits.fingerprints["test"]


def test_parts_are_disjoint_and_all():
    labels = np.repeat([0, 1, 2], [7, 30, 13])
    parts = stratified(labels, (0.5, 0.2, 0.3), seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(50))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [
        [4, 15, 6],
        [1, 6, 3],
        [2, 9, 4],
    ]


def draw(folder, colour, n=4, size=(12, 10)):
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new("RGB", size, (colour, 10 * i, 0)).save(folder / f"{i}.png")


@pytest.fixture
def root(tmp_path):
    for part in ("train", "val"):
        for number, name in enumerate(("cat", "dog")):
            draw(tmp_path / part / name, colour=100 * (number + 1))
    return tmp_path


def load(root, **options):
    return load_splits(ImageFolderConfig(path=str(root), size=8, n_valid_per_class=1, **options))


def test_validation_images_are_held_out_of_training(root):
    splits = load(root)
    paths = {name: {x.path for x in getattr(splits, name).items} for name in splits.sizes}
    assert splits.sizes == {"train": 6, "valid": 2, "test": 8}
    assert not paths["train"] & paths["valid"]
    assert all("val" in path.parts for path in paths["test"])
    assert splits.classes == ["cat", "dog"]
    draw(root / "test" / "cat", 100)
    draw(root / "test" / "dog", 200)
    assert load(root).sizes == {"train": 8, "valid": 8, "test": 8}


def test_images_have_their_class_and_colour(root):
    splits = load(root)
    for i in range(len(splits.test)):
        (image,), label = splits.test[i]
        assert image.shape == (3, 8, 8)
        torch.testing.assert_close(
            image[0], torch.full((8, 8), 100 * (int(label) + 1) / 255), rtol=0, atol=1e-6
        )


def test_parts_of_training_images_follow_from_seed_epoch_and_index(root, tmp_path):
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12)).save(
        root / "train" / "cat" / "0.png"
    )
    one, again = load(root).train, load(root).train
    first = one[0][0][0]
    torch.testing.assert_close(again[0][0][0], first, rtol=0, atol=0)
    one.set_epoch(1)
    assert not torch.equal(one[0][0][0], first)


def test_the_centre_is_cut_out(tmp_path):
    values = np.zeros((40, 80), dtype=np.uint8)
    values[:, 15:65] = 200  # the central square, and what its edge is interpolated from
    Image.fromarray(values).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", 14, None)
    torch.testing.assert_close(image, torch.full((3, 14, 14), 200 / 255))


def test_folders_of_another_layout_are_said(root, tmp_path):
    with pytest.raises(ValueError, match=r"a folder of images for each of at least two classes"):
        load(root / "train")
    (root / "train" / "cat" / "1.png").write_text("none")
    with pytest.raises(ValueError, match=r"1\.png cannot be read"):
        [load(root).train[i] for i in range(6)]
    draw(root / "val" / "bird", 5)
    with pytest.raises(ValueError, match="classes that training lacks: bird"):
        load(root)


def test_grey_values_of_16_bits_are_not_all_white(tmp_path):
    values = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray((values / 257).round().astype(np.uint8)).save(tmp_path / "b.png")
    grey, expected = (read_image(tmp_path / name, 8, None) for name in ("a.png", "b.png"))
    torch.testing.assert_close(grey, expected, rtol=0, atol=1 / 255)
    assert grey.std() > 0.2


def test_hidden_files_and_folders_are_no_images(root):
    before = load(root).fingerprints
    (root / "train" / ".cache").mkdir()
    (root / "train" / "cat" / "._0.png").write_bytes(b"none")
    splits = load(root)
    assert splits.fingerprints == before
    assert ".cache" not in splits.classes


def test_an_image_too_large_for_pillow_is_named(tmp_path, monkeypatch):
    Image.fromarray(np.ones((9, 9), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(ValueError, match=r"a\.png cannot be read \(Image size \(81 .* smaller or"):
        read_image(tmp_path / "a.png", 8, None)


def test_intensities_without_a_white_are_refused(tmp_path):
    Image.fromarray(np.ones((9, 9), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"float32 intensities from .*, of which nothing"):
        read_image(tmp_path / "a.tif", 8, None)


def test_a_class_or_a_split_without_images_is_refused(root):
    (root / "train" / "eel").mkdir()
    (root / "train" / "eel" / "0.tif").touch()
    with pytest.raises(ValueError, match=r"train/eel has no images .*\.png"):
        load(root)
    (root / "train" / "eel" / "0.tif").unlink()
    (root / "train" / "eel").rmdir()
    (root / "test").mkdir()
    with pytest.raises(ValueError, match="move a test folder without classes"):
        load(root)
    for name in ("cat", "dog"):
        (root / "test" / name).mkdir()
    with pytest.raises(ValueError, match="test has no images"):
        load(root)
