"""Elementary functions: as near the truth as they say, at the corners what they should be, and fixed to the bit."""

import os
import subprocess
import sys

import fixed_bits
import numpy as np
import pytest
from numba import njit

from aimarket.kernels.elementary import exp, exp_nonpositive, expm1, log, log1p

BITS = "e0941493f5323da7e88460c327d56abe2d8cb525dc61611628628f02e3af360f"
ULPS = {"exp": 1.1, "expm1": 2.0, "log": 0.9, "log1p": 3.0}


def every_magnitude(kind):
    """Numbers of both signs and all exponents, and more of them where functions change."""
    whole, step = (np.uint32, 2**13 - 1) if kind is np.float32 else (np.uint64, 2**45 - 1)
    bits = np.arange(0, np.iinfo(whole).max, step, dtype=whole).view(kind)
    near = np.linspace(-1, 1, 200_001)
    more = [bits[np.isfinite(bits)], near, 1 + near / 100, near * 100, near * 720]
    return np.concatenate([part.astype(kind) for part in more])


@pytest.mark.compiled
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", ULPS)
@np.errstate(all="ignore")
def test_errors_are_within_what_is_stated(name, kind):
    x = every_magnitude(kind)
    found, exact = fixed_bits.over_arrays(fixed_bits.FUNCTIONS[name])(x), getattr(np, name)(x.astype(float))
    assert found.dtype == kind
    rounded = exact.astype(kind)
    assert (np.isnan(found) == np.isnan(rounded)).all()
    assert (np.isinf(found) == np.isinf(rounded)).all()
    assert (found[np.isinf(found)] == rounded[np.isinf(found)]).all()
    smallest = 4 * np.finfo(kind).smallest_normal if name == "exp" else 0.0
    known = np.isfinite(rounded) & (np.abs(exact) >= smallest)
    ulps = np.abs(found[known].astype(float) - exact[known]) / np.spacing(np.abs(rounded[known])).astype(float)
    own = 1.0 if kind is np.float64 else 0.0  # NumPy's own last bit
    assert ulps.max() <= ULPS[name] + own
    assert (found[np.abs(exact) < smallest / 4] == 0).all() or name != "exp"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_corners(kind):
    inf, nan = kind(np.inf), kind(np.nan)
    assert [exp(kind(x)) for x in (0, -0.0, inf, -inf, 1e4, -1e4)] == [1, 1, inf, 0, inf, 0]
    assert [expm1(kind(x)) for x in (0, inf, -inf, -1e4)] == [0, inf, -1, -1]
    assert [log(kind(x)) for x in (0, -0.0, 1, inf)] == [-inf, -inf, 0, inf]
    assert [log1p(kind(x)) for x in (0, -1, inf)] == [0, -inf, inf]
    assert np.isnan([f(nan) for f in (exp, expm1, log, log1p)] + [log(kind(-1)), log(-inf), log1p(kind(-2))]).all()
    smallest = np.finfo(kind).smallest_subnormal
    assert log(smallest) == pytest.approx(np.log(float(smallest)), rel=1e-6)


@pytest.mark.compiled
@np.errstate(all="ignore")
def test_exponential_of_what_is_not_positive():
    x = every_magnitude(np.float32)
    x = np.append(x[x <= 0], np.float32(-np.inf))
    found, exact = fixed_bits.over_arrays(exp_nonpositive)(x), np.exp(x.astype(float))
    normal = exact >= 2.0**-125
    assert (np.abs(found / exact - 1) <= 3e-7 + 1e-7 * np.abs(x))[normal].all()
    assert (found[exact < 2.0**-127] == 0).all()


@pytest.mark.compiled
def test_bits_are_those_of_any_machine():
    assert fixed_bits.digest() == BITS


@pytest.mark.compiled
def test_bits_do_not_depend_on_the_width_of_vectors(tmp_path):
    """Compiled again for the least of its kind of machines: narrow vectors, no fused multiplication and addition."""
    narrow = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, fixed_bits.__file__], env=narrow, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == BITS


@pytest.mark.compiled
def test_loops_are_vectorised():
    """The point of it all: a call or a branch in the loop would keep it scalar."""

    @njit
    def loop(x, out):
        for i in range(len(x)):
            out[i] = log(exp(x[i]))

    out = np.empty(64, np.float32)
    loop(np.ones(64, np.float32), out)
    (assembly,) = loop.inspect_asm().values()
    packed = ("mulps", "fmul\tv", "fmul.4s")  # x86, ARM as GNU and as Apple write it
    assert any(instruction in assembly for instruction in packed)
