"""Paired comparisons: as by hand, and no pair that is none."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from studies import write_run, write_sweep

from aimarket import compare, first_year, last_year
from aimarket.complaints import ResultsError
from aimarket.results import Results, open_results


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("outputs") / "sweep"
    return open_results(write_sweep(folder, seeds=(1, 2, 3, 4), replications=2, steps=5, per_year=2))


def sides(study: Results) -> tuple[Results, Results]:
    return study.where({"users.switching": 2.0}), study.where({"users.switching": 0.0})


def by_hand(
    treatment: pd.DataFrame, control: pd.DataFrame, column: str, level: float, **labels: object
) -> tuple[float, float, float, int]:
    """Loops over pairs, and the textbook's interval."""
    differences = []
    for seed in set(treatment["run.seed"]) & set(control["run.seed"]):
        for replication in set(treatment["replication"]) & set(control["replication"]):
            means = []
            for frame in (treatment, control):
                rows = frame[(frame["run.seed"] == seed) & (frame["replication"] == replication)]
                for label, value in labels.items():
                    rows = rows[rows[label] == value]
                numbers = [number for number in rows[column] if not math.isnan(number)]
                means.append(math.fsum(numbers) / len(numbers) if numbers else math.nan)
            differences.append(means[0] - means[1])
    found = np.array([difference for difference in differences if not math.isnan(difference)])
    if len(found) < 2:
        return (found[0] if len(found) else math.nan), math.nan, math.nan, len(found)
    low, high = stats.t.interval(level, len(found) - 1, loc=found.mean(), scale=stats.sem(found))
    return found.mean(), low, high, len(found)


@settings(max_examples=12, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=4, unique=True),
    replications=st.integers(1, 2),
    nan=st.sampled_from([0.0, 0.2]),
    level=st.sampled_from([0.5, 0.95, 0.99]),
)
def test_a_comparison_is_what_pairing_by_hand_gives(
    seeds: list[int], replications: int, nan: float, level: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = open_results(write_sweep(Path(folder), seeds=seeds, replications=replications, nan=nan))
        treatment, control = sides(study)
        found = compare(treatment, control, ["hhi", "price"], level=level).set_index("statistic")
        shares = compare(treatment, control, "share", table="providers", by=["provider"], level=level)
        for column in ("hhi", "price"):
            expected = by_hand(treatment.market, control.market, column, level)
            told = found.loc[column, ["difference", "low", "high", "pairs"]].tolist()
            assert told == pytest.approx(expected, nan_ok=True)
        for row in shares.to_dict("records"):
            expected = by_hand(treatment.providers, control.providers, "share", level, provider=row["provider"])
            assert [row[name] for name in ("difference", "low", "high", "pairs")] == pytest.approx(
                expected, nan_ok=True
            )
            assert row["treatment"] - row["control"] == pytest.approx(row["difference"], nan_ok=True)


def test_sides_the_other_way_round_change_the_sign(study: Results) -> None:
    treatment, control = sides(study)
    there, back = compare(treatment, control, "hhi"), compare(control, treatment, "hhi")
    assert there["difference"].tolist() == pytest.approx(-back["difference"])
    assert there["low"].tolist() == pytest.approx(-back["high"])
    same = compare(control, control, "hhi")
    assert same[["difference", "low", "high", "pairs"]].to_numpy().tolist() == [[0.0, 0.0, 0.0, 8]]


def test_a_window_says_which_rows_count(study: Results) -> None:
    treatment, control = sides(study)
    for window, steps in ((last_year, [4, 5]), (first_year, [1, 2]), (lambda rows: rows["step"] == 3, [3])):
        cut = [side.market[side.market["step"].isin(steps)] for side in (treatment, control)]
        found = compare(treatment, control, "lerner", window)
        assert found.loc[0, ["difference", "low", "high", "pairs"]].tolist() == pytest.approx(
            by_hand(*cut, "lerner", 0.95)
        )


def test_a_statistic_may_be_a_function_of_a_replication(study: Results) -> None:
    def highest(rows: pd.DataFrame) -> float:
        assert rows["replication"].nunique() == rows["run_id"].nunique() == 1
        return rows["price"].max()

    found = compare(*sides(study), highest)
    peaks = [side.market.groupby(["run.seed", "replication"])["price"].max() for side in sides(study)]
    assert found["statistic"].tolist() == ["highest"]
    assert found["difference"].tolist() == pytest.approx([(peaks[0] - peaks[1]).mean()])


def test_there_is_a_comparison_for_each_value_of_by(study: Results) -> None:
    found = compare(*sides(study), ["hhi", "lerner"], by=["year"])
    assert found.groupby("year")["statistic"].agg(list).to_dict() == {y / 2: ["hhi", "lerner"] for y in range(1, 6)}
    seeds = compare(*sides(study), "hhi", by=["run.seed"])
    assert seeds["run.seed"].tolist() == [1, 2, 3, 4]
    assert (seeds["pairs"] <= 2).all()


def test_two_studies_pair_by_seed_though_it_is_swept_in_one_only(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "run1", 7, replications=3, nan=0.0)
    write_sweep(tmp_path / "b", costs=[1.0], seeds=[7, 8], replications=3)
    a, b = open_results("a", tmp_path), open_results("b", tmp_path)
    with pytest.raises(ResultsError, match=r"only one side has .* \(8, 0\), \(8, 1\), \(8, 2\); .*drop_unpaired"):
        compare(a, b, "hhi")
    assert compare(a, b, "hhi", drop_unpaired=True)["pairs"].tolist() == [3]
    write_run(tmp_path / "c", "run1", 9)
    with pytest.raises(ResultsError, match=r"^no seed pairs: the treatment has 7; the control has 9$"):
        compare(a, open_results("c", tmp_path), "hhi")


def test_one_pair_has_a_difference_and_no_interval(tmp_path: Path) -> None:
    write_run(tmp_path, "one", 1, nan=0.0)
    one = open_results(tmp_path)
    assert compare(one, one, "hhi")[["difference", "pairs"]].to_numpy().tolist() == [[0.0, 1]]
    assert compare(one, one, "hhi")[["low", "high"]].isna().to_numpy().all()


def test_what_only_one_side_has_makes_no_pair(study: Results) -> None:
    treatment, control = sides(study)

    def without_beta(rows: pd.DataFrame) -> "pd.Series[bool]":
        return (rows["provider"] == "alpha") | (rows["users.switching"] > 1)

    found = compare(treatment, control, "users", without_beta, table="providers", by=["provider"]).set_index("provider")
    assert found["pairs"].to_dict() == {"alpha": 8, "beta": 0}
    assert found.loc["beta", ["treatment", "difference", "low"]].isna().all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"statistic": "lernr"}, r"market has no such column to compare: lernr; did you mean lerner\?"),
        ({"statistic": "archetype", "table": "providers"}, "no such column"),
        ({"by": ["users.size"]}, "no such column to compare: users.size"),
        ({"table": "markets"}, "no table 'markets'"),
        ({"level": 95}, "between 0 and 1"),
        ({"when": lambda rows: rows["step"] > 5}, "no rows to compare"),
    ],
)
def test_what_cannot_be_compared_is_told(study: Results, change: dict[str, object], says: str) -> None:
    treatment, control = sides(study)
    with pytest.raises(ResultsError, match=says):
        compare(**{"treatment": treatment, "control": control, "statistic": "hhi"} | change)


def test_several_runs_of_a_seed_are_no_pair(study: Results) -> None:
    with pytest.raises(ResultsError, match=r"the treatment has several runs of a seed, .* differ in users\.switching;"):
        compare(study, sides(study)[1], "hhi")
    assert len(compare(study, study, "hhi", by=["users.switching"])) == 2
