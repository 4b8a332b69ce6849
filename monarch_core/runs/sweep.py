"""The command `monarch-sweep`: many runs side by side, which go on where they were stopped."""

import argparse
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException

from monarch_core.runs.home import expand_home
from monarch_core.runs.plain_files import read_overrides
from monarch_core.runs.results import RESULTS_FILE
from monarch_core.runs.signals import stop_signals_raise
from monarch_core.training.checkpoint import CHECKPOINT_FILE
from monarch_core.training.devices import usable_cores

_DESCRIPTION = """\
Run a training script once for every combination of values separated by commas, several at a time,
each in a folder named after its values. Called again, finished runs are skipped and unfinished ones
go on after their last whole epoch: after --minutes, Ctrl-C or a crash, repeat the command.
"""
_EXAMPLE = """\
monarch-sweep runs/burgers pde/train.py experiment=burgers transform=fft,monarch seed=0,1,2
"""
# What an interrupted run may take to leave; its last checkpoint is that of the last whole epoch.
GRACE_S = 20.0
POLL_S = 0.2


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        folder: its run folder.
        overrides: what follows the script on the command line.
    """

    folder: Path
    overrides: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether the run has results."""
        return (self.folder / RESULTS_FILE).exists()

    def command(self, script: Path) -> list[str]:
        """Return the command that starts the run, or goes on with it."""
        if not (self.folder / CHECKPOINT_FILE).exists():
            folder = f"hydra.run.dir={_quoted(self.folder)}"
            return [sys.executable, str(script), *self.overrides, folder]
        return [sys.executable, str(script), f"resume={_quoted(self.folder)}"]

    def check(self) -> None:
        """Raise ValueError if the folder holds a run that was started with other overrides."""
        earlier = read_overrides(self.folder)
        if earlier is not None and sorted(earlier) != sorted(self.overrides):
            raise ValueError(
                f"{self.folder} was started with {' '.join(earlier)}, now asked for is "
                f"{' '.join(self.overrides)}; delete that folder or choose another one"
            )


def expand(overrides: Sequence[str], out: Path) -> list[Job]:
    """Return the jobs of a sweep, the last of the varied options fastest.

    Args:
        overrides: as for the script; `key=a,b` and the other sweeps of hydra are varied.
        out: folder of the run folders, which are named by the varied options.

    Raises:
        ValueError: an override cannot be read, an option is given twice or names the run folder,
            or two runs would have one folder.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ValueError(f"cannot read {error.override!r}: {error}") from error
    keys = [override.key_or_group for override in parsed]
    for key in keys:
        if keys.count(key) > 1 or key in ("hydra.run.dir", "resume"):
            raise ValueError(f"{key} is set by the sweep or given twice; leave one out")
    choices = [_values(override) for override in parsed]
    varied = [override.is_sweep_override() for override in parsed]
    jobs = []
    for combination in itertools.product(*choices):
        words = [_word(text) for text, varies in zip(combination, varied, strict=True) if varies]
        jobs.append(Job(out / ("-".join(words) or "run"), tuple(combination)))
    folders = [job.folder for job in jobs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ValueError(f"two runs would share the folder {folder}; leave one of them out")
    return jobs


def _values(override: Override) -> list[str]:
    """Return the overrides that one with several values stands for."""
    line = override.input_line
    assert line is not None
    if not override.is_sweep_override():
        return [line]
    return [f"{line.split('=')[0]}={value}" for value in override.sweep_string_iterator()]


def run_jobs(jobs: Sequence[Job], script: Path, n_at_once: int, minutes: float | None) -> list[Job]:
    """Run jobs, some at once, and return those that failed or were not finished in time.

    Args:
        jobs: what to run; finished ones are skipped.
        script: the training script.
        n_at_once: processes; the cores are shared out among them.
        minutes: time after which runs are interrupted, and no further one is started.
    """
    stop = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    waiting = [job for job in jobs if not job.finished]
    running: list[tuple[Job, subprocess.Popen[bytes]]] = []
    _tell(f"{len(jobs)} runs, {len(jobs) - len(waiting)} of them finished before")
    try:
        while (waiting or running) and time.monotonic() < stop:
            while waiting and len(running) < n_at_once:
                job = waiting.pop(0)
                running.append((job, _start(job, script, n_at_once)))
            time.sleep(POLL_S)
            for job, process in [pair for pair in running if pair[1].poll() is not None]:
                running.remove((job, process))
                _tell(f"{job.folder}: {_outcome(job, process.returncode)}")
    except KeyboardInterrupt:
        _tell("Interrupted")
    finally:
        _stop([process for _, process in running])
    return [job for job in jobs if not job.finished]


def _start(job: Job, script: Path, n_at_once: int) -> "subprocess.Popen[bytes]":
    job.folder.mkdir(parents=True, exist_ok=True)
    threads = str(max(1, usable_cores() // n_at_once))
    # A session of its own, so that Ctrl-C reaches the runs through `_stop` and only once.
    with (job.folder / "output.log").open("ab") as output, _interruptible():
        return subprocess.Popen(
            job.command(script),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"OMP_NUM_THREADS": threads, **os.environ},
            start_new_session=True,
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a process that is started inside be interrupted, though this one may not be.

    A shell without job control has its background processes ignore SIGINT, and they pass that on.
    """
    if threading.current_thread() is not threading.main_thread():  # where signals are not set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stop(processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    """Interrupt processes together, and kill those that have not left after a while."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _outcome(job: Job, code: int) -> str:
    return "finished" if job.finished and code == 0 else f"failed, see {job.folder / 'output.log'}"


def _quoted(folder: Path) -> str:
    """Return a folder as hydra reads it, in quotes where its name holds other than plain words."""
    if re.fullmatch(r"[\w./+-]+", str(folder), re.ASCII):
        return str(folder)
    text = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + "\\'" * len(found[2]), str(folder))
    return f"'{text}'"


def _word(override: str) -> str:
    """Return `dataset.viscosity=1e-3` as `viscosity_1e-3`, for the name of a folder."""
    key, _, value = override.partition("=")
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", f"{key.lstrip('+').split('.')[-1]}_{value}").strip("_")


def _tell(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


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
    try:
        if options.jobs < 1:
            raise ValueError(f"--jobs must be at least 1, got {options.jobs}")
        if not options.script.is_file():
            raise ValueError(f"there is no script {options.script}; give that of an application")
        if "${" in str(options.out):
            raise ValueError(f"the name of a folder cannot hold ${{, got {options.out}; rename it")
        jobs = expand(expand_home(options.overrides), options.out.expanduser())
        for job in jobs:
            job.check()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    with stop_signals_raise():
        left = run_jobs(jobs, options.script, options.jobs, options.minutes)
    for job in left:
        _tell(f"{job.folder}: not finished; the same command goes on with it")
    return 1 if left else 0
