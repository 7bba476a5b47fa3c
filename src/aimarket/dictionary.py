"""The data dictionary: what every recorded column means, generated from the schema."""

from collections.abc import Sequence

from aimarket.schema import TABLES, Column, table_meaning

_HEADER = """\
<!-- Generated from src/aimarket/schema.py by `aimarket data dictionary`. Do not edit. -->
# Data dictionary

Generated from `src/aimarket/schema.py` by `aimarket data dictionary`.

A study is a folder, `outputs/<study>/`, with one file a run in `<table>/<run_id>.parquet` and its manifest in
`runs/<run_id>.json`. NaN marks a number that does not exist, such as a margin without sales; there are no
nulls. The unit `1` is a pure number; labels have none.
"""


def markdown() -> str:
    """The whole dictionary as Markdown, one section a table."""
    return "\n".join([_HEADER, *(_section(table, columns) for table, columns in TABLES.items())])


def _section(table: str, columns: Sequence[Column]) -> str:
    rows = [f"| `{c.name}` | {c.kind} | {_escaped(c.unit) or '–'} | {_escaped(c.meaning)} |" for c in columns]
    head = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {table}", "", _sentence(table_meaning(table)), "", *head, *rows, ""])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
