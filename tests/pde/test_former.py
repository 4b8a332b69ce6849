"""Configs of runs from before each model had options of its own are read as they were meant."""

import pytest
import yaml
from pde_configs import config_of

from monarch_core.runs.former_layout import FORMER_OPTIONS
from monarch_core.runs.schema import load_config, to_dict
from monarch_core.training.recipe import check_recipe, make_recipe
from pde.config.model import MODELS, FnoFastConfig, MonarchNoConfig
from pde.config.run import PdeConfig

FORMER = {
    "hidden_channels": 6,
    "n_modes": 4,
    "n_layers": 2,
    "projection_channels": 32,
    "domain_padding": 0.0,
    "lifting_channels": 0,
    "use_channel_mlp": False,
    "time_padding": 6,
    "gate_channels": 5,
    "n_filter_frames": 4,
    "checkpoint_steps": False,
}
# Options that former runs did not have.
LATER = {
    "resample": False,
    "continuation": False,
    "factorization": None,
    "rank": 1.0,
    "transform_grid": None,
}
FORMER_MODELS = [name for name in MODELS if name not in ("uno", "local_no")]


def former_run(folder, architecture, **changes):
    model = {"name": "word", "architecture": architecture, **FORMER, **changes}
    stored = {**to_dict(config_of("transform=fft")), "model": model}
    (folder / "config.yaml").write_text(yaml.safe_dump(stored))
    return stored


@pytest.mark.parametrize("architecture", FORMER_MODELS)
def test_a_network_keeps_what_it_read(tmp_path, architecture):
    former_run(tmp_path, architecture)
    model = load_config(tmp_path, PdeConfig).model
    assert type(model) is MODELS[architecture]
    options = {**FORMER, **LATER}
    own = {key: value for key, value in options.items() if hasattr(MODELS[architecture], key)}
    assert to_dict(model) == {"name": "word", "architecture": architecture, **own}


def test_the_report_knows_the_options_of_former_models():
    assert FORMER_OPTIONS["pde"].keys() == {**FORMER, **LATER}.keys()


def test_the_operator_of_a_former_run(tmp_path):
    former_run(tmp_path, "monarch_no")
    assert load_config(tmp_path, PdeConfig).model == MonarchNoConfig(
        "word", hidden_channels=6, n_modes=4, n_layers=2, projection_channels=32, gate_channels=5
    )


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("fno2", {}, r"model\.architecture must be one of fno, fno_fast.*got 'fno2'"),
        ("fno", {"gates": 3}, r"unknown config key model\.gates"),
        ("fno", {"n_modes": 0}, r"model\.n_modes must be from 1"),
    ],
)
def test_what_was_never_an_option_is_refused(tmp_path, architecture, changes, message):
    former_run(tmp_path, architecture, **changes)
    with pytest.raises(ValueError, match=message):
        load_config(tmp_path, PdeConfig)


def test_a_former_run_goes_on(tmp_path):
    stored = former_run(tmp_path, "fno_fast")
    config = load_config(tmp_path, PdeConfig)
    assert type(config.model) is FnoFastConfig
    recipe = make_recipe(config.fit, seed=0, n_train=3, whole_config=config)
    saved = {**recipe, **{f"model.{key}": value for key, value in stored["model"].items()}}
    check_recipe(recipe, saved, tmp_path)
    with pytest.raises(ValueError, match=r"model\.n_modes=4 \(the run was started with 5\)"):
        check_recipe(recipe, {**saved, "model.n_modes": 5}, tmp_path)


@pytest.mark.parametrize("key", ["transform.axes", "model.resample"])
def test_later_options_that_are_off_do_not_stand_in_its_way(tmp_path, key):
    former_run(tmp_path, "fno_fast")
    config = load_config(tmp_path, PdeConfig)
    recipe = make_recipe(config.fit, seed=0, n_train=3, whole_config=config)
    saved = {name: value for name, value in recipe.items() if name != key}
    check_recipe(recipe, saved, tmp_path)
    for on in ([1], True, 0):
        with pytest.raises(ValueError, match=f"{key}, which it does not know"):
            check_recipe({**recipe, key: on}, saved, tmp_path)
