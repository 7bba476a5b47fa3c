"""SQL over a study, by DuckDB."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from aimarket.complaints import ResultsError, one_line, shown
from aimarket.schema import TABLES

_SHUT_IN: dict[
    str, str | bool | int | float | list[str]
] = {  # the query may come from anywhere; all it can reach is what is registered
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
    "lock_configuration": True,
    "python_enable_replacements": False,
}


def answer(
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any],
    runs: pd.DataFrame,
    dataset: Callable[[str], ds.Dataset],
    swept: Sequence[str],
) -> pd.DataFrame:
    """The rows that a query gives, from the table `runs` and from the tables it names.

    raises : ResultsError, in one line, if DuckDB is not installed or refuses the query
    """
    try:
        import duckdb
    except ImportError:
        raise ResultsError("SQL needs DuckDB: pip install 'aimarket[studies]'") from None
    words = set(re.findall(r"\w+", query.lower()))
    named = [table for table in TABLES if table in words] or list(TABLES)  # `show tables` names none
    with duckdb.connect(config=_SHUT_IN) as connection:
        connection.from_arrow(pa.Table.from_pandas(runs, preserve_index=False)).create_view("runs")
        for table in named:
            recorded = dataset(table)
            connection.from_arrow(recorded).project(_selected(recorded.schema)).create_view(table)
        try:
            statements = connection.extract_statements(query)
            if [each.expected_result_type for each in statements] != [[duckdb.ExpectedResultType.QUERY_RESULT]]:
                raise ResultsError(f"one query, which gives rows, is answered (got {shown(one_line(query))})")
            return connection.execute(statements[0], parameters or None).df()
        except duckdb.Error as error:
            said = one_line(str(error).partition("\nLINE ")[0])  # what follows points at a place by its column
            tables = f"; tables are runs, {', '.join(TABLES)}" if isinstance(error, duckdb.CatalogException) else ""
            raise ResultsError(f"{said}{tables}{_hint(query, swept)}") from None


def _selected(schema: pa.Schema) -> str:
    """The columns by name, NaN as NULL: to DuckDB NaN is the largest number, and a mean over it is NaN."""
    names = ((f'"{field.name}"', pa.types.is_floating(field.type)) for field in schema)
    return ", ".join(f"nullif({name}, 'nan'::double) as {name}" if number else name for name, number in names)


def _hint(query: str, swept: Sequence[str]) -> str:
    bare = [name for name in swept if re.search(rf'(?<!["\w.]){re.escape(name)}(?!["\w])', query)]
    return f'; a name with a dot is quoted: "{bare[0]}"' if bare else ""
