"""The box of parameters in which a claim is asked how general it is: its axes, its points, and which axes matter."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aimarket.claims.libraries import library
from aimarket.claims.registration import Claim
from aimarket.complaints import SettingsError
from aimarket.composition import compose_plain
from aimarket.configuration import documented, settings_dict, validate
from aimarket.documented import NODE_KEYS

Place = Mapping[str, float | int]  # value by axis
_LEVELS = 4  # of Morris' grid
_DESIGN_SEED = 1


# ── keys ──


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and not all(name in node for name in NODE_KEYS):
        for name, value in node.items():
            yield from _leaves(value, f"{prefix}{name}.")
    else:
        yield prefix[:-1], node["value"] if isinstance(node, Mapping) else node


@lru_cache(maxsize=64)
def _composed(overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """Values, and documented ranges, by dotted key."""
    config = compose_plain(overrides)
    return dict(_leaves(config)), {key: number.range for key, number in documented(config).items()}


def spelled_out(overrides: Sequence[str]) -> list[str]:
    """The overrides with every `*` in a key replaced by the names that the configuration has there.

    raises : SettingsError if a pattern matches nothing
    """
    plain = tuple(override for override in overrides if "*" not in override.partition("=")[0])
    found: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        found += [f"{name}={value}" for name in matching(key, plain)] if "*" in key else [override]
    return found


def matching(pattern: str, overrides: tuple[str, ...]) -> list[str]:
    """Keys of a configuration that a pattern matches, part by part; a key without `*` is its own match."""
    if "*" not in pattern:
        return [pattern]
    parts = pattern.split(".")
    values, _ = _composed(overrides)
    keys = [key for key in values if len(key.split(".")) == len(parts)]
    found = [key for key in keys if all(map(fnmatch.fnmatchcase, key.split("."), parts))]
    if not found:
        raise SettingsError(f"{pattern}: no key of the configuration matches")
    return found


# ── axes ──


@dataclass(frozen=True)
class Direction:
    """One axis of the box with its bounds in figures."""

    pattern: str
    low: float
    high: float
    log: bool
    whole: bool  # whether only whole numbers make sense

    def value(self, share: float) -> float | int:
        """The value a share of the way from the lower to the upper bound, rounded to six digits."""
        value = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        return round(value) if self.whole else float(f"{value:.6g}")


def directions(claim: Claim) -> list[Direction]:
    """The axes of a claim's box, documented ranges in the place of null.

    raises : SettingsError if a key is unknown, its range is not documented, or a logarithm does not exist
    """
    base = (*claim.common, *claim.treatment)
    plain = tuple(override for override in base if "*" not in override.partition("=")[0])
    values, ranges = _composed(plain)
    typed = dict(_leaves(settings_dict(validate(compose_plain(plain)))))
    found = []
    for pattern, axis in claim.box.items():
        keys = matching(pattern, plain)
        if unknown := [key for key in keys if key not in values]:
            raise SettingsError(f"{claim.name}: box.{unknown[0]}: unknown key")
        bounds = axis.bounds or _shared([ranges.get(key) for key in keys])
        if bounds is None or bounds[0] >= bounds[1] or (axis.log and bounds[0] <= 0):
            raise SettingsError(f"{claim.name}: box.{pattern}: bounds should be [low, high] (got {bounds})")
        whole = all(type(typed[key]) is int for key in keys)
        found.append(Direction(pattern, float(bounds[0]), float(bounds[1]), axis.log, whole))
    return found


def _shared(ranges: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = [bounds for bounds in ranges if bounds]
    if len(known) < len(ranges):
        return None
    return max(low for low, _ in known), min(high for _, high in known)


def placed(directions_: Sequence[Direction], place: Place) -> list[str]:
    """Overrides that put a run at a place of the box; patterns are left to `spelled_out`."""
    return [f"{axis.pattern}={place[axis.pattern]!r}" for axis in directions_]


# ── designs ──


def latin_hypercube(axes: Sequence[Direction], points: int) -> list[Place]:
    """Points spread over the box so that every axis is covered evenly (McKay, Beckman and Conover, 1979)."""
    return _places(axes, library("SALib.sample.latin").sample(_unit_box(axes), points, seed=_DESIGN_SEED))


def morris_design(axes: Sequence[Direction], trajectories: int) -> tuple[list[Place], NDArray[np.float64]]:
    """Trajectories along the axes (Morris, 1991): places, and where they are in the unit box, (points, axes)."""
    sample = library("SALib.sample.morris").sample(_unit_box(axes), trajectories, num_levels=_LEVELS, seed=_DESIGN_SEED)
    return _places(axes, sample), sample


@dataclass(frozen=True)
class Influence:
    """How far the effect moves, on average, when one axis moves across its levels, with half the 95 % interval."""

    axis: str
    mu_star: float  # mean absolute elementary effect
    half_width: float  # bootstrapped
    mu: float  # mean elementary effect, with its sign
    sigma: float  # their standard deviation: interactions and curvature


def influences(axes: Sequence[Direction], sample: NDArray[np.float64], effects: NDArray[np.float64]) -> list[Influence]:
    """Axes by influence, greatest first; trajectories with a missing effect are left out.

    sample : (points, axes) in the unit box
    effects : (points,)
    """
    stride = len(axes) + 1
    whole = np.repeat(np.isfinite(effects.reshape(-1, stride)).all(axis=1), stride)
    if whole.sum() < 2 * stride:
        return []
    found = library("SALib.analyze.morris").analyze(
        _unit_box(axes), sample[whole], effects[whole], num_levels=_LEVELS, conf_level=0.95, seed=_DESIGN_SEED
    )
    rows = zip(axes, found["mu_star"], found["mu_star_conf"], found["mu"], found["sigma"], strict=True)
    made = [Influence(axis.pattern, float(a), float(b), float(c), float(d)) for axis, a, b, c, d in rows]
    return sorted(made, key=lambda influence: -influence.mu_star)


def _unit_box(axes: Sequence[Direction]) -> dict[str, Any]:
    return {"num_vars": len(axes), "names": [a.pattern for a in axes], "bounds": [[0.0, 1.0]] * len(axes)}


def _places(axes: Sequence[Direction], sample: NDArray[np.float64]) -> list[Place]:
    return [{axis.pattern: axis.value(float(share)) for axis, share in zip(axes, row, strict=True)} for row in sample]
