"""Exponentials and logarithms for compiled loops: the same bits on every machine, and vectorised.

The C library's functions differ in their last bits from machine to machine, and a call to one keeps a loop scalar.
These are additions, multiplications, divisions and comparisons alone, each rounded as IEEE 754 demands, in one fixed
order, so neither the machine nor the width of its vectors shows. The precision is that of the argument, float32 or
float64.

The argument is reduced to r = x - k ln 2 (or m = x/2^k) near 0 (or 1), where a minimax polynomial, fitted for this
file by Remez's exchange, does the rest. Errors are bounds in units in the last place (ulp) of the result, wherever that
is a normal number; exponentials below that are 0.

Source: Cody and Waite (1980), Software manual for the elementary functions; Tang (1989, 1990), ACM TOMS 15(2), 16(4).
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload


class _Precision(NamedTuple):
    """Numbers of one precision; p is the number of stored bits of the fraction."""

    zero: Any
    half: Any
    one: Any
    two: Any
    infinity: Any
    nan: Any
    log2_e: Any
    ln2_high: Any  # of so few bits that its product with a whole number is exact
    ln2_low: Any
    whole: Any  # 1.5 2^p: added and taken away again, it rounds to a whole number
    bias: Any  # of the exponent
    lowest: Any  # e^x is 0 from here on down
    highest: Any  # and infinite from here on up
    tiny: Any  # numbers below have fewer bits and are raised
    raising: Any  # by 2^p
    raised: Any  # p
    exp: Any  # (e^r - 1 - r)/r^2 in powers of r
    log: Any  # (ln m - 2 s)/s^3, s = (m - 1)/(m + 1), in powers of s^2


def _numbers(
    kind: Any, bits: int, bias: int, ln2: list[float], ends: list[float], exp: list[float], log: list[float]
) -> _Precision:
    same = [0, 0.5, 1, 2, np.inf, np.nan, 1.4426950408889634]
    layout = [2.0 ** (1 - bias), 2.0**bits, bits]
    numbers = [*same, *ln2, 1.5 * 2.0**bits, bias, *ends, *layout]
    return _Precision._make([*map(kind, numbers), tuple(map(kind, exp)), tuple(map(kind, log))])


_SINGLE = _numbers(
    np.float32,
    bits=23,
    bias=127,
    ln2=[0.693145751953125, 1.42860682031e-6],
    ends=[-87.3365, 89],
    exp=[0.49999998150759722, 0.16666543421497841, 0.041667200472129541, 0.0083665473964558088, 0.0013882528678],
    log=[0.66666776421832611, 0.39977527873259419, 0.29872287872013573],
)
_DOUBLE = _numbers(
    np.float64,
    bits=52,
    bias=1023,
    ln2=[0.6931471804855391, 7.440617110012397e-11],
    ends=[-708.3965, 710],
    exp=[
        0.5,
        0.16666666666666676547,
        0.041666666666666507515,
        0.0083333333333216531555,
        0.0013888888888962875691,
        0.0001984126988607673541,
        0.000024801587171743817054,
        2.7557244250726165109e-6,
        2.755740316652952321e-7,
        2.5109025657552878792e-8,
        2.0875213139652824546e-9,
    ],
    log=[
        0.66666666666667346486,
        0.39999999999412745001,
        0.28571428742896725272,
        0.22222198513142645136,
        0.18183567835223381103,
        0.15313951226106108975,
        0.14797035425576477852,
    ],
)
# 2^r in powers of r, for what needs no better than it gives.
_EXP2 = tuple(map(np.float32, [1.0000000721, 0.6931469658, 0.2402211761, 0.0555071443, 0.0096756557, 0.0013276375]))
_ROOTS_OF_HALF = {types.float32: 0x3F3504F3, types.float64: 0x3FE6A09E667F3BCD}  # as bits


def _precision(number: Any) -> Any:
    """The numbers of the precision that an argument has."""


@overload(_precision, inline="always")
def _choose_precision(number: Any) -> Any:
    numbers = _SINGLE if number == types.float32 else _DOUBLE

    def chosen(number: Any) -> Any:
        return numbers

    return chosen


# A call would keep the loop around it scalar, and so would the exception that Python makes of a division by zero.
inlined = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)


# --- the bits of a number ---------------------------------------------------------------------------------------------


def _layout(kind: Any) -> tuple[Any, Any, Any]:
    """Type of the bits of a number, how many stand before the exponent, and the bits of the root of one half."""
    integer = ir.IntType(kind.bitwidth)
    fraction = {32: 23, 64: 52}[kind.bitwidth]
    return integer, integer(fraction), integer(_ROOTS_OF_HALF[kind])


@intrinsic
def _power_of_two(context: Any, shifted: Any) -> Any:
    """2^k of `shifted`, which is k + bias + 1.5 2^p; 0 where k + bias is 0."""
    integer, fraction, _ = _layout(shifted)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], integer)
        return builder.bitcast(builder.shl(bits, fraction), arguments[0].type)

    return shifted(shifted), emit


@intrinsic
def _binade(context: Any, number: Any) -> Any:
    """The whole number k for which number / 2^k lies between the roots of 1/2 and of 2, as a float."""
    integer, fraction, root = _layout(number)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.sub(builder.bitcast(arguments[0], integer), root)
        return builder.sitofp(builder.ashr(bits, fraction), arguments[0].type)

    return number(number), emit


@intrinsic
def _mantissa(context: Any, number: Any) -> Any:
    """number / 2^k for the k of `_binade`."""
    integer, fraction, root = _layout(number)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.sub(builder.bitcast(arguments[0], integer), root)
        kept = builder.and_(bits, integer(2**fraction.constant - 1))
        return builder.bitcast(builder.add(kept, root), arguments[0].type)

    return number(number), emit


# --- the functions ----------------------------------------------------------------------------------------------------


@inlined
def exp(x: float) -> float:
    """e^x, within 1.1 ulp."""
    c = _precision(x)
    growth, half = _growth(x)
    return (half + half * growth) * c.two


@inlined
def expm1(x: float) -> float:
    """e^x - 1, within 2 ulp."""
    c = _precision(x)
    growth, half = _growth(x)
    return (half * growth + (half - c.half)) * c.two


@inlined
def _growth(x: float) -> tuple[float, float]:
    """e^r - 1 and 2^(k-1), where x = r + k ln 2."""
    c = _precision(x)
    x = c.highest if x > c.highest else x
    x = c.lowest if x < c.lowest else x
    k = (x * c.log2_e + c.whole) - c.whole
    r = (x - k * c.ln2_high) - k * c.ln2_low
    return r + r * r * _polynomial(c.exp, r), _power_of_two(k + (c.whole + (c.bias - c.one)))


@inlined
def exp_nonpositive(x: float) -> float:
    """e^x of a float32 that is at most 0, -inf too: cheaper than `exp`, within a relative error of 3e-7 + 1e-7 |x|."""
    c = _SINGLE
    x = x * c.log2_e
    x = -c.bias if x < -c.bias else x
    shifted = x + (c.whole + c.bias)
    return _polynomial(_EXP2, x - (shifted - (c.whole + c.bias))) * _power_of_two(shifted)


@inlined
def log(x: float) -> float:
    """Natural logarithm, within 0.9 ulp; -inf of 0, nan of what is below."""
    c = _precision(x)
    tiny = x < c.tiny
    normal = x * c.raising if tiny else x
    k = _binade(normal) - (c.raised if tiny else c.zero)
    f = _mantissa(normal) - c.one
    s = f / (c.two + f)
    z = s * s
    h = c.half * f * f  # ln m = f - h + s (h + z log(z))
    finite = k * c.ln2_high - ((h - (s * (h + z * _polynomial(c.log, z)) + k * c.ln2_low)) - f)
    finite = finite if x < c.infinity else x
    return finite if x > c.zero else (-c.infinity if x == c.zero else c.nan)


@inlined
def log1p(x: float) -> float:
    """ln(1 + x), within 3 ulp."""
    c = _precision(x)
    u = c.one + x  # what rounding takes from u is given back in proportion
    lost = u == c.one
    given = log(u) * (x / (c.one if lost else u - c.one))
    return x if lost or x == c.infinity else given


@inlined
def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """Horner's scheme; coefficients from the constant one on."""
    value = coefficients[-1]
    for power in range(len(coefficients) - 2, -1, -1):
        value = coefficients[power] + x * value
    return value
