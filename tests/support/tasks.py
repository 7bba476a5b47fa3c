"""Tasks that other processes can import."""

import os
import signal
import time


def square(number: int) -> int:
    if number == 3:
        raise ArithmeticError("three")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()
