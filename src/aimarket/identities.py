"""Accounting identities, checked at run time: a breach stops the run."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-9  # of the largest amount that enters an identity


class IdentityBreach(ArithmeticError):
    """An accounting identity does not hold."""


@dataclass(frozen=True)
class Identity:
    """Two ways to reckon the same thing.

    scale : the largest amount that entered, so that rounding is judged against what was added up
    """

    name: str
    left: float
    right: float
    scale: float = 0.0


def check(identities: Iterable[Identity], step: int) -> None:
    """Raise IdentityBreach with the name, the step and the amount of the first identity that does not hold."""
    for identity in identities:
        gap = identity.left - identity.right
        size = max(abs(identity.left), abs(identity.right), abs(identity.scale), 1e-12)
        if not (np.isfinite(gap) and abs(gap) <= TOLERANCE * size):
            raise IdentityBreach(
                f"{identity.name}: {identity.left!r} against {identity.right!r}, {gap:.6g} apart, in step {step}"
            )


def check_limit(name: str, amount: float, limit: float, step: int) -> None:
    """Raise IdentityBreach if `amount` exceeds `limit` by more than rounding."""
    if not amount <= limit * (1 + TOLERANCE) + 1e-12:
        raise IdentityBreach(f"{name}: {amount!r} exceeds {limit!r} in step {step}")
