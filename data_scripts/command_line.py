"""Options of a data script: key=value arguments checked against a config dataclass."""

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

Config = TypeVar("Config")


def config_from_arguments(
    schema: type[Config], arguments: Sequence[str] | None, description: str
) -> Config:
    """Return `schema` with the key=value pairs of the command line put in.

    Args:
        schema: dataclass with a default for every field.
        arguments: the command line without the program's name; None takes this process's own.
        description: first line of --help.

    Raises:
        ValueError: an argument is no key=value pair, its key is unknown, or its value has the
            wrong type or is refused by the dataclass.
    """
    defaults = {field.name: field.default for field in fields(schema)}  # type: ignore[arg-type]
    parser = argparse.ArgumentParser(
        description=description,
        epilog="options and defaults: " + ", ".join(f"{k}={v}" for k, v in defaults.items()),
    )
    parser.add_argument("options", nargs="*", metavar="key=value", help="overrides a default")
    config = OmegaConf.structured(schema)
    for option in parser.parse_args(arguments).options:
        key, equals, _ = option.partition("=")
        if not equals:
            raise ValueError(f"options have the form key=value, got {option!r}")
        if key not in defaults:
            close = difflib.get_close_matches(key, defaults, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(f"unknown option {key!r}; {hint}Known options: {', '.join(defaults)}")
        try:
            config = OmegaConf.merge(config, OmegaConf.from_dotlist([option]))
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"cannot use {option!r}: {reason}") from error
    return cast(Config, OmegaConf.to_object(config))
