"""The entry of every script: hydra's command line, and in our words what is wrong with it."""

import contextlib
import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import hydra
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from monarch_core.runs.failures import Job, JobFailedError, user_errors
from monarch_core.runs.flags import foreign_flags, instead_of
from monarch_core.runs.home import expand_home
from monarch_core.runs.printable import listed, paragraph
from monarch_core.runs.schema import leaves, unknown_key

_REFUSALS = (ConfigCompositionException, OverrideParseException)
_SCHEMA = "_options"  # ends the names under which the dataclasses of a group are stored
# The first names of options that a run has from its training.
_OF_TRAINING = ("dataset", "model", "transform", "weight", "fit", "experiment", "seed")
_NO_CHOICE = re.compile(
    r"Could not override '([^']*)'\.\s+No match in the defaults list\..* use \+(.*)", re.DOTALL
)
_SWEEP = ("-m", "--multirun")
_HYDRA_FAILED = "Error executing job with overrides"


def entry_script(
    config_path: str,
    config_name: str,
    rewrite: Callable[[Sequence[str]], list[str]] = expand_home,
) -> Callable[[Job], Callable[..., Any]]:
    """Make the function of a script its entry: `hydra.main` with `user_errors`.

    What hydra cannot compose is refused in one paragraph that names the override, the names nearest
    to it and where all are to be seen; the script exits with 1. With HYDRA_FULL_ERROR=1 the
    exception of hydra passes through. Processes that a launcher starts find the checkout.

    Args:
        config_path: folder of the configs, from that of the script.
        config_name: the config, without `.yaml`.
        rewrite: turns the command line into what hydra reads.
    """

    def decorate(job: Job) -> Callable[..., Any]:
        start = hydra.main(config_path, config_name, version_base="1.3")(user_errors(job))

        @functools.wraps(job)
        def main(raw: Any = None) -> Any:
            if raw is not None:
                return start(raw)
            places = (sys.path[0], os.getenv("PYTHONPATH"))
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
            # hydra reads no override that follows a flag which follows another override
            sys.argv[1:] = sorted(rewrite(sys.argv[1:]), key=lambda word: word not in _SWEEP)
            folder = (Path(inspect.getfile(job)).parent / config_path).resolve()
            if flags := foreign_flags(sys.argv[1:]):
                meant = instead_of(flags, _options_of(folder, config_name, sys.argv[1:]))
                _refuse(f"{meant} {_everything()}")
            stream = _WithoutRefusals(sys.stderr)
            try:
                with contextlib.redirect_stderr(cast(TextIO, stream)):
                    return start()
            except SystemExit as ending:
                error = ending.__context__  # which hydra handled when it left
                if error is None or not _is_refusal(error):
                    raise
                groups = sorted(path.name for path in folder.iterdir() if path.is_dir())
                _refuse(explained(error, groups))
            finally:
                stream.release()

        return main

    return decorate


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"Error: {reason}\n")
    sys.exit(1)


class _WithoutRefusals:
    """Standard error, but for what hydra writes of a refusal, or of a job that has told its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""  # hydra's words for a failure that is not known yet

    def write(self, text: str) -> int:
        """Write a text unless it is about what the user is told already."""
        error = sys.exc_info()[1]
        if error is not None and (isinstance(error, JobFailedError) or _is_refusal(error)):
            self._held = ""
        elif text.startswith(_HYDRA_FAILED):
            self._held = text
        else:
            self._stream.write(self._held + text)
            self._held = ""
        return len(text)

    def release(self) -> None:
        """Write what was held back, since nothing has shown that it is told already."""
        self._stream.write(self._held)
        self._held = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def explained(error: BaseException, groups: Sequence[str] = ()) -> str:
    """Return in one paragraph what a command line asks for that is not there, and what is near.

    Args:
        error: what hydra raised when it composed the config.
        groups: of files to choose from, whether one of them is chosen or not.
    """
    everything, text, cause = _everything(), str(error), error.__cause__
    if isinstance(error, OverrideParseException):
        lines = [line for line in text.splitlines() if not line.startswith(("Error", "See"))]
        return (
            f"cannot read {error.override!r}: {paragraph(' '.join(lines))}; an override is "
            "key=value, with quotes around a value of more than plain words, as in \"key='a=b'\""
        )
    if isinstance(error, MissingConfigException) and error.options:
        return f"{_unknown_choice(str(error.missing_cfg_file), error.options)} {everything}"
    if ambiguous := re.search(r"Ambiguous value for argument '(.*)'", text):
        key, _, values = ambiguous[1].partition("=")
        return (
            f"{ambiguous[1]} holds several values; give {key}=[{values}] for a list, or run once "
            "for each with -m, or with monarch-sweep"
        )
    place = re.match(r"In '([^']+)'", text)
    where = f"{place[1]}: " if place else ""
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        asked = re.search(r"Could not override '(.*)'\.\nTo append to your config use \+(.*)", text)
        key, got = asked.groups() if asked else (str(cause.full_key), str(cause.full_key))
        config = _config_of(cause, key)
        if "run" in config and key.split(".")[0] not in config:  # it reads a finished run
            groups = ()
            if key.split(".")[0] in _OF_TRAINING:
                return f"{where}{_of_a_run(key, got, leaves(config))} {everything}"
        return f"{where}{got}: {unknown_key(key, config, groups)} {everything}"
    if chosen := _NO_CHOICE.search(text):
        return f"{_of_a_run(*chosen.groups())} {everything}"
    if isinstance(cause, OmegaConfBaseException):
        kind = f"config key {cause.full_key} has the wrong type: " if cause.full_key else ""
        return f"{where}{kind}{paragraph(str(cause).partition(chr(10))[0])} {everything}"
    return f"{paragraph(text)} {everything}"


def _is_refusal(error: BaseException) -> bool:
    """Tell whether hydra raised an error because it cannot compose a config."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    is_of_hydra = trace is not None and str(trace.tb_frame.f_globals["__name__"]).startswith(
        "hydra."
    )
    return isinstance(error, _REFUSALS) or (isinstance(error, ValueError) and is_of_hydra)


def _of_a_run(key: str, got: str, known: Sequence[str] = ()) -> str:
    """Return that an option belongs to the training of a run, which a script only reads.

    Args:
        key: of the option.
        got: the override.
        known: the options of the script.
    """
    script = Path(sys.argv[0])
    options = f"; known here: {listed(known)}" if known else ""
    return (
        f"{got}: {key} is an option of training, and {script.name} takes it from the config of a "
        f"finished run, as in run=RUN_DIR{options}; for a new run: python "
        f"{script.with_name('train.py')} {got}"
    )


def _everything() -> str:
    return f"(python {sys.argv[0]} --help shows all)"


def _options_of(folder: Path, name: str, arguments: Sequence[str]) -> DictConfig:
    """Return a config as far as arguments that are options, but no flags, can be obeyed."""
    overrides = [word for word in arguments if "=" in word and not word.startswith("-")]
    with hydra.initialize_config_dir(str(folder), version_base="1.3"):
        try:
            return hydra.compose(name, overrides)
        except (HydraException, ValueError):
            return hydra.compose(name)


def _unknown_choice(missing: str, options: Sequence[str]) -> str:
    group, _, name = missing.rpartition("/")
    names = [option for option in options if not option.endswith(_SCHEMA)]
    near = [f"{group}={option}" for option in get_close_matches(name, names)]
    remedy = f"did you mean {' or '.join(near)}?" if near else f"choose one of {listed(names)}"
    return f"there is no {group}={name}; {remedy}"


def _config_of(error: OmegaConfBaseException, key: str) -> DictConfig:
    """Return the config in which a key was looked for, of hydra's part only what is asked for."""
    root = error.parent_node._get_root()
    is_of_hydra = key.split(".")[0] == "hydra"
    return OmegaConf.masked_copy(root, [name for name in root if is_of_hydra == (name == "hydra")])
