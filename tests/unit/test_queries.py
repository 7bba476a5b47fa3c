"""SQL over a study: the same numbers as in pandas, nothing else within reach, complaints in one line."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import write_run, write_sweep

from aimarket.complaints import ResultsError
from aimarket.results import Results, open_results
from aimarket.schema import TABLES


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return open_results(write_sweep(tmp_path_factory.mktemp("outputs") / "sweep", replications=2))


@pytest.mark.parametrize("table", list(TABLES))
def test_a_table_is_the_same_in_sql_as_in_pandas(study: Results, table: str) -> None:
    pd.testing.assert_frame_equal(study.sql(f"select * from {table}"), study.frame(table))


@pytest.mark.parametrize("call", ["mean", "max", "min", "count"])
@pytest.mark.parametrize("by", ["users.switching", "run.seed", "provider"])
def test_sql_aggregates_as_pandas_does(study: Results, call: str, by: str) -> None:
    """Numbers that do not exist are left out by both."""
    expected = study.providers.groupby(by, as_index=False)["lerner"].agg(call)
    function = {"mean": "avg"}.get(call, call)
    found = study.sql(f'select "{by}", {function}(lerner) as lerner from providers group by 1 order by 1')
    assert study.providers["lerner"].isna().any()
    pd.testing.assert_frame_equal(found, expected)


def test_runs_and_tables_join(study: Results) -> None:
    found = study.sql("select seed, count(*) as n from runs join market using (run_id) group by seed order by seed")
    assert found.to_dict("list") == {"seed": [1, 2, 3], "n": [2 * 2 * 3] * 3}
    pd.testing.assert_frame_equal(study.sql("select * from runs"), study.runs)


def test_values_are_given_apart(study: Results) -> None:
    query = "select distinct provider from providers where provider = "
    assert study.sql(f"{query} ?", ["alpha"])["provider"].tolist() == ["alpha"]
    assert study.sql(f"{query} $name", {"name": "' or true --"}).empty


def test_a_part_of_a_study_is_all_that_is_asked(study: Results) -> None:
    part = study.where({"users.switching": 2.0, "run.seed": [1, 3]})
    found = part.sql('select distinct "users.switching" as cost, "run.seed" as seed from events order by seed')
    assert found.to_dict("list") == {"cost": [2.0, 2.0], "seed": [1, 3]}
    assert part.sql("select count(*) as n from runs")["n"].tolist() == [2]


def test_tables_can_be_listed_and_described(study: Results) -> None:
    assert study.sql("show tables")["name"].tolist() == sorted([*TABLES, "runs"])
    assert study.sql("describe market")["column_name"].tolist() == list(study.market.columns)


def test_only_the_tables_that_are_named_are_read(tmp_path: Path) -> None:
    study = open_results(write_sweep(tmp_path))
    study.sql('select count(*) from "Market"')
    assert [path.stem for path in (tmp_path / "collected").iterdir()] == ["market"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("selec * from market", "syntax error"),
        ("select prize from market", "prize"),
        ("select * from markets", "tables are runs, market, providers"),
        ("select\nusers.switching\nfrom market", 'a name with a dot is quoted: "users.switching"'),
        ("select 1; select 2", "one query"),
        ("", "one query"),
        ("create table mine as select 1", "one query"),
        ("select * from market where step = ?", "parameter"),
        ("select cast(provider as integer) from providers", "alpha"),
    ],
)
def test_a_wrong_query_is_told_in_one_line(study: Results, query: str, says: str) -> None:
    with pytest.raises(ResultsError, match=r"^[^\n]*$") as told:
        study.sql(query)
    assert says in str(told.value)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{}')",
        "select * from read_csv('{}')",
        "select * from '{}'",
        "select * from glob('{}')",
        "copy (select 1) to '{}'",
        "attach '{}'",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "install httpfs",
        "load httpfs",
        "select * from outsider",
    ],
)
def test_nothing_but_the_study_is_within_reach(study: Results, tmp_path: Path, query: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("key\nxyzzy\n")
    outsider = pd.DataFrame({"key": ["xyzzy"]})  # DuckDB would find it by its name
    with pytest.raises(ResultsError) as told:
        study.sql(query.format(secret))
    assert "xyzzy" not in str(told.value)
    assert secret.read_text() == "key\nxyzzy\n"
    assert len(outsider) == 1


def test_without_the_library_it_says_what_to_install(study: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ResultsError, match=r"pip install 'aimarket\[studies\]'"):
        study.sql("select 1")


def test_one_run_has_its_tables_too(tmp_path: Path) -> None:
    write_run(tmp_path, "only", nan=0.0)
    study = open_results(tmp_path)
    assert study.sql("select sum(amount) as total from ledger")["total"][0] == pytest.approx(
        study.ledger["amount"].sum()
    )
    assert np.isfinite(study.sql("select avg(hhi) as hhi from market")["hhi"][0])
