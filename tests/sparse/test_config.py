"""Configs of sparse runs: what goes together, and what is said of what does not."""

import dataclasses

import pytest
from omegaconf import OmegaConf
from sparse_runs import config_of

from monarch_core.runs.declared import declared
from monarch_core.runs.schema import load_config
from sparse.config.run import SparseConfig, read_words


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=vit"], r"model=vit reads images, but dataset\.kind=text .*use dataset=mnist or"),
        (["dataset=mnist"], r"model=gpt2 reads text, .*or model=vit or model=mixer"),
        (["dataset=glue"], r"model=gpt2 reads text, .*holds sentences; .*or model=bert"),
        (["dataset=mnist", "model=bert"], r"model=bert reads text or sentences, .*dataset=glue"),
        (["dataset=glue", "model=bert", "dataset.task=stsb"], r"one of cola, .*, got 'stsb'"),
        (["dataset=glue", "model=bert", "dataset.context=4"], r"context must be from 8 to 1048576"),
        (["model.size=huge"], r"model\.size must be one of smoke, tiny, small, medium, got huge"),
        (["model.n_heads=3"], r"n_heads must divide model\.width, got 3 heads and a width of 128"),
        (["model.dropout=1"], r"model\.dropout must be from 0 to 0\.99"),
        (["dataset.context=1"], r"dataset\.context must be from 2"),
        (["weight.n_blocks=0"], r"weight\.n_blocks must be from 1"),
        (["weight.start=warm"], r"weight\.start must be null or one of projection, scaled, random"),
        (["weight=dense", "weight.n_blocks=8"], r"kind=dense has no option n_blocks"),
        (["weight.rank=3"], r"kind=monarch has no option rank"),
        (["weight.name=dense"], r"call the layers of the host library dense and no others"),
        (["switch_at=0"], r"switch_at must be a fraction between 0 and 1, got 0"),
        (["switch_at=1"], r"switch_at must be a fraction between 0 and 1, got 1"),
        (["switch_at=.nan"], r"switch_at must be a fraction between 0 and 1, got nan"),
        (["switch_at=.04"], r"switch_at=0\.04 of fit\.epochs=10 is after epoch 0, but a run needs"),
        (
            ["switch_at=.96"],
            r"switch_at=0\.96 of fit\.epochs=10 is after epoch 10, but a run needs",
        ),
        (
            ["switch_at=.9", "fit.optimizer=soap"],
            r"fit\.optimizer=adam or adamw, got soap; use switch",
        ),
        (
            ["switch_at=.9", "weight=block_diagonal"],
            r"weight\.kind=monarch or low_rank, got block_diagonal; use switch\.moments=fresh",
        ),
        (["weight=dense", "switch_at=.9"], r"those of weight=dense are dense already"),
        (["switch.warm_up=.1"], r"give switch_at as well"),
        (["switch_at=.9", "switch.warm_up=2"], r"switch\.warm_up must be from 0 to 1"),
        (["switch_at=.9", "switch.moments=lost"], r"switch\.moments must be one of carried, fresh"),
        (["dataset.name=''"], r"dataset\.name must be a word for tables"),
        (["fit.no_such=1"], "no_such"),
    ],
)
def test_what_does_not_go_together_is_said(overrides, message):
    with pytest.raises(Exception, match=message):
        config_of(*overrides)


def test_sizes_are_words_for_numbers_that_may_be_given():
    config = config_of("model.size=small", "model.width=96")
    numbers = {key: config.model.number(key) for key in ("width", "n_layers", "n_heads")}
    assert numbers == {"width": 96, "n_layers": 12, "n_heads": 12}
    assert config.model.dropout_there == 0.1
    assert config_of("model.size=small", "model.dropout=0").model.dropout_there == 0


@pytest.mark.parametrize("words", [["fit.optimizer=soap"], ["weight=block_diagonal"]])
def test_moments_that_begin_anew_may_be_of_any_kind(words):
    assert config_of("switch_at=.85", "switch.moments=fresh", *words).switch_epoch == 8


def test_the_dense_weight_is_the_control():
    for weight in ("dense", "monarch", "block_diagonal", "low_rank"):
        told = declared({"transform_declares": config_of(f"weight={weight}").transform.declares()})
        assert told.control == (weight == "dense")
        assert told.learns == "both"


@pytest.mark.parametrize("kind", ["dense", "monarch"])
def test_a_run_that_stored_options_which_its_weight_never_read_is_read(kind, tmp_path):
    stored = OmegaConf.create(dataclasses.asdict(config_of(f"weight={kind}")))
    stored.weight.update({"start": "projection", "rank": None, "n_blocks": 4})
    OmegaConf.save(stored, tmp_path / "config.yaml")
    start = None if kind == "dense" else "projection"
    assert load_config(tmp_path, SparseConfig).weight.start == start


def test_from_is_a_word_for_start_from():
    given = ["from=runs/a", "weight=monarch", "dataset.path=from=x"]
    assert read_words(given) == ["start_from=runs/a", "weight=monarch", "dataset.path=from=x"]
    assert SparseConfig.as_typed(read_words(given)) == given
