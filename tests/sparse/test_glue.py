"""Sentences of GLUE: what is read, how it becomes tokens, and what BERT sees of them."""

import sys

import numpy as np
import pytest
import torch
from sparse_runs import config_of, model_of, smoke, splits_of, train
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from monarch_core.extras import MissingExtraError
from monarch_core.training.checkpoint import load_weights
from sparse.config import dataset
from sparse.dataset.glue import BEGIN, PADDING, SEPARATOR, encode_bytes
from sparse.evaluate import evaluate
from sparse.library import transformers
from sparse.metrics.binary import f1_score, matthews_correlation
from sparse.models.start import check_start

GLUE = (
    *("dataset=glue", "dataset.context=16", "dataset.n_valid=4"),
    *("model=bert", "model.size=smoke", "fit.epochs=1", "fit.batch_size=4"),
)
STAND_IN = """
def load_dataset(path, task):
    if task != "TASK":
        raise ValueError(f"BuilderConfig {task} not found")
    def split(n):
        words = ["good", "bad", "so good", "very bad"]
        return {**{key: [f"{words[i % 4]} {i}" for i in range(n)] for key in COLUMNS},
                "label": [1 - i % 2 for i in range(n)]}
    return {"train": split(12), "validation": split(6), "test": split(3)}
"""


def install(monkeypatch, folder, task="sst2", columns=("sentence",)):
    """Put a package `datasets` there that knows one task."""
    text = STAND_IN.replace("TASK", task).replace("COLUMNS", repr(list(columns)))
    (folder / "datasets.py").write_text(text)
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    monkeypatch.syspath_prepend(folder)


def glue(*overrides, task="sst2"):
    return config_of(*GLUE, "fit.accelerator=cpu", f"dataset.task={task}", *overrides)


def test_the_validation_split_of_glue_is_the_test_split(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    assert glue().dataset.name == "glue_sst2"
    splits = splits_of(glue())
    assert splits.sizes == {"train": 8, "valid": 4, "test": 6}
    texts = [bytes(tokens.tolist()).strip(b"\0") for tokens in splits.test.tokens]
    assert texts[:2] == [b"\x01good 0\x02", b"\x01bad 1\x02"]
    assert splits.test.labels.tolist() == [1, 0] * 3
    learned = {tuple(x) for part in (splits.train, splits.valid) for x in part.tokens.tolist()}
    assert len(learned) == 12
    assert splits_of(glue("seed=3")).fingerprints == splits.fingerprints
    other = splits_of(glue("dataset.split_seed=1")).fingerprints
    assert other["valid"] != splits.fingerprints["valid"]
    assert other["test"] == splits.fingerprints["test"]


@pytest.mark.parametrize(
    ("sentences", "context", "expected"),
    [
        (["abc"], 6, b"\x01abc\x02\0"),
        (["abcdef"], 6, b"\x01abcd\x02"),
        (["é\0\x02"], 6, b"\x01\xc3\xa9\x02\0\0"),
        (["abcdefg", "hi"], 9, b"\x01abcd\x02hi\x02"),
        (["ab", "hijklmn"], 9, b"\x01ab\x02hijk\x02"),
        (["abcdefg", "hijklmn"], 8, b"\x01ab\x02hij\x02"),
    ],
)
def test_bytes_are_tokens_and_the_longer_one_is_cut(sentences, context, expected):
    assert bytes(encode_bytes(sentences, context)) == expected
    assert (BEGIN, SEPARATOR, PADDING) == (1, 2, 0)


def test_a_tokenizer_of_the_library_is_used_as_it_is(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "mrpc", ("sentence1", "sentence2"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", *map(str, range(12))]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    known = transformers().BertTokenizer(str(tmp_path / "vocab.txt"))
    known.save_pretrained(tmp_path / "tokenizer")
    config = glue(f"dataset.tokenizer={tmp_path}/tokenizer", "dataset.context=8", task="mrpc")
    splits = splits_of(config)
    tokens = torch.from_numpy(splits.test.tokens).long()
    assert tokens[1].tolist() == [2, 6, 8, 3, 6, 8, 3, 0]
    assert splits.shape.vocabulary == len(words)
    model, asked = model_of(config, splits.shape).eval(), {}
    inner = model.host.forward
    model.host.forward = lambda **given: asked.update(given) or inner(**given)
    logits = model(tokens)
    told = known(["bad 1"], ["bad 1"], padding="max_length", max_length=8, return_tensors="pt")
    for key in ("token_type_ids", "attention_mask"):
        assert torch.equal(asked[key][1], told[key][0])
    assert logits.shape == (6, 2)


def test_what_fills_up_changes_nothing(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    splits = splits_of(glue())
    model = model_of(glue(), splits.shape).eval()
    tokens = torch.from_numpy(splits.test.tokens).long()
    n = int((tokens[1] != PADDING).sum())
    torch.testing.assert_close(model(tokens[1:2]), model(tokens[1:2, :n]))
    moved = tokens[:1].clone()
    moved[0, 1] += 1
    assert not torch.allclose(model(moved), model(tokens[:1]), atol=1e-7)


def test_a_classifier_starts_from_a_network_that_predicts_masked_tokens(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "cola")
    text = smoke("model=bert", "weight=dense", "fit.epochs=1")
    train(tmp_path / "text", text)
    config = glue(f"start_from={tmp_path}/text", "weight=dense", task="cola")
    check_start(config)
    splits = splits_of(config)
    started, masked = model_of(config, splits.shape), model_of(text, splits_of(text).shape)
    load_weights(tmp_path / "text" / "weights.pt", masked)
    for name in ("embeddings", "encoder"):
        own = started.get_submodule(f"host.bert.{name}").state_dict()
        there = masked.get_submodule(f"host.bert.{name}").state_dict()
        assert all(torch.equal(own[key], there[key]) for key in there | own)
    with pytest.raises(ValueError, match=r"dataset\.context=8 \(there 16\)"):
        check_start(glue(f"start_from={tmp_path}/text", "dataset.context=8"))
    train(tmp_path / "run", glue(f"start_from={tmp_path}/text", task="cola"))
    metrics = evaluate(tmp_path / "run")["metrics"]
    assert {"loss", "accuracy", "matthews_correlation"} <= metrics.keys()
    assert "f1" not in metrics
    assert evaluate(tmp_path / "run")["metrics"] == metrics


def test_f1_and_correlation_are_those_of_the_labels():
    truth, guess = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.array([0, 1, 0, 1, 1, 0, 1, 1])
    confusion = np.zeros((2, 2), dtype=np.int64)
    np.add.at(confusion, (truth, guess), 1)
    assert matthews_correlation(confusion) == pytest.approx(np.corrcoef(truth, guess)[0, 1])
    precision, recall = truth[guess == 1].mean(), guess[truth == 1].mean()
    assert f1_score(confusion) == pytest.approx(2 / (1 / precision + 1 / recall))
    nothing = np.array([[5, 0], [3, 0]])
    assert f1_score(nothing) == matthews_correlation(nothing) == 0


@pytest.mark.parametrize(
    ("overrides", "task", "message"),
    [
        ([], "rte", r"datasets cannot load 'nyu-mll/glue' with the task 'rte' \(BuilderConfig rte"),
        (["dataset.n_valid=12"], "sst2", r"n_valid=12 of 12 samples would leave none"),
        (["dataset.tokenizer=no_such"], "sst2", r"dataset\.tokenizer=no_such is no folder"),
        (["dataset.tokenizer={here}"], "sst2", "holds no tokenizer of transformers"),
    ],
)
def test_what_cannot_be_read_is_said(monkeypatch, tmp_path, overrides, task, message):
    install(monkeypatch, tmp_path)
    with pytest.raises(ValueError, match=message):
        splits_of(glue(*(text.format(here=tmp_path) for text in overrides), task=task))


def test_data_of_another_task_are_said(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "qnli", ("sentence",))
    with pytest.raises(ValueError, match=r"no split train with question, sentence and label"):
        splits_of(glue(task="qnli"))


def test_labels_that_are_none_and_a_tokenizer_of_another_kind_are_said(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path)
    monkeypatch.setitem(dataset.TASKS, "sst2", (("sentence",), ("all",)))
    with pytest.raises(ValueError, match=r"split train must be from 0 to 0, got \[0, 1\]"):
        splits_of(glue())
    words = WordLevel({"good": 0, "bad": 1, "[UNK]": 2}, unk_token="[UNK]")
    known = transformers().PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words))
    known.save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(ValueError, match="has no token that fills up or none that separates"):
        splits_of(glue(f"dataset.tokenizer={tmp_path}/tokenizer"))


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"needs datasets; run pip install '.*\[glue\]'"):
        splits_of(glue())
