"""How many users a test takes."""

import numba


def crowd(users: int) -> int:
    """So many, and a twentieth of them where loops run uncompiled, which takes a thousand times as long a user."""
    return users // 20 if numba.config.DISABLE_JIT else users
