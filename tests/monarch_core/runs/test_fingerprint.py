import numpy as np
import torch

from monarch_core.runs.fingerprint import fingerprint_arrays, fingerprint_files


def test_equal_arrays_have_one_fingerprint_whatever_their_strides():
    x = torch.arange(35.0).reshape(5, 7)
    assert fingerprint_arrays([x]) == fingerprint_arrays([x.mT.contiguous().mT.numpy()])


def test_values_shape_dtype_and_order_count():
    x = np.arange(35.0)
    changed = x.copy()
    changed[17] = np.nextafter(changed[17], 99)
    others = [[changed], [x.reshape(5, 7)], [x.astype(np.float32)], [x, x], [x[::-1]], []]
    prints = {fingerprint_arrays(arrays) for arrays in [[x], *others]}
    assert len(prints) == 7


def test_a_file_counts_by_its_content(tmp_path):
    first, copy = tmp_path / "a.bin", tmp_path / "elsewhere.bin"
    first.write_bytes(b"fields")
    copy.write_bytes(b"fields")
    assert fingerprint_files([first]) == fingerprint_files([copy])
    copy.write_bytes(b"Fields")
    assert fingerprint_files([first]) != fingerprint_files([copy])


def test_a_large_file_with_other_values_of_the_same_size_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("monarch_core.runs.fingerprint._WHOLE", 1000)
    monkeypatch.setattr("monarch_core.runs.fingerprint._BLOCK", 64)
    generator = np.random.default_rng(0)
    path = tmp_path / "large.bin"
    prints = set()
    for _ in range(2):
        path.write_bytes(generator.bytes(20_011))
        prints.add(fingerprint_files([path]))
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    prints.add(fingerprint_files([path]))
    assert len(prints) == 3
