"""The command `monarch-sweep`: a multirun of hydra with a time limit and folders of short names."""

import argparse
import contextlib
import importlib.util
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import OverrideParseException

from monarch_core.runs.home import expand_home
from monarch_core.runs.overrides import job_name, key_of
from monarch_core.runs.signals import stop_signals_raise
from monarch_core.runs.sweep_progress import Display, Watch, display_for
from monarch_core.runs.typed import quoted

_DESCRIPTION = """\
Run a training script once for every combination of values separated by commas, several at a time,
each in a folder named after the values that vary. Called again, finished runs are skipped and
unfinished ones go on after their last whole epoch: after --minutes, Ctrl-C or a crash, repeat the
command. It shows which runs are done, running and waiting; what each says is in its train.log.
Without a time limit this is `SCRIPT -m hydra.sweep.dir=OUT key=value[,value...]`, which takes any
launcher of hydra.
"""
_EXAMPLE = """\
monarch-sweep runs/burgers pde/train.py experiment=burgers transform=fft,monarch seed=0,1,2
"""
# What an interrupted run may take to leave; its last checkpoint is that of the last whole epoch.
GRACE_S = 20.0
POLL_S = 0.2
UPDATE_S = 1.0  # between two looks at the runs
_OF_THE_SWEEP = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "resume")
_OUTPUT = "sweep.log"  # in the folder of the sweep
_QUIET = "ignore:resource_tracker"  # joblib's, on what it clears away after an interrupt


def multirun(out: Path, script: Path, overrides: Sequence[str], n_at_once: int) -> list[str]:
    """Return the command that starts a sweep, or goes on with it.

    Args:
        out: folder of the run folders.
        script: the training script.
        overrides: for it; `key=a,b` and the other sweeps of hydra are varied, and name the folders.
        n_at_once: runs at once.

    Raises:
        ValueError: an override cannot be read, an option is given twice or names the run folder,
            its values are not in it, there is no script or no launcher, a folder cannot have that
            name, or two runs would have the same.
    """
    if n_at_once < 1:
        raise ValueError(f"--jobs must be at least 1, got {n_at_once}")
    if n_at_once > 1 and not _has_joblib_launcher():
        raise ValueError(
            f"--jobs {n_at_once} needs the joblib launcher of hydra; install it with "
            "`pip install 'monarch-science[launch]'`, or leave --jobs out"
        )
    if not script.is_file():
        raise ValueError(f"there is no script {script}; give that of an application")
    if "${" in str(out):
        raise ValueError(f"the name of a folder cannot hold ${{, got {out}; rename it")
    parsed = _parsed(overrides)
    keys = [override.key_or_group for override in parsed]
    for key in keys:
        if keys.count(key) > 1 or key in _OF_THE_SWEEP:
            raise ValueError(f"{key} is set by the sweep or given twice; leave one out")
    jobs: dict[str, list[str]] = {}
    for words in _jobs(parsed):
        other = jobs.get(name := job_name(words))
        if other == words:
            raise ValueError(f"{' '.join(words)} stands twice; leave a value out that is repeated")
        if other is not None:
            raise ValueError(
                f"{' '.join(other)} and {' '.join(words)} would both be in the folder {name}, "
                "whose name holds English letters, digits and .+-_ only; write these values with "
                "other letters, or start a sweep for each"
            )
        jobs[name] = words
    varied = ",".join(key_of(o.get_key_element()) for o in parsed if o.is_sweep_override())
    names = f"hydra.sweep.subdir='${{job_name:${{hydra.overrides.task}},[{varied}]}}'"
    given = ["-m", f"hydra.sweep.dir={quoted(str(out.absolute()))}", names, *overrides]
    if n_at_once > 1:
        given += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={n_at_once}"]
    return [sys.executable, str(script), *given]


def folder_names(overrides: Sequence[str]) -> list[str]:
    """Return the names of the run folders of a sweep, in the order in which hydra starts them.

    Args:
        overrides: as for `multirun`, which has accepted them.
    """
    return [job_name(words) for words in _jobs(_parsed(overrides))]


def _jobs(parsed: Sequence[Override]) -> list[list[str]]:
    """Return what varies in each run of a sweep, as overrides."""
    for override in parsed:
        if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
            raise ValueError(
                f"{override.input_line} would name the runs after files that only hydra knows; "
                "give their names with commas between, or use SCRIPT -m"
            )
    varied = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        for o in parsed
        if o.is_sweep_override()
    ]
    return [list(words) for words in itertools.product(*varied)]


def _parsed(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ValueError(f"cannot read {error.override!r}: {error}") from error


def _has_joblib_launcher() -> bool:
    with contextlib.suppress(ModuleNotFoundError):  # there is no plugin of hydra at all
        return importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is not None
    return False


def run_for(command: Sequence[str], minutes: float | None, display: Display, output: Path) -> int:
    """Run a command and what it starts, at most for some minutes; return its exit code.

    What is stopped may finish its last words; what has not left after a while is killed.

    Args:
        command: the command.
        minutes: the time it may take; None for no limit.
        display: shows where the runs are, and what comes on standard error.
        output: receives what comes on standard output, behind what is there.
    """
    # A session of its own, so that Ctrl-C reaches the runs through here and only once.
    environment = {"PYTHONWARNINGS": _QUIET, **os.environ}
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    with (
        output.open("ab") as log,
        display,
        subprocess.Popen(
            command, start_new_session=True, env=environment, stdout=log, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        try:
            while (left := deadline - time.monotonic()) > 0:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(min(left, UPDATE_S))
                _pass_on(process.stderr, display)
                display.update()
        except KeyboardInterrupt:
            pass
        finally:
            _stop(process)
            _pass_on(process.stderr, display)
    return 1


def _pass_on(errors: IO[bytes], display: Display) -> None:
    """Show what has come on standard error, and wait for no more."""
    text = (errors.read() or b"").decode(errors="replace")
    if text:
        display.pass_on(text)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and those that it started to leave, and kill those that do not."""
    deadline = time.monotonic() + GRACE_S
    with contextlib.suppress(ProcessLookupError):  # until nobody of the group is left
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(POLL_S)
        os.killpg(process.pid, signal.SIGKILL)


def run_all(
    out: Path,
    script: Path,
    overrides: Sequence[str],
    n_at_once: int = 1,
    minutes: float | None = None,
) -> int:
    """Run a script once for each combination of values, and show where the runs are.

    Args:
        out: folder of the run folders; what is finished there is not done again.
        script: as `multirun`.
        overrides: as `multirun`.
        n_at_once: runs at the same time.
        minutes: the time that all may take; None for no limit.

    Returns:
        0 when every run is finished.

    Raises:
        ValueError: as `multirun`.
        OSError: the folder cannot be made, or the script not be started.
    """
    command = multirun(out, script, overrides, n_at_once)
    out.mkdir(parents=True, exist_ok=True)
    display = display_for(Watch(out, folder_names(overrides)), n_at_once)
    with stop_signals_raise():
        return run_for(command, minutes, display, out / _OUTPUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: command line without the program's name; by default that of the process.

    Returns:
        0 when every run is finished, 1 when some are not, 2 when something the user gave is wrong.
    """
    parser = argparse.ArgumentParser(
        "monarch-sweep",
        description=_DESCRIPTION,
        epilog=f"example: {_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="folder of the run folders")
    parser.add_argument("script", type=Path, help="such as pde/train.py")
    parser.add_argument("overrides", nargs="*", metavar="key=value[,value...]")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once (1)")
    parser.add_argument("--minutes", type=float, help="stop after this time (no limit)")
    options = parser.parse_intermixed_args(arguments)
    out, overrides = options.out.expanduser(), expand_home(options.overrides)
    try:
        code = run_all(out, options.script, overrides, options.jobs, options.minutes)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    if code != 0:
        sys.stdout.write(
            f"{out}: not all is finished; the same command goes on with it "
            f"(what the runs said: {out / _OUTPUT})\n"
        )
    return 1 if code else 0
