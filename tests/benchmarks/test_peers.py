"""Peers do the same work, and the kernels keep their lead: ratios within one process, not seconds."""

import shutil

import numpy as np
import pytest
from benchmarks.against_peers import BY_COLUMNS, differ, seconds_of
from benchmarks.month import crowd
from benchmarks.peers import arrays, compiled, objects

FASTER = 4.0  # than NumPy in chunks, at least; it is about 18 times where vectors have 512 bits


def test_the_kernels_are_many_times_as_fast_as_numpy():
    users = crowd(40_000)
    seconds = seconds_of({"kernels": compiled.kernel(users), "NumPy": arrays.chunked(users)}, rounds=5)
    assert seconds["NumPy"] > FASTER * seconds["kernels"]


def test_each_kernel_is_compiled_once_for_whatever_size():
    """A second version would be one for arrays that are not contiguous, which is slower."""
    for users in (1, 5000, 70_000):
        compiled.kernel(crowd(users))(1)
    assert len(compiled.chunk_month.signatures) == 1
    (signature,) = compiled.chunk_month.signatures
    assert "A)" not in str(signature)


def test_users_of_mesa_do_the_work_of_the_kernels():
    users = crowd(2000)
    one, other = compiled.kernel(users), objects.mesa(users)
    for month in range(1, 5):
        assert not differ(one(month), other(month))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_users_in_c_do_what_those_of_the_kernels_do():
    users = crowd(20_000)
    months = [BY_COLUMNS[name](users) for name in ("compiled kernels", "C, written alike", "C, user by user")]
    for number in range(1, 5):
        (kernels, use), *others = [month(number) for month in months]
        for counted, used in others:
            assert np.abs(counted - kernels).sum() <= 4  # the same draws: only what lies at a border may differ
            np.testing.assert_allclose(used, use, rtol=1e-2)


def test_a_difference_is_seen():
    users = crowd(20_000)
    right, wrong = compiled.kernel(users), compiled.kernel(crowd(20_000))
    users.offered[0] += 0.5
    assert differ(compiled.kernel(users)(1), wrong(1))
    assert not differ(right(1), right(2))
