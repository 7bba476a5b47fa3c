"""Ctrl-C while functions are compiled, and while what they return is made into arrays.

LLVM and Numba call Python back from where nothing can be raised: an interrupt that comes there is lost and the run goes
on, or it fails because of what was not done. So it comes again a moment later. One that comes while a compiled function
runs is heard by the first line of Python after it, which often is such a call.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_LATER = 0.001  # seconds
_DEAF = ("llvmlite.", "numba.core.serialize")


@contextmanager
def heard_everywhere() -> Iterator[None]:
    """No interrupt of the main thread is lost in LLVM or Numba."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield  # somebody else hears of interrupts, or nobody is to
        return
    alarm = signal.signal(signal.SIGALRM, _hear)
    signal.signal(signal.SIGINT, _hear)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGALRM, alarm)


def _hear(_: int, frame: FrameType | None) -> None:
    """The handler of the signal, and of its coming again."""
    while frame:
        if frame.f_globals.get("__name__", "").startswith(_DEAF):
            signal.setitimer(signal.ITIMER_REAL, _LATER)
            return
        frame = frame.f_back
    raise KeyboardInterrupt
