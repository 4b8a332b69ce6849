"""The command line of data scripts: options, help, and errors without a traceback."""

import argparse
import difflib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from data_scripts.recipe import Recipe, produce
from data_scripts.resumable import progress_console
from monarch_core.runs.flags import instead_of, paired
from monarch_core.runs.home import expand_home
from monarch_core.runs.printable import paragraph

Config = TypeVar("Config")
RecipeType = TypeVar("RecipeType", bound=Recipe)


def run_script(
    main: Callable[[Config], object], schema: type[Config], arguments: Sequence[str] | None = None
) -> int:
    """Fill `schema` from key=value arguments and call `main` with it.

    What the user can correct (a wrong option, a missing or damaged file, no connection) is
    answered with one paragraph on standard error, without a traceback.

    Args:
        main: does the work.
        schema: dataclass of the options; its docstring explains them.
        arguments: the command line; `sys.argv` when None.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for a wrong option, 130 when interrupted.
    """
    arguments = expand_home(sys.argv[1:] if arguments is None else arguments)
    console = progress_console()
    if any(argument in ("-h", "--help") for argument in arguments):
        console.print(_help(schema))
        return 0
    try:
        config = config_from_arguments(schema, arguments, _documentation(schema))
    except ValueError as error:
        console.print(f"error: {paragraph(error)}")
        return 2
    try:
        main(config)
    except (ValueError, OSError, FloatingPointError) as error:
        console.print(f"error: {paragraph(error)}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted. What is finished is kept; the same command goes on from there.")
        return 130
    return 0


def run_recipe(schema: type[RecipeType], arguments: Sequence[str] | None = None) -> int:
    """Make the data set of a recipe whose options are given as key=value; as `run_script`."""
    return run_script(produce, schema, arguments)


def _help(schema: type) -> str:
    defaults = "\n".join(f"  {key}={value}" for key, value in vars(schema()).items())
    return f"{_documentation(schema)}\n\nDefaults:\n{defaults}"


def _documentation(schema: type) -> str:
    """Return the docstring of a dataclass, at its end the attributes that its bases explain."""
    said = inspect.getdoc(schema) or ""
    names = {field.name for field in fields(schema)}
    for base in filter(is_dataclass, schema.__mro__[1:]):
        explained = (base.__doc__ or "").partition("Attributes:\n")[2]
        for entry in re.findall(r"^ {8}\w+:.*(?:\n {12}.*)*", explained, re.MULTILINE):
            name = entry.split(":")[0].strip()
            if name in names and not re.search(rf"^ {{4}}{name}:", said, re.MULTILINE):
                said += f"\n{textwrap.indent(textwrap.dedent(entry), '    ')}"
    return said


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
    given = sys.argv[1:] if arguments is None else arguments
    if flags := [flag for flag in paired(given, given) if flag.word not in ("-h", "--help")]:
        raise ValueError(instead_of(flags, config))
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
            if isinstance(config[key], ListConfig):
                reason = f"it is a list; write {key}=[A,B]"
            raise ValueError(f"cannot use {option!r}: {reason}") from error
    for key, value in config.items():
        config[key] = _from_home(value)
    return cast(Config, OmegaConf.to_object(config))


def _from_home(value: Any) -> Any:
    """Return a path, or those in a list, with the home folder in place of a leading `~/`.

    A shell leaves it where it follows the equals sign of an option.
    """
    if isinstance(value, ListConfig):
        return [_from_home(item) for item in value]
    is_path = isinstance(value, str) and value.startswith("~/")
    return str(Path(value).expanduser()) if is_path else value
