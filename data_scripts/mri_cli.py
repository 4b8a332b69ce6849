"""The command line of the MRI data scripts: options, help, and errors without a traceback."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console

from data_scripts.command_line import config_from_arguments

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
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if any(argument in ("-h", "--help") for argument in arguments):
        console.print(_help(schema))
        return 0
    try:
        config = config_from_arguments(schema, arguments, inspect.getdoc(schema) or "")
    except ValueError as error:
        console.print(f"error: {error}")
        return 2
    try:
        main(config)
    except (ValueError, OSError) as error:
        console.print(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted. What is finished is kept; run it again to go on.")
        return 1
    return 0


def _help(schema: type) -> str:
    defaults = "\n".join(f"  {key}={value}" for key, value in vars(schema()).items())
    return f"{inspect.getdoc(schema)}\n\nDefaults:\n{defaults}"
