"""SIGTERM and SIGHUP end a program as Ctrl-C does: with everything put away and a word on it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class StopSignalError(KeyboardInterrupt):
    """The program was asked to stop, by Slurm, docker or a terminal that closed.

    Attributes:
        name: of the signal.
        exit_code: what shells report for a program that it ended.
    """

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        super().__init__(self.name)


@contextlib.contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Raise StopSignalError at the first SIGTERM or SIGHUP; further ones do not disturb the end.

    A signal that is ignored (nohup) or handled already (by a launcher) stays so, and threads other
    than the main one, which cannot handle signals, change nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    taken = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() != owner:  # a forked worker, which has nothing to put away
            os._exit(128 + number)
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise StopSignalError(number)

    for each in taken:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
