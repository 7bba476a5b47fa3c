"""A claim as it is registered: what it says, how it is tested, and what would speak against it.

One YAML file a claim in `registered/`, or anywhere else: `aimarket claims my.yaml`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from aimarket import yaml_files
from aimarket.claims.statistics import STATISTICS
from aimarket.complaints import SettingsError, describe, near, one_line
from aimarket.settings import Count, Flag, Name, NonNegative, Real, node

REGISTERED = Path(__file__).with_name("registered")

Text = Annotated[str, Field(strict=True, min_length=1)]
Overrides = tuple[Text, ...]  # as on the command line; `*` in a key stands for any name


@node
class Axis:
    """One direction of the box: every setting that its key matches takes the same value."""

    bounds: tuple[Real, Real] | None  # null: the documented range, of several settings what they share
    log: Flag = False  # whether it is walked in logarithms


@node
class Cell:
    """The two arms again, under other circumstances; what is given here comes after what the claim gives."""

    kind: Literal["condition", "variant", "null"]  # theory has a view; nobody has; a model the claim has to beat
    text: Text
    expect: Literal["holds", "fails"] | None = None  # what theory says of the claim here
    common: Overrides = ()
    treatment: Overrides = ()
    control: Overrides = ()


@node
class Claim:
    """A claim, the paired experiment that tests it, and the box in which it is asked how general it is."""

    name: Name
    called: Text  # as on the command line: its name, or its file
    title: Text
    question: Text
    prediction: Text
    statistic: Name  # of a run, a function of `statistics`; the effect is treatment less control at the same seed
    also: tuple[Name, ...] = ()  # further statistics, reported and not tested
    sign: Literal[-1, 1]
    smallest: NonNegative  # smallest effect of interest, in the unit of the statistic
    common: Overrides
    treatment: Overrides
    control: Overrides
    seeds: Annotated[int, Field(strict=True, ge=40)]  # pairs at the default
    cell_seeds: Annotated[int, Field(strict=True, ge=2)]  # pairs in each cell
    cells: Mapping[Name, Cell]
    box: Mapping[Text, Axis]
    box_points: Annotated[int, Field(strict=True, ge=4)]
    trajectories: Annotated[int, Field(strict=True, ge=2)]  # of Morris' design
    inputs: tuple[Text, ...]  # what is put in, and may not be reported as found
    findings: tuple[Text, ...]
    amended: tuple[Text, ...] = ()  # what was changed after results had been seen, and why


@node
class Sizes:
    """How many pairs are run for each part of the answer."""

    seeds: Count
    cell_seeds: Count
    box_points: Count
    trajectories: Count
    confirmations: Count  # fresh seeds for the counter-example


QUICK = Sizes(seeds=3, cell_seeds=1, box_points=4, trajectories=2, confirmations=2)
QUICK_OVERRIDES = ("users.size=600", "run.panel=150", "run.steps=36")


def registered() -> list[str]:
    """Names of the claims that come with the package."""
    return sorted(path.stem for path in REGISTERED.glob("*.yaml"))


def family(names: Sequence[str]) -> list[str]:
    """The claims over which p-values are corrected: all that come with the package, or those of one's own."""
    return registered() if set(names) <= set(registered()) else list(names)


def load_claim(name_or_path: str) -> Claim:
    """A registered claim by name, or one from a YAML file.

    raises : SettingsError that names the key and what is allowed
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        if name_or_path not in registered():
            raise SettingsError(f"{name_or_path}: no such claim{near(name_or_path, registered())}")
        path = REGISTERED / f"{name_or_path}.yaml"
    written = yaml_files.load(path)
    try:
        claim = TypeAdapter(Claim).validate_python({**written, "name": path.stem, "called": name_or_path})
    except ValidationError as error:
        raise SettingsError(describe(error, Claim, f"{path.name}: ")) from None
    except TypeError as error:
        raise SettingsError(f"{path}: {one_line(str(error))}") from None
    for statistic in (claim.statistic, *claim.also):
        if statistic not in STATISTICS:
            raise SettingsError(f"{path.name}: {statistic}: no such statistic{near(statistic, sorted(STATISTICS))}")
    return claim


def sizes_of(claim: Claim) -> Sizes:
    """The sizes that the claim registers."""
    return Sizes(
        seeds=claim.seeds,
        cell_seeds=claim.cell_seeds,
        box_points=claim.box_points,
        trajectories=claim.trajectories,
        confirmations=5,
    )
