"""Text of one's own: layouts, and what is said of those that are none."""

import numpy as np
import pytest

from sparse.config.dataset import TextFilesConfig
from sparse.dataset.load import load_splits


def load(path, **options):
    return load_splits(TextFilesConfig(path=str(path), context=4, n_train=None, **options))


def test_a_folder_of_texts_is_one_text_in_the_order_of_names(tmp_path):
    (tmp_path / "b.txt").write_text("second " * 50)
    (tmp_path / "a.txt").write_text("first é " * 50)
    (tmp_path / "._a.txt").write_bytes(b"\0\5\x16\7" * 50)
    splits = load(tmp_path)
    assert bytes(splits.train.tokens.tolist()).decode().startswith("first é first")
    assert bytes(splits.test.tokens.tolist()).endswith(b"second ")
    assert splits.shape.vocabulary == 256
    assert splits.bytes_per_token == 1
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / "c.txt"
    whole.write_bytes((tmp_path / "a.txt").read_bytes() + b"\n" + (tmp_path / "b.txt").read_bytes())
    assert np.array_equal(load(whole).train.tokens, splits.train.tokens)


def test_tokenised_files_stay_on_disk_and_are_known_by_their_content(tmp_path):
    tokens = np.arange(1000, dtype=np.uint16) % 77
    tokens.tofile(tmp_path / "one.bin")
    np.save(tmp_path / "two.npy", tokens.astype(np.int32))
    one, two = (load(tmp_path / name, vocabulary=77) for name in ("one.bin", "two.npy"))
    assert isinstance(one.train.tokens, np.memmap)
    assert isinstance(two.train.tokens, np.memmap)
    for i in range(len(one.valid)):
        assert (one.valid[i][1] == two.valid[i][1]).all()
    assert one.bytes_per_token is None
    (tmp_path / "moved.bin").write_bytes((tmp_path / "one.bin").read_bytes())
    assert load(tmp_path / "moved.bin", vocabulary=77).fingerprints == one.fingerprints
    (tokens[::-1]).tofile(tmp_path / "other.bin")
    assert load(tmp_path / "other.bin", vocabulary=77).fingerprints != one.fingerprints


@pytest.mark.parametrize(
    ("files", "given", "message"),
    [
        ({}, "", r"is no file and no folder with \.txt, \.bin, \.npy files"),
        ({"a.bin": 2}, "", r"a\.bin: tokenised files need to be called train and val"),
        ({"train.bin": 2, "val.txt": 2}, "", "plain and tokenised files"),
        ({"train.bin": 2, "val.bin": 2, "valid.bin": 2}, "", "for one split"),
        ({"a.npy": 2}, "a.npy", r"a\.npy cannot be read"),
        ({"a.csv": 2}, "a.csv", r"must be \.txt, \.bin or \.npy; rename it, as to a\.txt"),
        ({"train.txt": 2, "test.txt": 2}, "", r"has train\.txt, but a folder of splits"),
        ({"a.txt": 2, "b.test.txt": 2}, "", r"has b\.test\.txt, but a folder of splits"),
        ({"a.bin": 2}, "a.bin", r"lie between 0 and 299, but dataset\.vocabulary=256"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, files, given, message):
    for name in files:
        np.arange(300, dtype="<u2").tofile(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / given, vocabulary=256)


def test_the_splits_of_a_corpus_are_known_by_the_last_word_of_their_names(tmp_path):
    """In the order of their names they would be one text, trained on what is for the test."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"ptb.{split}.TXT").write_text(f"{split} " * 50)
    (tmp_path / "licence.txt").mkdir()
    splits = load(tmp_path)
    for split in ("train", "valid", "test"):
        text = bytes(getattr(splits, split).tokens.tolist()).decode()
        assert set(text.split()) == {split}


def test_an_array_without_tokens_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match=r"whole numbers on one axis, got int64 of shape \(0,\)"):
        load(tmp_path / "a.npy")


def test_tokens_of_32_bits_are_not_read_as_16(tmp_path):
    tokens = np.arange(1, 400) % 77
    tokens.astype("<u4").tofile(tmp_path / "a.bin")
    with pytest.raises(ValueError, match=r"first are \[1, 0, 2, 0\]: were they written with 32"):
        load(tmp_path / "a.bin", vocabulary=77)
    tokens.astype("<u2").tofile(tmp_path / "b.bin")
    with pytest.raises(ValueError, match=r"16 bits, but dataset\.vocabulary=128000"):
        load(tmp_path / "b.bin", vocabulary=128000)
    np.save(tmp_path / "a.npy", np.fromfile(tmp_path / "a.bin", np.uint32))
    load(tmp_path / "a.npy", vocabulary=128000)
    np.save(tmp_path / "b.npy", tokens.astype(np.uint16))
    load(tmp_path / "b.npy", vocabulary=128000)
