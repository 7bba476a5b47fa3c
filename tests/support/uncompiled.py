"""What the compiler adds to the language, in plain Python: compiled loops run as they are written, line by line.

For `NUMBA_DISABLE_JIT=1 pytest -p uncompiled -m "not compiled"`, by which `make coverage` and `make mutants-loops` look
into compiled functions. Numbers are the same to rounding; a loop takes about a thousand times as long.
"""

from functools import singledispatch
from typing import Any

import hypothesis
import numba
import numpy as np

if not numba.config.DISABLE_JIT:
    raise RuntimeError("set NUMBA_DISABLE_JIT=1 before Python starts")


def cfunc(*_: Any, **__: Any) -> Any:
    """Like the other decorators of Numba without its compiler: the function itself. Numba would compile it still."""
    return lambda function: function


numba.cfunc = cfunc

from aimarket.kernels import elementary, price_search, profit  # noqa: E402

_BITS = {  # of a number: its integers, bits of the fraction, and the root of one half
    np.float32: (np.int32, 23, elementary._ROOTS_OF_HALF[numba.types.float32]),
    np.float64: (np.int64, 52, elementary._ROOTS_OF_HALF[numba.types.float64]),
}


def _precision(number: Any) -> Any:
    return elementary._SINGLE if isinstance(number, np.float32) else elementary._DOUBLE


def _power_of_two(shifted: Any) -> Any:
    integer, fraction, _ = _BITS[type(shifted)]
    return (shifted.view(integer) << integer(fraction)).view(type(shifted))


def _binade(number: Any) -> Any:
    number = np.asarray(number)[()]  # a float of Python is a float64
    integer, fraction, root = _BITS[type(number)]
    return type(number)((number.view(integer) - integer(root)) >> integer(fraction))


def _mantissa(number: Any) -> Any:
    number = np.asarray(number)[()]
    integer, fraction, root = _BITS[type(number)]
    kept = (number.view(integer) - integer(root)) & integer(2**fraction - 1)
    return (kept + integer(root)).view(type(number))


@singledispatch
def value_at(objective: Any, prices: Any) -> Any:
    raise TypeError(f"nobody has said what a {type(objective).__name__} is worth")


@value_at.register
def _of_expected(objective: profit.ExpectedValue, prices: Any) -> Any:
    return profit._value(objective, prices)


@value_at.register
def _of_pointed(objective: price_search.Pointed, prices: Any) -> Any:
    found = np.empty(1 + prices.size)
    objective.function(prices, objective.parameters, found)
    return found[0], found[1:].reshape(prices.shape)


elementary._precision = _precision
elementary._power_of_two, elementary._binade, elementary._mantissa = _power_of_two, _binade, _mantissa
price_search.value_at = value_at
np.seterr(all="ignore")  # no compiled loop warns
hypothesis.settings.register_profile("uncompiled", max_examples=10, deadline=None)
hypothesis.settings.load_profile("uncompiled")
