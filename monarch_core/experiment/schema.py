"""From a hydra object to a plain dataclass, from a dataclass to `config.yaml`, and back."""

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from monarch_core.experiment.checkpoint import write_text

T = TypeVar("T")

CONFIG_FILE = "config.yaml"


def to_dataclass(raw: DictConfig, schema: type[T]) -> T:
    """Turn a composed config into an instance of `schema`, checking every name and type.

    Fields annotated `dict[str, Any]` (the nodes with `_target_`) arrive as plain dicts. A field
    with the metadata `by_name`, a dict of dataclasses, becomes an instance of the one that the
    value of its key `name` says; without a name, of its default.

    Args:
        raw: the composed config; values it lacks take the defaults of the schema.
        schema: a dataclass of dataclasses.

    Raises:
        ValueError: a key is unknown, a value has the wrong type or is missing; one paragraph that
            names the key, the value and near alternatives.
    """
    try:
        merged = OmegaConf.merge(_structured(schema, raw), raw)
        config = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise ValueError(_unknown_key(error, schema)) from error
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ValueError(f"config key {key} has no value; give one, as in {key}=VALUE.") from error
    except InterpolationResolutionError as error:
        raise ValueError(f"config key {error.full_key}: {_reason(error)}.") from error
    except OmegaConfBaseException as error:
        key = error.full_key or "at the top level"
        raise ValueError(
            f"config key {key} has the wrong type: {_reason(error)}; see the fields of "
            f"{_owner(error, schema)} for what is expected."
        ) from error
    assert isinstance(config, schema)
    return config


def _structured(schema: Any, raw: DictConfig) -> DictConfig:
    """Return the schema as a node, with the types that the names in `raw` ask for."""
    node = OmegaConf.structured(schema)
    for item in dataclasses.fields(schema):
        by_name: dict[str, type] = item.metadata.get("by_name", {})
        if not by_name or OmegaConf.is_missing(raw, item.name):
            continue
        given = raw.get(item.name)
        name = given.get("name") if isinstance(given, DictConfig) else None
        if name is None:
            continue
        if name not in by_name:
            raise ValueError(f"{item.name}.name must be one of {', '.join(by_name)}, got {name!r}.")
        kind = OmegaConf.get_type(given)  # a dataclass if hydra chose one already
        node[item.name] = OmegaConf.structured(
            kind if dataclasses.is_dataclass(kind) else by_name[name]
        )
    return node


def to_dict(config: Any) -> dict[str, Any]:
    """Return a dataclass instance as nested plain dicts, lists, numbers and strings."""
    return dataclasses.asdict(config)


def save_config(run_dir: Path, config: Any) -> None:
    """Write `config.yaml`, every value resolved, so that the folder alone tells how it was made."""
    node = OmegaConf.create(to_dict(config))
    write_text(run_dir / CONFIG_FILE, OmegaConf.to_yaml(node, resolve=True))


def load_config(run_dir: Path, schema: type[T], changes: Mapping[str, Any] | None = None) -> T:
    """Read the config of a run.

    Args:
        run_dir: a run folder.
        schema: the dataclass it was made from.
        changes: values that take the place of the run's, as {"evaluation": {"grids": [64]}}.

    Raises:
        ValueError: there is no config, it cannot be read, or it does not fit the schema.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist, so {run_dir} is not a run folder; give the folder that "
            "train.py printed, usually runs/TASK/NAME."
        )
    try:
        raw = OmegaConf.load(path)
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not valid YAML ({reason}); restore it from a copy.") from error
    if not isinstance(raw, DictConfig) or not raw:
        raise ValueError(f"{path} holds no config; restore it from a copy.")
    raw = OmegaConf.merge(raw, OmegaConf.create(dict(changes or {})))
    assert isinstance(raw, DictConfig)
    try:
        return to_dataclass(raw, schema)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _unknown_key(error: ConfigKeyError, schema: type) -> str:
    key = str(error.full_key)
    parent = key.rpartition(".")[0]
    keys = _dotted_keys(OmegaConf.structured(schema))
    siblings = [k for k in keys if k.rpartition(".")[0] == parent]
    elsewhere = [k for k in keys if k.rpartition(".")[2] == key.rpartition(".")[2]]
    near = difflib.get_close_matches(key, siblings, n=3) + elsewhere
    if near:
        remedy = f"did you mean {' or '.join(dict.fromkeys(near))}?"
    else:
        remedy = f"known here: {', '.join(siblings)}" if siblings else "nothing is known there"
    return f"unknown config key {key}; {remedy}"


def _dotted_keys(node: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for name in map(str, node):
        keys.append(f"{prefix}{name}")
        if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name):
            continue
        if isinstance(node[name], DictConfig):
            keys += _dotted_keys(node[name], f"{prefix}{name}.")
    return keys


def _reason(error: OmegaConfBaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _owner(error: OmegaConfBaseException, schema: type) -> str:
    return error.object_type_str or schema.__name__
