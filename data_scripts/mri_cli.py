"""The command line of the MRI data scripts: key=value options of one dataclass."""

import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

Config = TypeVar("Config")


def run_script(
    main: Callable[[Config], None], schema: type[Config], arguments: Sequence[str] | None = None
) -> int:
    """Fill `schema` from key=value arguments and call `main` with it.

    What the user can correct (a wrong option, a missing or damaged file, no connection) is
    answered with one paragraph on standard error, without a traceback.

    Args:
        main: does the work.
        schema: dataclass of the options; its docstring explains them.
        arguments: the command line; `sys.argv` when None.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for a wrong option.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(stderr=True, highlight=False)
    if any(argument in ("-h", "--help", "help") for argument in arguments):
        console.print(_help(schema), markup=False)
        return 0
    try:
        config = _parse(schema, arguments)
    except (OmegaConfBaseException, ValueError) as error:
        console.print(f"Wrong option: {_first_line(error)}. {_known(schema)}", markup=False)
        return 2
    try:
        main(config)
    except (ValueError, OSError) as error:
        console.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted. What is finished is kept; run it again to go on.")
        return 1
    return 0


def _parse(schema: type[Config], arguments: Sequence[str]) -> Config:
    for argument in arguments:
        if "=" not in argument:
            raise ValueError(f"expected key=value, got {argument!r}")
    merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.from_dotlist(list(arguments)))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, schema)
    return config


def _known(schema: type) -> str:
    names = ", ".join(field.name for field in dataclasses.fields(schema))
    return f"The options are {names}; --help explains them"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _help(schema: type) -> str:
    defaults = "\n".join(f"  {key}={value}" for key, value in vars(schema()).items())
    return f"{textwrap.dedent(inspect.getdoc(schema) or '')}\n\nDefaults:\n{defaults}"
