"""Tasks that other processes can import."""

import os
import signal
import time

import numba
import numpy as np
from numba.core import serialize


def square(number: int) -> int:
    if number == 3:
        raise ArithmeticError("three")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def told_to_end(number: int) -> int:
    """The order to end comes where what it raises would be lost: while a result is made into an array."""

    class Interrupting(dict):
        def __getitem__(self, key):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().__getitem__(key)

    made = numba.njit(lambda many: (np.zeros(many), np.ones(many)))
    made(number)
    serialize._unpickled_memo = Interrupting(serialize._unpickled_memo)
    arrays = made(number)
    time.sleep(60)  # the order comes again long before
    return len(arrays)
