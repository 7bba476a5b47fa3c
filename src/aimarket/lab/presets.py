"""What the page offers: markets of `conf/experiment/lab/`, each with a question and a few things to turn.

A preset is a YAML file beside this one, named as its experiment. It holds words and stops, no numbers of the market: a
stop is the value that an override gives to one or more keys, so whatever the page shows is what `aimarket run` runs.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from aimarket.configuration import checked, load
from aimarket.settings import Count, Name, Real, Text, node

Key = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z_][\w.*]*$")]  # of a setting; * stands for every provider
Line = Annotated[str, Field(strict=True, min_length=1, max_length=160)]
MOST_SEEDS = 1_000_100  # the page goes to a million, and from there thirty further
SEEDS = 30  # that the page asks for at once


@node
class Slider:
    """Something to turn: a setting, or one of every provider, that takes one of a few values."""

    label: Line
    unit: Text  # one that begins with % is shown in hundredths of what the setting takes
    keys: tuple[Key, ...]
    stops: Annotated[tuple[Real, ...], Field(min_length=2, max_length=15)]  # ascending
    start: Annotated[int, Field(strict=True, ge=0)]  # the stop at which the preset stands


@node
class Switch:
    """A mechanism that can be put out of action."""

    label: Line
    overrides: tuple[Annotated[str, Field(strict=True, pattern=r"^[\w.*/@]+=\S+$")], ...]


@node
class Guess:
    """What the student commits to: one number of a column."""

    column: Name  # of the table market
    question: Line
    low: Real  # in the unit in which the page shows the column
    high: Real
    step: Real
    at: Literal["last_year", "highest"] = "last_year"  # mean of the last twelve months, or the highest of all


@node
class Preset:
    order: Count
    title: Line
    question: Line  # one sentence
    story: Text  # what the market is
    guess: Guess
    sliders: Mapping[Name, Slider]
    switches: Mapping[Name, Switch]
    notice: Text
    attempt: Annotated[tuple[Text, ...], Field(min_length=1)]
    extend: Annotated[tuple[Text, ...], Field(min_length=1)]
    lessons: tuple[Name, ...]  # of docs/lessons


class RequestError(ValueError):
    """A request that cannot be met; the message is one line that says what can."""


@dataclass(frozen=True)
class Point:
    """A market as the page asks for it: where each slider stands, what is switched off, and the seed."""

    preset: str
    seed: int
    stops: tuple[int, ...]  # by slider
    off: tuple[bool, ...]  # by switch

    def overrides(self) -> list[str]:
        """What `aimarket run` is told; nothing that stands as the preset has it."""
        preset = presets()[self.preset]
        chosen = [f"experiment=lab/{self.preset}"]
        for slider, stop in zip(preset.sliders.values(), self.stops, strict=True):
            if stop != slider.start:
                chosen += [f"{key}={slider.stops[stop]:g}" for key in _spread(self.preset, slider.keys)]
        for switch, off in zip(preset.switches.values(), self.off, strict=True):
            chosen += _spread(self.preset, switch.overrides) if off else []
        return [*chosen, f"run.seed={self.seed}"]

    def near(self) -> Iterator["Point"]:
        """What whoever looks at this may ask for next: itself, then one control turned.

        Sliders go a stop on, then to either end, where hands go to see what a thing does at all; then to wherever.
        """
        one = [stops for stops in self._places() if self._moved(stops) == 1]
        steps = [stops for stops in one if self._distance(stops) == 1]
        ends = [stops for stops in one if stops not in steps and self._ends_moved(stops)]
        between = [stops for stops in one if stops not in steps and stops not in ends]
        yield self
        yield from (replace(self, stops=stops) for stops in steps)
        for i, off in enumerate(self.off):
            yield replace(self, off=(*self.off[:i], not off, *self.off[i + 1 :]))
        yield from (replace(self, stops=stops) for stops in ends + between)

    def other_seeds(self) -> Iterator["Point"]:
        """The same market with other luck."""
        yield from (replace(self, seed=seed) for seed in range(self.seed + 1, min(self.seed + SEEDS, MOST_SEEDS)))

    def far(self) -> Iterator["Point"]:
        """The map as it opens: the first two sliders moved, nearest first."""
        yield from (replace(self, stops=s) for s in self._places() if self._moved(s) > 1 and s[2:] == self.stops[2:])

    def rest(self) -> Iterator["Point"]:
        """All else that the preset offers with this luck, as few controls turned as may be, nearest first."""
        before = {*self.near(), *self.far()}
        switched = product((False, True), repeat=len(self.off))
        every = [replace(self, stops=stops, off=off) for off in switched for stops in self._places()]
        yield from (point for point in sorted(every, key=self._turned) if point not in before)

    def _places(self) -> list[tuple[int, ...]]:
        """Wherever the sliders may stand, nearest first."""
        every = product(*(range(len(slider.stops)) for slider in presets()[self.preset].sliders.values()))
        return sorted(every, key=self._distance)

    def _distance(self, stops: tuple[int, ...]) -> int:
        return sum(abs(a - b) for a, b in zip(stops, self.stops, strict=True))

    def _moved(self, stops: tuple[int, ...]) -> int:
        return sum(a != b for a, b in zip(stops, self.stops, strict=True))

    def _ends_moved(self, stops: tuple[int, ...]) -> bool:
        """Whether a slider that has moved stands at an end."""
        sliders = presets()[self.preset].sliders.values()
        return any(
            now != then and now in (0, len(slider.stops) - 1)
            for now, then, slider in zip(stops, self.stops, sliders, strict=True)
        )

    def _turned(self, other: "Point") -> int:
        return self._moved(other.stops) + sum(a != b for a, b in zip(other.off, self.off, strict=True))


@cache
def presets() -> dict[str, Preset]:
    """Every preset by name, in the order of the page.

    raises : SettingsError if a file is not what it should be
    """
    found = {}
    for file in files(__package__).joinpath("presets").iterdir():
        if file.name.endswith(".yaml"):
            name = file.name.removesuffix(".yaml")
            found[name] = checked(Preset, yaml.safe_load(file.read_text(encoding="utf-8")), f"{file.name}: ")
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def point_of(query: Mapping[str, str]) -> Point:
    """The market that a request names: `preset`, `seed`, `<slider>=<stop>`, `off=<switch>,<switch>`.

    raises : RequestError
    """
    rest = dict(query)
    name = rest.pop("preset", "")
    if name not in presets():
        raise RequestError(f"preset: no such preset (got {name!r:.60}); allowed: {', '.join(presets())}")
    preset = presets()[name]
    seed = _whole(rest.pop("seed", "1"), "seed", MOST_SEEDS - 1)
    off = [item for item in rest.pop("off", "").split(",") if item]
    if unknown := [item for item in off if item not in preset.switches]:
        raise RequestError(f"off: no such switch (got {unknown[0]!r:.60}); allowed: {', '.join(preset.switches)}")
    stops = tuple(
        _whole(rest.pop(key, str(slider.start)), key, len(slider.stops) - 1) for key, slider in preset.sliders.items()
    )
    if rest:
        raise RequestError(
            f"{next(iter(rest))!r:.60}: unknown; allowed: preset, seed, off, {', '.join(preset.sliders)}"
        )
    return Point(name, seed, stops, tuple(switch in off for switch in preset.switches))


def _whole(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 7 and int(text) <= most):
        raise RequestError(f"{name}: should be a whole number from 0 to {most} (got {text!r:.60})")
    return int(text)


def _spread(preset: str, keys: tuple[str, ...]) -> list[str]:
    """Keys with `providers.*` written out for every provider."""
    return [key.replace("*", name) for key in keys for name in (providers(preset) if "*" in key else ("",))]


@cache
def providers(preset: str) -> tuple[str, ...]:
    """The providers of a preset, in the order of its roster."""
    return tuple(load([f"experiment=lab/{preset}"]).providers)


@cache
def catalogue() -> bytes:
    """All that the page has to know of the presets, as JSON."""
    return json.dumps({"presets": [_offered(name, preset) for name, preset in presets().items()]}).encode()


def _offered(name: str, preset: Preset) -> dict[str, Any]:
    words = dataclasses.asdict(preset)
    for slider in words["sliders"].values():
        del slider["keys"]
    for switch in words["switches"].values():
        said = {override.partition("=")[0] for override in switch.pop("overrides")}
        switch["silences"] = [slider for slider, turned in preset.sliders.items() if said.issuperset(turned.keys)]
    months = load([f"experiment=lab/{name}"]).run.steps
    return {"name": name, "providers": providers(name), "months": months, **words}
