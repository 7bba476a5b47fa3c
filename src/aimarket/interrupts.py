"""Ctrl-C, and the order to end, where nothing can be raised.

LLVM and Numba call Python back while functions are compiled and while what they return is made into arrays, and Python
calls `__del__` of what is thrown away: what a signal raises there is lost and the run goes on, or it fails because of
what was not done. So the signal comes again a moment later. One that comes while a compiled function runs is heard by
the first line of Python after it, which often is such a call.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_LATER = 0.001  # seconds
_DEAF = ("llvmlite.", "numba.core.serialize")


@contextmanager
def heard_everywhere() -> Iterator[None]:
    """No interrupt of the main thread is lost in LLVM or Numba."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield  # somebody else hears of interrupts, or nobody is to
        return
    hear = heard(_interrupt)
    alarm = signal.signal(signal.SIGALRM, hear)
    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGALRM, alarm)


def heard(act: Callable[[], NoReturn]) -> Callable[[int, FrameType | None], None]:
    """A handler that acts where something can be raised, or else a moment later, for which it has to hear SIGALRM too.

    act : raises
    """

    def hear(_: int, frame: FrameType | None) -> None:
        while frame:
            if frame.f_code.co_name == "__del__" or frame.f_globals.get("__name__", "").startswith(_DEAF):
                signal.setitimer(signal.ITIMER_REAL, _LATER)
                return
            frame = frame.f_back
        act()

    return hear


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt
