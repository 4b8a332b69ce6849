"""What the user sees of a sweep while it runs: which runs are where, and how long it will take."""

import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from monarch_core.extras import require
from monarch_core.runs.folder import RunFolder
from monarch_core.runs.standing import Standing, standing_of

require("train", "rich")

from rich.console import Console  # noqa: E402
from rich.live import Live  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

SECONDS_BETWEEN_LINES = 60.0
_LINES_AROUND = 8  # of the screen, that are not rows of runs
_STYLES = {"running": "bold", "failed": "red", "finished": "green", "waiting": "dim"}
_FIRST = ("running", "failed", "finished", "waiting")  # where not all runs fit the screen
_WORDS = {"finished": "done"}

Standings = Mapping[str, Standing]


class Watch:
    """Looks at the folders of a sweep.

    A failure that was there before and has not changed is no failure of this sweep: the run waits
    for another attempt. So does one that was stopped.
    """

    def __init__(self, out: Path, names: Sequence[str]) -> None:
        self._folders = {name: RunFolder(out / name) for name in dict.fromkeys(names)}
        self._finished: dict[str, Standing] = {}
        self._failures = {name: _changed(f.trouble) for name, f in self._folders.items()}
        self.n_before = sum(folder.is_finished for folder in self._folders.values())

    def look(self) -> dict[str, Standing]:
        """Return where every run stands, as "waiting", "running", "failed" or "finished"."""
        return {name: self._finished.get(name) or self._look_at(name) for name in self._folders}

    def _look_at(self, name: str) -> Standing:
        folder = self._folders[name]
        found = standing_of(folder)
        if found.stage == "finished":
            self._finished[name] = found
        is_old = found.stage == "failed" and _changed(folder.trouble) == self._failures[name]
        if found.stage == "stopped" or is_old:
            return Standing("waiting", found.n_done, found.n_epochs, found.valid_error)
        return found


def time_left(standings: Standings, n_at_once: int) -> float | None:
    """Return how many seconds a sweep will take, None as long as no epoch tells.

    An epoch of a run that has not begun takes the mean of those of the others, and it has as many
    as they have.
    """
    open_runs = [s for s in standings.values() if s.stage in ("waiting", "running")]
    paces = [s.seconds_per_epoch for s in standings.values() if s.seconds_per_epoch is not None]
    lengths = [s.n_epochs for s in standings.values() if s.n_epochs is not None]
    if not paces or not lengths:
        return 0.0 if not open_runs else None
    pace, length = math.fsum(paces) / len(paces), sum(lengths) / len(lengths)
    times = []
    for run in open_runs:
        n_left = length - run.n_done if run.n_left is None else run.n_left
        own = pace if run.seconds_per_epoch is None else run.seconds_per_epoch
        times.append(n_left * own)
    return max([math.fsum(times) / n_at_once, *times])


def summary(standings: Standings, n_at_once: int) -> str:
    """Return the sweep in a line, such as `2 of 6 done, 1 running, 3 waiting`."""
    stages = [standing.stage for standing in standings.values()]
    parts = [f"{stages.count('finished')} of {len(stages)} done"]
    parts += [f"{stages.count(s)} {s}" for s in ("running", "failed", "waiting") if s in stages]
    left = time_left(standings, n_at_once)
    tail = f"; about {_clock(left)} left" if left else ""
    return ", ".join(parts) + tail


class Display(ABC):
    """Shows a sweep from when it is entered until it is left."""

    def __enter__(self) -> "Display":
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.update()
        self.end()

    @abstractmethod
    def begin(self) -> None:
        """Look at the runs for the first time."""

    @abstractmethod
    def update(self) -> None:
        """Look at the runs and show where they are."""

    @abstractmethod
    def pass_on(self, text: str) -> None:
        """Show what the runs say on standard error."""

    @abstractmethod
    def end(self) -> None:
        """Show no more, after the last update."""


class Lines(Display):
    """A line for whatever happens, and one for all of it from time to time."""

    def __init__(
        self,
        watch: Watch,
        n_at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watch, self._n_at_once, self._clock = watch, n_at_once, clock
        self._before: dict[str, Standing] = {}
        self._last = -math.inf

    def begin(self) -> None:
        """Say how many runs there are."""
        n_before = self._watch.n_before
        done = f", {n_before} of them done before" if n_before else ""
        self._before = self._watch.look()
        self._say(f"{len(self._before)} runs{done}")

    def update(self) -> None:
        """Look at the runs and say what is new."""
        now = self._watch.look()
        for name, run in now.items():
            before = self._before[name]
            if run.stage != before.stage:
                self._say(f"{name}: {_event(before, run)}")
        if self._clock() - self._last >= SECONDS_BETWEEN_LINES:
            current = [f"{n}: {s.words}" for n, s in now.items() if s.stage == "running"]
            self._say("; ".join([summary(now, self._n_at_once), *current]))
        self._before = now

    def end(self) -> None:
        """Say how the sweep stands."""
        self._say(summary(self._before, self._n_at_once))

    def pass_on(self, text: str) -> None:
        """Show what the runs say on standard error."""
        sys.stderr.write(text)
        sys.stderr.flush()

    def _say(self, line: str) -> None:
        self._last = self._clock()
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


class Screen(Display):
    """A table of the runs that is drawn over itself, for a terminal."""

    def __init__(self, watch: Watch, n_at_once: int, console: Console) -> None:
        self._watch, self._n_at_once, self._console = watch, n_at_once, console
        self._live = Live(console=console, auto_refresh=False)

    def begin(self) -> None:
        """Draw the table for the first time."""
        self._live.start()
        self.update()

    def update(self) -> None:
        """Draw the table anew."""
        n_rows = max(3, self._console.height - _LINES_AROUND)
        table = table_of(self._watch.look(), self._n_at_once, n_rows)
        self._live.update(table, refresh=True)

    def pass_on(self, text: str) -> None:
        """Show above the table what the runs say on standard error."""
        self._console.print(Text(text.rstrip("\n")))

    def end(self) -> None:
        """Leave the table as it is."""
        self._live.stop()


def display_for(watch: Watch, n_at_once: int, console: Console | None = None) -> Display:
    """Return the table on a terminal, plain lines elsewhere."""
    console = console or Console()
    if console.is_terminal:
        return Screen(watch, n_at_once, console)
    return Lines(watch, n_at_once)


def table_of(standings: Standings, n_at_once: int, n_rows: int) -> Table:
    """Return the table of a sweep; where not all runs fit, those that matter most are shown."""
    table = Table(title=summary(standings, n_at_once), title_justify="left", box=None)
    for name in ("run", "", "epoch", "validation error", "left"):
        table.add_column(name, justify="right" if name in ("epoch", "left") else "left")
    names = list(standings)
    if len(names) > n_rows:
        by_stage = sorted(names, key=lambda name: _FIRST.index(standings[name].stage))
        kept = set(by_stage[:n_rows])
        table.caption = f"{len(names) - n_rows} more are not shown"
        names = [name for name in names if name in kept]
    for name in names:
        run = standings[name]
        table.add_row(*map(Text, (name, *_cells(run))), style=_STYLES.get(run.stage, ""))
    return table


def _cells(run: Standing) -> tuple[str, str, str, str]:
    word = _WORDS.get(run.stage, run.stage)
    if run.stage == "failed":
        return word, "", run.why, ""
    of = "" if run.n_epochs is None else f"/{run.n_epochs}"
    epoch = f"{run.n_done}{of}" if run.n_done else ""
    error = "" if run.valid_error is None else f"{run.valid_error:.3g}"
    left = ""
    if run.stage == "running" and run.seconds_per_epoch is not None and run.n_left is not None:
        left = _clock(run.n_left * run.seconds_per_epoch)
    return word, epoch, error, left


def _event(before: Standing, run: Standing) -> str:
    if run.stage == "failed":
        return f"failed: {run.why}"
    if run.stage == "finished":
        return f"done, {run.words}" if run.n_done else "done"
    if run.stage == "running":
        return f"running, goes on after {before.words}" if before.n_done else "running"
    return "stopped"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
