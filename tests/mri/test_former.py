"""Configs of runs from before each model had options of its own are read as they were meant."""

import pytest
import yaml

from monarch_core.runs.former_layout import FORMER_OPTIONS
from monarch_core.runs.schema import load_config, to_dict
from monarch_core.training.recipe import check_recipe, make_recipe
from monarch_core.training.transform_config import TransformConfig
from mri.config.model import MODELS
from mri.config.run import MriConfig

FORMER = {
    "weighting": "scale",
    "candidates": [0.1, 0.2],
    "n_iterations": 7,
    "n_channels": 6,
    "n_pools": 3,
    "residual": True,
    "n_cascades": 2,
    "n_layers": 3,
    "data_consistency": "cg",
    "tied": True,
    "transform_per_cascade": True,
    "regulariser_per_cascade": False,
}


def former_run(folder, name, **changes):
    config = to_dict(MriConfig(transform=TransformConfig("monarch")))
    model = {"name": name, **FORMER, **changes}
    del config["dataset"]["recipe"]
    config["dataset"] |= {"script": "mri_simulate", "prepare": {"trajectory": 0.5}}
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "model": model}))


def test_the_report_knows_the_options_of_former_models():
    assert FORMER_OPTIONS["mri"].keys() == FORMER.keys()


def test_a_former_run_goes_on_with_its_own_scans_only(tmp_path):
    former_run(tmp_path, "sense")
    config = load_config(tmp_path, MriConfig)
    assert (config.dataset.recipe.name, config.dataset.recipe.trajectory) == ("simulate", 0.5)
    recipe = make_recipe(
        config.fit, seed=0, n_train=3, whole_config=config, fingerprints={"test": "aa"}
    )
    former = {"dataset.script": "mri_simulate", "dataset.prepare.trajectory": 0.5}
    check_recipe(recipe, {**recipe, **former}, tmp_path)
    with pytest.raises(ValueError, match=r"data fingerprint of test=.aa. \(the run was started w"):
        check_recipe(recipe, {**recipe, "data fingerprint of test": "bb"}, tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_keeps_what_it_read(tmp_path, name):
    former_run(tmp_path, name)
    model = load_config(tmp_path, MriConfig).model
    assert type(model) is MODELS[name]
    options = to_dict(model)
    assert options.pop("name") == name
    assert options == {key: value for key, value in FORMER.items() if key in options}
    assert options


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("senes", {}, r"model\.name must be one of sense, cg_sense.*got 'senes'"),
        ("unet", {"pools": 3}, r"unknown config key model\.pools; did you mean model\.n_pools"),
        ("unrolled", {"n_cascades": 0}, r"model\.n_cascades must be from 1"),
    ],
)
def test_what_was_never_an_option_is_refused(tmp_path, name, changes, message):
    former_run(tmp_path, name, **changes)
    with pytest.raises(ValueError, match=message):
        load_config(tmp_path, MriConfig)
