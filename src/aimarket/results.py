"""The only reader: a study as tidy frames, with the parameters that were swept as columns.

Only runs whose manifest says complete are read, and only files that are, to the byte, what their manifest describes.
"""

from __future__ import annotations  # pandas, which Arrow's datasets import too, is for those who want frames

import difflib
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from numpy.typing import NDArray

from aimarket.complaints import ResultsError, near, shown
from aimarket.conditions import RUNS
from aimarket.manifests import Manifest, checked, opened, read_manifests, summary, swept_settings
from aimarket.recording import KEYS, Frames, arrays
from aimarket.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.dataset as ds
    import xarray


class Results(Frames):
    """The complete runs of a study: `.runs`, and `.market`, `.providers`, … with the swept parameters as columns."""

    def __init__(self, folder: Path, manifests: Sequence[Manifest], chosen: Collection[str] | None = None) -> None:
        """`chosen` are the ids of the runs that are looked at, None for all; see `where`."""
        self.folder = folder
        self._manifests = manifests
        self._chosen = chosen

    @cached_property
    def _swept(self) -> pa.Table:
        return swept_settings(self._manifests)

    @property
    def manifests(self) -> Sequence[Manifest]:
        """What each run says of itself: settings, overrides, seed, versions; in the order of the run ids."""
        return [m for m in self._manifests if self._chosen is None or m["run_id"] in self._chosen]

    @property
    def swept(self) -> list[str]:
        """Dotted names of the settings that differ between the runs of the study."""
        return list(self._swept.column_names)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run: its id, status, seed, replications, swept parameters and seconds."""
        runs = summary(self._manifests, self._swept)
        return runs if self._chosen is None else runs[runs["run_id"].isin(self._chosen)].reset_index(drop=True)

    def where(self, settings: Mapping[str, Any]) -> Results:
        """The runs with these settings, by the names of columns of `.runs`; several values of one are given as a list.

        raises : ResultsError for a name that is no column of `.runs`, and if no run has the settings
        """
        import pandas as pd

        keep = pd.Series(data=True, index=self.runs.index)
        for name, value in settings.items():
            if name not in self.runs:
                raise ResultsError(f"{name} is not swept in {self.folder}{near(name, list(self.runs.columns))}")
            values = list(value) if pd.api.types.is_list_like(value) else [value]
            keep &= self.runs[name].isin(values) | (self.runs[name].isna() & (None in values))
            if not keep.any():
                there = ", ".join(map(shown, self.runs[name].unique()[:10].tolist()))
                raise ResultsError(f"no run of {self.folder} with {name} = {shown(value)}; there is {there}")
        return Results(self.folder, self._manifests, list(self.runs.loc[keep, "run_id"]))

    def dataset(self, table: str) -> ds.Dataset:
        """A table as an Arrow dataset: what is asked of it is read, batch by batch; Polars and DuckDB scan it as it is.

        The columns are those of `frame`. A number that does not exist is NaN, which they do not skip as pandas does.
        """
        import pyarrow.compute as pc

        from aimarket.collection import open_dataset

        _check(table)
        dataset = open_dataset(self.folder, self._manifests, self._swept, table)
        return dataset if self._chosen is None else dataset.filter(pc.field("run_id").isin(list(self._chosen)))

    def frame(self, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table as a tidy frame; `columns` limits the recorded columns that are read beside keys and settings."""
        dataset = self.dataset(table)
        _check(table, columns)
        always = {*KEYS, *self.swept}
        wanted = [name for name in dataset.schema.names if columns is None or name in always or name in columns]
        frame: pd.DataFrame = dataset.to_table(columns=wanted).to_pandas()
        return frame

    def columns(self, table: str, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """The same as arrays by name, without what was swept, and of all runs: for few of them, and without pandas."""
        _check(table, columns)
        wanted = [c.name for c in TABLES[table] if columns is None or c.name in columns or c.name in KEYS]
        files = [opened(self.folder, manifest, table) for manifest in self._manifests]
        return arrays(pa.concat_tables([file.read(wanted) for file in files]))

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pd.DataFrame:
        """The answer to a query in DuckDB's SQL over `runs` and the tables; needs the extra `studies`.

        A name with a dot is quoted: `select "run.seed", avg(lerner) from market group by all`. A number that does not
        exist is NULL here, so that `avg` and `max` skip it. The query can read the study and nothing else.

        parameters : values for `?`, or by name for `$name`
        raises     : ResultsError, in one line, for a query that DuckDB refuses
        """
        from aimarket.queries import answer

        return answer(query, parameters, self.runs, self.dataset, self.swept)

    def to_xarray(
        self, table: str, columns: Sequence[str] | None = None, by: Sequence[str] | None = None
    ) -> xarray.Dataset:
        """A table as a labelled array: runs × replication × step, and × provider, offer or segment where it has them.

        Runs lie along the swept parameters if every combination of these was run, otherwise along `run_id` with the
        parameters as its coordinates. Units and meanings are attributes. Needs the extra `studies`.

        columns : recorded columns; by default every number and truth value
        by      : the swept parameters that become dimensions; together they must tell the runs apart
        raises  : ResultsError for a table without a grid (events), or parameters that do not tell the runs apart
        """
        from aimarket.cube import cube

        return cube(self.frame, self.runs, self.swept, table, columns, by)


def _check(table: str, columns: Sequence[str] | None = None) -> None:
    if table not in TABLES:
        raise ResultsError(f"no table {table!r}; tables are {', '.join(TABLES)}")
    if unknown := sorted(set(columns or ()) - {column.name for column in TABLES[table]}):
        raise ResultsError(f"table {table} has no column {', '.join(unknown)}")


def open_results(path_or_study: str | Path, outputs: str | Path = "outputs", run_id: str | None = None) -> Results:
    """Open a study by its name in `outputs`, or by its folder.

    run_id : the only run to read, whatever else the study holds; None: all of them

    raises : ResultsError if there is no such study, no complete run, or a manifest that this version cannot read;
             a file that is not what its run wrote raises it when its table is first read
    """
    folder = find_study(path_or_study, outputs)
    manifests = read_manifests(folder, run_id or "*")
    complete = [checked(folder, manifest) for manifest in manifests if manifest["status"] == "complete"]
    if not complete:
        raise ResultsError(f"study {folder} holds no complete run ({len(manifests)} failed)")
    return Results(folder, complete)


def list_runs(path_or_study: str | Path, outputs: str | Path = "outputs") -> pd.DataFrame:
    """Every run of a study, complete or failed: one row a run, with the error of those that failed."""
    manifests = read_manifests(find_study(path_or_study, outputs))
    return summary(manifests, swept_settings(manifests))


def collect(path_or_study: str | Path, outputs: str | Path = "outputs") -> list[Path]:
    """Compact a study into one file a table, where that is not done already; returns the files."""
    from aimarket.collection import collect_table

    results = open_results(path_or_study, outputs)
    return [collect_table(results.folder, results._manifests, results._swept, table) for table in TABLES]


def find_study(path_or_study: str | Path, outputs: str | Path = "outputs") -> Path:
    """The folder of a study, given its name in `outputs` or its path."""
    places = [Path(outputs) / path_or_study, Path(path_or_study)]
    for place in places:
        if (place / RUNS).is_dir():
            return place
        if place.is_dir():
            raise ResultsError(f"{place} holds no complete run")
    known = {f.parent.name for place in places for f in place.parent.glob(f"*/{RUNS}") if f.is_dir()}
    close = difflib.get_close_matches(places[0].name, sorted(known))
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise ResultsError(f"no study {str(path_or_study)!r} in {outputs}{hint}")
