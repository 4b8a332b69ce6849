"""Files are complete or absent, open without running code, and fail with a remedy."""

import errno
import os
import pickle
import resource
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from monarch_core.runs.files import atomic_write, remove_leftovers
from monarch_core.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)


class WithExtras(nn.Linear):
    """Puts a function in its state dict, as neuralop's models do."""

    def state_dict(self, *args, **kwargs):
        return {**super().state_dict(*args, **kwargs), "_metadata": {"act": nn.functional.gelu}}


@contextmanager
def largest_file(n_bytes):
    """Let the kernel refuse longer files, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_atomic_write_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    for content in (b"old and long", b"new"):
        atomic_write(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()], ids=repr)
def test_atomic_write_keeps_the_old_file_when_the_writer_fails(tmp_path, error):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def write_half(file):
        file.write(b"ne")
        raise error

    with pytest.raises(type(error)):
        atomic_write(path, write_half)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_does_not_fit_leaves_the_old_one_and_says_so(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"x": torch.arange(7)})
    with largest_file(2000), pytest.raises(OSError, match="is kept; free some space") as caught:
        save_checkpoint(path, {"x": torch.zeros(1000)})
    assert "MB are free there" in str(caught.value)
    assert str(path) in str(caught.value)
    assert load_checkpoint(path)["x"].tolist() == list(range(7))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"x": 1})

    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = os if call == "fsync" else Path
    monkeypatch.setattr(target, call, no_space)
    with pytest.raises(OSError, match=r"No space left on device; .* MB are free"):
        save_checkpoint(path, {"x": 2})
    assert load_checkpoint(path)["x"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path):
    others = [".mine.tmp", ".notes.v2.tmp", "checkpoint.pt", "mine.tmp"]
    for name in (".checkpoint.pt.123.tmp", *others):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == others


def test_weights_round_trip_without_the_extras_of_the_state_dict(tmp_path):
    saved, loaded = WithExtras(5, 3), WithExtras(5, 3)
    save_weights(tmp_path / "weights.pt", saved)
    load_weights(tmp_path / "weights.pt", loaded)
    assert torch.equal(saved.weight, loaded.weight)
    plain = nn.Linear(5, 3)
    plain.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(saved.bias, plain.bias)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (nn.Linear(5, 4), r"of another shape: bias is \(3,\) in the file and \(4,\) in the model"),
        (nn.Linear(5, 3, bias=False), "unknown to the model: bias"),
        (nn.Linear(5, 3, dtype=torch.complex64), r"bias is \(3,\) in the file and complex \(3,\)"),
        (nn.Sequential(*[nn.Linear(5, 3)] * 4), "missing in the file: 0.bias, .* and 5 more"),
    ],
    ids=["shape", "unknown", "complex", "missing"],
)
def test_weights_of_another_model_are_refused_and_change_nothing(tmp_path, other, message):
    save_weights(tmp_path / "weights.pt", nn.Linear(5, 3))
    before = [p.clone() for p in other.parameters()]
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(tmp_path / "weights.pt", other)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(tmp_path, kept):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"x": torch.zeros(101)})
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged .* restore it from a copy"):
        load_checkpoint(path)


def test_a_damaged_tensor_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"x": torch.full((101,), 3.0)})
    content = path.read_bytes()
    three = torch.tensor([3.0]).numpy().tobytes()
    path.write_bytes(content.replace(three * 2, b"\x01" * 8, 1))
    with pytest.raises(ValueError, match="is damaged"):
        load_checkpoint(path)


class RunsCode:
    def __reduce__(self):
        return (os.putenv, ("MALICIOUS", "1"))


@pytest.mark.parametrize("name", ["weights.pt", "checkpoint.pt", "aborted.pt"])
@pytest.mark.parametrize(
    "content", [RunsCode(), {"format": 2, "x": [RunsCode()]}], ids=["", "deep"]
)
def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch, name, content):
    path = tmp_path / name
    torch.save(content, path)
    kept, called = path.read_bytes(), []
    monkeypatch.setattr(os, "putenv", lambda *words: called.append(words))
    for read in (load_checkpoint, lambda path: load_weights(path, nn.Linear(5, 3))):
        with pytest.raises(ValueError, match=rf"{name} is damaged .*UnpicklingError") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == kept
    assert not called


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="BadZipFile"):
        load_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="holds a list where a dict was expected"):
        load_checkpoint(path)


def test_an_archive_that_inflates_is_refused_before_its_memory_is_taken(tmp_path):
    path, bomb = tmp_path / "whole.pt", tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(2**26)}, path)  # 256 MB
    deflated = zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive, deflated as out:
        for item in archive.infolist():
            out.writestr(item.filename, archive.read(item))
    assert bomb.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="OversizedError while reading it: its members claim"):
            load_weights(bomb, nn.Linear(5, 3))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22


def test_a_pickle_that_asks_for_memory_is_refused(tmp_path):
    class Claim:
        def __reduce__(self):
            return (bytearray, (2**50,))

    torch.save({"x": Claim()}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"MemoryError while reading it\); restore it from a copy"):
        load_weights(tmp_path / "weights.pt", nn.Linear(5, 3))


def test_nan_is_refused_everywhere_and_infinity_only_among_the_parameters(tmp_path):
    path = tmp_path / "weights.pt"
    model = nn.BatchNorm1d(3)  # with parameters and buffers
    for name, value, is_sound in [
        ("weight", float("nan"), False),
        ("weight", float("inf"), False),
        ("running_var", float("nan"), False),
        ("running_var", float("inf"), True),
    ]:
        state = nn.BatchNorm1d(3).state_dict()
        state[name][1] = value
        torch.save(state, path)
        if is_sound:
            load_weights(path, model)
            continue
        with pytest.raises(
            ValueError, match=rf"weights\.pt holds NaN or infinite weights .{name}.,"
        ):
            load_weights(path, model)
        assert torch.equal(model.weight, torch.ones(3))


def test_missing_files_and_other_formats_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.pt does not exist; check the path, or train"):
        load_checkpoint(tmp_path / "none.pt")
    torch.save({"format": 99}, tmp_path / "new.pt")
    with pytest.raises(ValueError, match="has checkpoint format 99, this version reads 2"):
        load_checkpoint(tmp_path / "new.pt")
