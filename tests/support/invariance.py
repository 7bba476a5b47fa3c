"""What must be the same in two markets, and how the same market is written in another unit of money."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aimarket import Settings
from aimarket.configuration import documented, settings_dict, validate
from aimarket.data import list_prices
from aimarket.recording import Recording
from aimarket.schema import TABLES
from aimarket.simulation import run

KEYS = ["replication", "step"]
TWICE = {column.name: 2.0 for table in TABLES.values() for column in table if column.unit.startswith("USD")}


def rows(recording: Recording, table: str, *, without: str = "") -> pd.DataFrame:
    """A table without run id, and without the rows of one provider."""
    frame = recording.frame(table).drop(columns="run_id")
    return frame[frame["provider"] != without].reset_index(drop=True) if "provider" in frame else frame


def assert_same_bits(first: Recording, second: Recording, *, without: str = "", but: tuple[str, ...] = ()) -> None:
    """Every number of every table is the same, to the last bit."""
    for table in TABLES:
        left, right = (rows(r, table, without=without) for r in (first, second))
        if table == "market":
            left, right = (frame.drop(columns=list(but)) for frame in (left, right))
        pd.testing.assert_frame_equal(left, right, check_exact=True, obj=table)


def assert_close(first: Recording, second: Recording, tolerance: float, scale: dict[str, float] | None = None) -> None:
    """Every number agrees to a relative tolerance; rows are matched by name, columns of `scale` are divided first."""
    for table in ("market", "providers", "offers", "segments"):
        labels = [*KEYS, *(name for name in ("segment", "provider", "offer") if name in rows(first, table))]
        left, right = (rows(r, table).set_index(labels).sort_index() for r in (first, second))
        assert (left.index == right.index).all()
        for column in left.select_dtypes("number"):
            size = np.nanmax(np.abs(left[column].to_numpy()), initial=0.0)
            np.testing.assert_allclose(
                right[column].to_numpy() / (scale or {}).get(column, 1.0),
                left[column].to_numpy(),
                rtol=tolerance,
                # Parts of the change of unit cost are differences: where nothing changed, rounding is left.
                atol=max(tolerance * size, 1e-12 if column.startswith("cost_") else 0.0),
                err_msg=f"{table}.{column}",
            )


def doubled(settings: Settings, config: dict[str, Any], times: float = 2.0) -> Settings:
    """The same settings with every amount of USD times two, or another factor, list prices included."""
    values = settings_dict(settings)

    def scale(key: str) -> None:
        *path, last = key.split(".")
        node = values
        for part in path:
            node = node[part]
        node[last] = np.multiply(node[last], times).tolist()

    for key, number in documented(config).items():
        if "USD" in number.unit:
            assert number.unit.startswith("USD"), f"{key}: {number.unit} is no amount of money"
            scale(key)
    table = list_prices()
    for name, provider in settings.providers.items():
        for key, offer in provider.offers.items():
            node = values["providers"][name]["offers"][key]
            if offer.model is not None and offer.input_price is None:
                listed = table[offer.model]
                for part in ("input_price", "cached_price", "output_price"):
                    price = getattr(listed, part)
                    node[part] = None if price is None else times * price
    if settings.users.price_metric == "linear":
        for segment in values["users"]["segments"].values():
            segment["preferences"]["price"] /= times
    return validate(values)


def written(settings: Settings, folder: Path) -> dict[str, bytes]:
    """The bytes of every Parquet file of a run."""
    run(dataclasses.replace(settings, outputs=str(folder)))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}
