"""Configs are checked name by name, and a saved one comes back as it was."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from omegaconf import MISSING, OmegaConf

from monarch_core.runs.schema import load_config, save_config, to_dataclass
from monarch_core.training.config import FitConfig


@dataclass
class ModelConfig:
    width: int = 20
    name: str = "fno"


@dataclass
class DeepModelConfig(ModelConfig):
    depth: int = 4


@dataclass
class TaskConfig:
    fit: FitConfig = field(default_factory=FitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    options: dict[str, Any] = field(default_factory=dict)
    label: str | None = None
    dataset: str = MISSING
    seed: int = 0


def check(**values):
    return to_dataclass(OmegaConf.create({"dataset": "waves", **values}), TaskConfig)


def test_values_arrive_converted_and_the_rest_takes_defaults():
    config = check(fit={"epochs": 7, "learning_rate": "1e-4"}, label="a", seed="3")
    assert config == TaskConfig(
        fit=FitConfig(epochs=7, learning_rate=1e-4), label="a", dataset="waves", seed=3
    )
    assert type(config.fit.learning_rate) is float


def test_free_mappings_stay_plain():
    options = {"_target_": "not.there", "_partial_": True, "sizes": [2, 3]}
    node = check(options={"of": options}).options
    assert node == {"of": options}
    assert type(node) is dict
    assert type(node["of"]) is dict
    assert type(node["of"]["sizes"]) is list


def test_interpolations_are_resolved():
    assert check(label="${dataset}-${fit.epochs}").label == "waves-500"


def test_a_subclass_keeps_its_fields():
    raw = OmegaConf.create({"dataset": "waves"})
    raw.model = OmegaConf.structured(DeepModelConfig(depth=9))
    assert to_dataclass(raw, TaskConfig).model == DeepModelConfig(depth=9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fit": {"epoch": 1}}, r"unknown config key fit\.epoch; did you mean fit\.epochs"),
        ({"sed": 1}, "unknown config key sed; did you mean seed"),
        ({"width": 1}, r"unknown config key width; did you mean model\.width"),
        ({"model": {"zzzzzzzzzzzz": 1}}, r"zzz; known here: model\.width, model\.name"),
        ({"fit": {"epochs": "many"}}, r"fit\.epochs has the wrong type: Value 'many'"),
        ({"fit": {"epochs": 2.5}}, r"fit\.epochs has the wrong type: Value '2\.5'"),
        ({"fit": 3}, "has the wrong type: .*int is not a subclass of FitConfig"),
        ({"seed": None}, "seed has the wrong type: Incompatible value 'None'.* fields of Task"),
        ({"options": [1]}, "has the wrong type: Cannot merge"),
        ({"dataset": "???"}, "config key dataset has no value; give one, as in dataset=VALUE"),
        ({"label": "${nowhere}"}, "config key label: Interpolation key 'nowhere' not found"),
        ({"fit": {"learning_rate": 10**400}}, "a number of the config is too large: int too large"),
        ({"fit": {"epochs": 0}}, r"fit\.epochs must be from 1 to 1000000, got 0"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_mistakes_are_named_in_one_paragraph(values, message):
    with pytest.raises(ValueError, match=message) as caught:
        check(**values)
    assert "\n" not in str(caught.value)


def test_a_saved_config_comes_back(tmp_path):
    config = check(
        fit={"gradient_clip": 0.5, "learning_rate": 1e-5},
        options={"name": "fft", "axis": {"_target_": "a.B", "sizes": [2, 3], "x": None}},
    )
    save_config(tmp_path, config)
    assert load_config(tmp_path, TaskConfig) == config
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_saved_config_can_be_read_with_changes(tmp_path):
    save_config(tmp_path, check(seed=3))
    config = load_config(tmp_path, TaskConfig, {"fit": {"epochs": 7}})
    assert (config.fit.epochs, config.seed) == (7, 3)
    with pytest.raises(ValueError, match=r"unknown config key fit\.epocs; did you mean"):
        load_config(tmp_path, TaskConfig, {"fit": {"epocs": 7}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"config\.yaml does not exist, so .* is not a run folder"),
        (b"a: [1\nb: 2", r"config\.yaml is not valid YAML \(while parsing"),
        (b"\xff\xfe\x00\x01", r"config\.yaml is not valid YAML"),
        (b"", r"config\.yaml holds no config"),
        (b"- 1\n- 2\n", r"config\.yaml holds no config"),
        (b"dataset: x\nsedd: 1\n", r"config\.yaml: unknown config key sedd; did you mean seed"),
    ],
    ids=["missing", "yaml", "bytes", "empty", "list", "key"],
)
def test_unreadable_configs_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_config(tmp_path, TaskConfig)
    assert "\n" not in str(caught.value)


@dataclass
class WideModelConfig(ModelConfig):
    name: str = "wide"
    factor: float = 2.0


@dataclass
class ChoiceConfig:
    model: ModelConfig = field(
        default_factory=DeepModelConfig,
        metadata={"by_name": {"fno": DeepModelConfig, "wide": WideModelConfig}},
    )


def test_a_name_decides_on_the_dataclass():
    def read(**model):
        return to_dataclass(OmegaConf.create({"model": model} if model else {}), ChoiceConfig).model

    assert read() == DeepModelConfig()
    assert read(depth=2) == DeepModelConfig(depth=2)
    assert read(name="wide", factor=3) == WideModelConfig(factor=3.0)
    with pytest.raises(ValueError, match=r"unknown config key model\.depth"):
        read(name="wide", depth=2)
    with pytest.raises(ValueError, match=r"model\.name must be one of fno, wide, got 'narrow'"):
        read(name="narrow")
