"""A multirun of Hydra's: the points that overrides stand for."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import RangeSweep
from hydra.errors import HydraException

from aimarket.complaints import SettingsError, one_line
from aimarket.composition import explain, hydra_at_work

_MOST_POINTS = 1_000_000


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The points of a multirun as lists of plain overrides, every combination of what is swept.

    raises : SettingsError if an override cannot be parsed or swept
    """
    choices: dict[str, list[str]] = {}  # the last word on a key counts
    with hydra_at_work():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        for text in overrides:
            try:
                (override,) = parser.parse_overrides([text])
                key = override.get_key_element()
                if override.is_discrete_sweep():
                    if _length(override.value()) > _MOST_POINTS:
                        raise SettingsError(f"{text}: should stand for at most {_MOST_POINTS:,} points")
                    choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
                    if not choices[key]:
                        raise SettingsError(f"{text}: should stand for one value or more")
                elif override.is_sweep_override():
                    raise SettingsError(f"{text}: cannot be swept; list the values: key=1,2,3")
                elif not override.is_hydra_override():
                    choices[key] = [text]
            except SettingsError:
                raise
            except (HydraException, ValueError, RecursionError) as error:
                raise SettingsError(explain([text]) or one_line(str(error))) from None
    points = math.prod(map(len, choices.values()))
    if points > _MOST_POINTS:
        raise SettingsError(f"-m: should be at most {_MOST_POINTS:,} points (got {points:,})")
    return [list(point) for point in itertools.product(*choices.values())]


def _length(swept: Any) -> float:
    """How many values a range stands for, before they are made; 0 for a list, which stands in its text."""
    if not isinstance(swept, RangeSweep):
        return 0.0
    if not swept.step:
        return math.inf
    return (float(swept.stop or 0) - float(swept.start or 0)) / float(swept.step)
