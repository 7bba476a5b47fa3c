"""Small studies on disk, made by the model itself, for what reads them."""

from pathlib import Path

from aimarket.composition import expand
from aimarket.configuration import load
from aimarket.simulation import run

SMALL = ("users.size=300", "run.panel=60", "run.steps=26")


def study(folder: Path, *overrides: str) -> Path:
    """Run every point of a multirun as the command line would; returns the folder of the study."""
    for point in expand([*SMALL, *overrides, f"outputs={folder}", "study=small"]):
        run(load(point), point)
    return folder / "small"
