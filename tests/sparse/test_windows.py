"""Windows of text: what is predicted, what is masked, and that splits have nothing in common."""

import itertools

import numpy as np
import pytest
import torch
from sparse_runs import config_of, splits_of

from sparse.config.dataset import TextFilesConfig
from sparse.dataset.text import load_text_files, ranges
from sparse.dataset.windows import NOT_MASKED, WindowDataset

N, CONTEXT, MASK = 1013, 20, 256
SPLITS = ("train", "valid", "test")


def numbered(n=N, **options):
    """Windows of tokens that are their own places."""
    return WindowDataset(np.arange(n), CONTEXT, **options)


def items(windows, epoch):
    windows.set_epoch(epoch)
    return [torch.stack((windows[i][0][0], windows[i][1])) for i in range(len(windows))]


@pytest.mark.parametrize("options", [{}, {"n_windows": 7}, {"n_windows": 7, "draws": True}])
def test_the_target_is_the_next_token(options):
    windows = numbered(**options)
    assert len(windows) == options.get("n_windows", (N - 1) // CONTEXT)
    for i in range(len(windows)):
        (inputs,), target = windows[i]
        assert torch.equal(target, inputs + 1)
        assert len(inputs) == CONTEXT


def test_all_windows_are_all_tokens_once():
    windows = numbered(n=CONTEXT * 5 + 1)
    inputs = torch.cat([windows[i][0][0] for i in range(len(windows))])
    assert torch.equal(inputs, torch.arange(CONTEXT * 5))


def test_fewer_windows_are_spread_over_the_split():
    windows = numbered(n_windows=3)
    starts = [windows.start_of(i) for i in range(3)]
    assert starts == [0, 16 * CONTEXT, 33 * CONTEXT]


def test_drawn_windows_reach_both_ends():
    windows = WindowDataset(np.arange(CONTEXT + 3), CONTEXT, 100, draws=True)
    assert {windows.start_of(i) for i in range(100)} == {0, 1, 2}


@pytest.mark.parametrize("mask_token", [None, N])
def test_an_epoch_is_a_function_of_seed_and_number(mask_token):
    options = {"n_windows": 9, "draws": True, "mask_token": mask_token}
    one, again = (numbered(seed=3, **options) for _ in range(2))
    other = numbered(seed=4, **options)
    first = items(one, 0)
    assert all(map(torch.equal, first, items(again, 0)))
    assert not any(map(torch.equal, first, items(one, 1)))
    assert not any(map(torch.equal, first, items(other, 0)))
    assert all(map(torch.equal, first, items(one, 0)))


def test_masks_of_validation_are_fixed():
    windows = numbered(mask_token=N)
    assert all(map(torch.equal, items(windows, 0), items(windows, 5)))


def test_all_windows_get_other_masks_in_every_training_epoch():
    windows = numbered(mask_token=N, draws=True)
    assert not all(map(torch.equal, items(windows, 0), items(windows, 1)))


def test_only_masked_tokens_are_to_be_predicted():
    n = 40 * CONTEXT
    tokens = np.random.default_rng(0).integers(0, MASK, n)
    windows = WindowDataset(tokens, CONTEXT, mask_token=MASK)
    assert len(windows) == 40
    n_masked = n_exchanged = n_kept = 0
    for i in range(len(windows)):
        (inputs,), target = windows[i]
        truth = torch.from_numpy(tokens[i * CONTEXT : (i + 1) * CONTEXT])
        chosen = target != NOT_MASKED
        assert int(chosen.sum()) == 3  # 15 %
        assert torch.equal(target[chosen], truth[chosen])
        assert torch.equal(inputs[~chosen], truth[~chosen])
        is_mask = inputs[chosen] == MASK
        n_masked += int(is_mask.sum())
        n_kept += int((inputs == truth)[chosen].sum())
        n_exchanged += int((~is_mask & (inputs != truth)[chosen]).sum())
    assert n_masked / 120 == pytest.approx(0.8, abs=0.1)
    assert n_exchanged / 120 == pytest.approx(0.1, abs=0.08)
    assert n_kept / 120 == pytest.approx(0.1, abs=0.08)


@pytest.mark.parametrize("n", [100, 1013])
def test_parts_are_disjoint_with_a_gap_and_end_at_the_end(n):
    parts = ranges(n, (0.9, 0.05, 0.05), gap=2)
    assert parts[0].start == 0
    assert parts[-1].stop == n
    for one, following in itertools.pairwise(parts):
        assert following.start - one.stop == 2


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("files", [["whole"], ["train", "val"], ["train", "valid", "test"]])
def test_no_token_is_in_two_splits(tmp_path, files, masked):
    vocabulary = 3000
    for part, name in zip(np.split(np.arange(vocabulary), len(files)), files, strict=True):
        part.astype("<u2").tofile(tmp_path / f"{name}.bin")
    path = tmp_path / "whole.bin" if files == ["whole"] else tmp_path
    config = TextFilesConfig(path=str(path), vocabulary=vocabulary, context=8, n_train=500)
    splits = load_text_files(config, masked=masked, seed=0)
    mask = {NOT_MASKED, vocabulary} if masked else set()
    seen = []
    for name in SPLITS:
        windows = getattr(splits, name)
        found = set()
        for i in range(len(windows)):
            start = windows.start_of(i)
            found |= set(windows.tokens[start : start + windows.n_read].tolist())
            if not masked:
                assert set(windows[i][0][0].tolist()) <= found
        seen.append(found - mask)
    assert all(seen)
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert splits.shape.vocabulary == vocabulary + masked


def test_the_bible_is_text_in_three_parts():
    config = config_of("dataset.n_train=null")
    splits = splits_of(config)
    first, last = (bytes(windows.tokens.tolist()) for windows in (splits.train, splits.test))
    assert first.startswith(b"\nIn the beginning God created the heaven and the earth.")
    assert last.endswith(b"Amen.")
    n = sum(len(getattr(splits, name).tokens) for name in SPLITS)
    assert n == 4_185_992 - 2 * config.dataset.context
    assert splits.shape.vocabulary == 256
    assert len(set(splits.fingerprints.values())) == 3


def test_too_little_text_is_said():
    with pytest.raises(ValueError, match=r"a split of 20 tokens holds no window of .*context=20"):
        numbered(n=CONTEXT)
    assert len(numbered(n=CONTEXT, mask_token=5)) == 1
