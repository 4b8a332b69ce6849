"""From a hydra object to a plain dataclass, from a dataclass to `config.yaml`, and back."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from monarch_core.runs.files import write_text
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.former_layout import to_current
from monarch_core.runs.plain_files import parse_yaml, read_yaml
from monarch_core.runs.printable import listed

T = TypeVar("T")
Kinds = tuple[tuple[str, Any, "Kinds"], ...]


def to_dataclass(raw: DictConfig, schema: type[T]) -> T:
    """Turn a composed config into an instance of `schema`, checking every name and type.

    Fields annotated `dict[str, Any]` arrive as plain dicts. A field with the metadata `by_name`, a
    dict of dataclasses, becomes an instance of the one that the value of its key `name` says (of
    another key, where the metadata `name` names one); without a name, of its default. Nothing that
    a value names is ever imported or called.

    Args:
        raw: the composed config; values it lacks take the defaults of the schema.
        schema: a dataclass of dataclasses.

    Raises:
        ValueError: a key is unknown, a value has the wrong type or is missing; one paragraph that
            names the key, the value and near alternatives.
    """
    node = _structured(schema, raw)
    try:
        # As plain values: hydra's own nodes may hold keys that were added to them with a plus.
        values = OmegaConf.to_container(raw)
        _refuse_nested_lists(values)
        merged = OmegaConf.merge(node, OmegaConf.create(values))
        config = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise ValueError(unknown_key(str(error.full_key), node)) from error
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ValueError(f"config key {key} has no value; give one, as in {key}=VALUE.") from error
    except InterpolationResolutionError as error:
        raise ValueError(f"config key {error.full_key}: {_reason(error)}.") from error
    except OverflowError as error:
        raise ValueError(f"a number of the config is too large: {_reason(error)}.") from error
    except OmegaConfBaseException as error:
        key = error.full_key or "at the top level"
        raise ValueError(
            f"config key {key} has the wrong type: {_reason(error)}; see the fields of "
            f"{_owner(error, schema)} for what is expected."
        ) from error
    assert isinstance(config, schema)
    return config


def _structured(schema: Any, raw: DictConfig) -> DictConfig:
    """Return the schema as a node, with the types that the names in `raw` ask for, at any depth.

    The node serves every config of these types: it is read and copied, never changed.
    """
    return _node(schema, _kinds(schema, raw))


def _kinds(schema: Any, raw: DictConfig) -> Kinds:
    """Return what takes the place of fields of `schema`: name, dataclass, and the same of it."""
    node = _node(schema, ())
    kinds = []
    for item in dataclasses.fields(schema):
        if item.name not in raw or OmegaConf.is_interpolation(raw, item.name):
            continue
        given = raw[item.name]
        if not isinstance(given, DictConfig):
            continue
        kind: Any = OmegaConf.get_type(given)  # a dataclass if hydra chose one already
        by_name: dict[str, type] = item.metadata.get("by_name", {})
        key = item.metadata.get("name", "name")
        name = given.get(key, None)
        if by_name and (name is not None or node[item.name] is None):
            if name not in by_name:
                names = ", ".join(by_name)
                raise ValueError(f"{item.name}.{key} must be one of {names}, got {name!r}.")
            kind = kind if dataclasses.is_dataclass(kind) else by_name[name]
        if not dataclasses.is_dataclass(kind):
            kind = OmegaConf.get_type(node, item.name)
        if dataclasses.is_dataclass(kind):
            kinds.append((item.name, kind, _kinds(kind, given)))
    return tuple(kinds)


@lru_cache(maxsize=256)
def _node(schema: Any, kinds: Kinds) -> DictConfig:
    node = OmegaConf.structured(schema)
    for name, kind, of_kind in kinds:
        node[name] = _node(kind, of_kind)
    return node


def to_dict(config: Any) -> dict[str, Any]:
    """Return a dataclass instance as nested plain dicts, lists, numbers and strings."""
    return dataclasses.asdict(config)


def save_config(run_dir: Path, config: Any) -> None:
    """Write `config.yaml`, every value resolved, so that the folder alone tells how it was made.

    Raises:
        ValueError: the config could not be read again.
    """
    refuse_references(to_dict(config))
    text = OmegaConf.to_yaml(OmegaConf.create(to_dict(config)))
    try:
        parse_yaml(text.encode())
    except ValueError as error:
        raise ValueError(f"the config {error}; give another value") from error
    write_text(RunFolder(run_dir).config, text)


def load_config(run_dir: Path, schema: type[T], changes: Mapping[str, Any] | None = None) -> T:
    """Read the config of a run.

    Args:
        run_dir: a run folder.
        schema: the dataclass it was made from. Where it has a class method `from_former`, this
            brings what is stored, a dict, from layouts of before to that of today.
        changes: values that take the place of the run's, as {"evaluation": {"grids": [64]}}.

    Raises:
        ValueError: there is no config, it cannot be read, or it does not fit the schema.
    """
    path = RunFolder(run_dir).config
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist, so {run_dir} is not a run folder; give the folder that "
            "train.py printed, usually runs/TASK/NAME."
        )
    stored = read_yaml(path)
    if not isinstance(stored, dict) or not stored:
        raise ValueError(f"{path} holds no config; restore it from a copy.")
    try:
        refuse_references(stored)
        from_former = getattr(schema, "from_former", dict)
        stored = from_former(to_current(stored))
        raw = OmegaConf.create(stored)
        raw.merge_with(dict(changes or {}))
        return to_dataclass(raw, schema)
    except ValueError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error


def _refuse_nested_lists(value: Any, key: str = "") -> None:
    """Raise ValueError for a list of more than numbers and words, which OmegaConf lets through."""
    if isinstance(value, dict):
        for name, entry in value.items():
            _refuse_nested_lists(entry, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(entry, (list, dict)) for entry in value):
        raise ValueError(
            f"config key {key} has the wrong type: a list of numbers or words was expected, got "
            f"{str(value)[:60]}."
        )


def refuse_references(value: Any, key: str = "") -> None:
    """Raise ValueError for values of a stored config that stand for others, or for none.

    Nothing is looked up for a file that somebody may have sent: `${oc.env:NAME}` would copy what
    the reader's environment holds into the results.
    """
    if isinstance(value, Mapping):
        for name, entry in value.items():
            refuse_references(name, key)
            refuse_references(entry, f"{key}.{name}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for number, entry in enumerate(value):
            refuse_references(entry, f"{key}[{number}]")
    elif isinstance(value, str) and ("${" in value or value == "???"):
        raise ValueError(
            f"config key {key} holds {value[:60]!r}, which stands for another value; a stored "
            "config holds plain values: write the value itself"
        )


def unknown_key(key: str, node: DictConfig, more: Sequence[str] = ()) -> str:
    """Return that a key is unknown, and which ones are near.

    Args:
        key: with the keys above it, as `fit.epocs`.
        node: the config in which it is not.
        more: keys beside those of the config.
    """
    keys = [*_dotted_keys(node), *more]
    near = _near(key, keys)
    if near:
        remedy = f"did you mean {' or '.join(near)}?"
    else:
        parent = _first_unknown(key, keys).rpartition(".")[0]
        there = [k for k in dict.fromkeys(keys) if k.rpartition(".")[0] == parent]
        remedy = f"known here: {listed(there or leaves(node))}"
    return f"unknown config key {key}; {remedy}"


def near_keys(key: str, node: DictConfig) -> list[str]:
    """Return the key itself if a config has it, else those that are most like it, if any."""
    keys = _dotted_keys(node)
    return [key] if key in keys else _near(key, keys)


def leaves(node: DictConfig) -> list[str]:
    """Return the keys of the values of a config, without those of its groups."""
    keys = _dotted_keys(node)
    groups = {key.rpartition(".")[0] for key in keys}
    return [key for key in keys if key not in groups]


def _first_unknown(key: str, keys: Sequence[str]) -> str:
    """Return the part of a key down to the first name that is not there."""
    parts = key.split(".")
    above = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return next((name for name in above if name not in keys), key)  # the others are below it


def _near(key: str, keys: Sequence[str]) -> list[str]:
    """Return those of some keys that are most like another one."""
    parts = key.split(".")
    parent, _, last = _first_unknown(key, keys).rpartition(".")
    names = {k: k.rpartition(".")[2] for k in dict.fromkeys(keys)}
    siblings = [k for k in names if k.rpartition(".")[0] == parent]
    alike = difflib.get_close_matches(last, [names[k] for k in siblings], n=3)
    near = [k for name in alike for k in siblings if names[k] == name]
    near += [k for k, name in names.items() if name in (last, parts[-1])]
    if not near:
        alike = difflib.get_close_matches(parts[-1], names.values(), n=2, cutoff=0.8)
        near = [k for k, name in names.items() if name in alike]
    return list(dict.fromkeys(near))


def _dotted_keys(node: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for name in map(str, node):
        keys.append(f"{prefix}{name}")
        if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name):
            continue
        if isinstance(node[name], DictConfig):
            keys += _dotted_keys(node[name], f"{prefix}{name}.")
    return keys


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _owner(error: OmegaConfBaseException, schema: type) -> str:
    return error.object_type_str or schema.__name__
