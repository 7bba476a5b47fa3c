"""A table as a labelled array: every row at its place, and nothing anywhere else."""

import sys
from pathlib import Path

import numpy as np
import pytest
from studies import LABELS, write_run, write_sweep

from aimarket.complaints import ResultsError
from aimarket.results import Results, open_results


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return open_results(write_sweep(tmp_path_factory.mktemp("outputs") / "sweep", replications=2))


@pytest.mark.parametrize("table", [name for name in LABELS if name != "events"])
@pytest.mark.parametrize("by", [None, ["users.switching", "run.seed"]])
def test_every_row_is_at_its_place(study: Results, table: str, by: list[str] | None) -> None:
    frame, column = study.frame(table), "amount" if table == "ledger" else "tokens_served"
    column = "revenue" if table == "statements" else column
    data = study.to_xarray(table, by=by)
    assert data[column].notnull().sum() == frame[column].notna().sum()
    labels = [name for name in data[column].dims if name in frame]
    for row in frame[[*labels, *(["provider"] if table == "offers" else []), column]].to_dict("records"):
        if table == "offers":
            row["offer"] = f"{row['provider']}/{row.pop('offer')}"
            row.pop("provider")
        value = row.pop(column)
        np.testing.assert_equal(data[column].sel(row).item(), value)


def test_dimensions_units_and_coordinates(study: Results) -> None:
    data = study.to_xarray("providers")
    assert dict(data.sizes) == {"run.seed": 3, "users.switching": 2, "replication": 2, "step": 3, "provider": 2}
    assert data["price"].attrs == {"units": "USD/Mtok", "long_name": "revenue per token served"}
    assert data["year"].attrs["units"] == "year"
    assert data["year"].dims == ("step",)
    assert data["active"].dtype == bool
    assert "archetype" not in data
    assert data["run_id"].sel({"run.seed": 2, "users.switching": 2.0}).item() == "run1s2"
    assert study.to_xarray("offers")["provider"].to_series().to_dict() == {
        "alpha/main": "alpha", "alpha/mini": "alpha", "beta/main": "beta"
    }  # fmt: skip


def test_columns_are_what_is_asked_for(study: Results) -> None:
    data = study.to_xarray("providers", ["archetype", "price"])
    assert set(data.data_vars) == {"archetype", "price"}
    assert (data["archetype"] == "archetype").all()
    with pytest.raises(ResultsError, match="no column prize"):
        study.to_xarray("providers", ["prize"])


def test_runs_that_are_no_grid_lie_along_their_ids(tmp_path: Path) -> None:
    for i, (seed, cost) in enumerate([(1, 0.0), (2, 0.5), (3, 1.5)]):
        write_run(tmp_path, f"run{i}", seed, users={"switching": cost})
    study = open_results(tmp_path)
    data = study.to_xarray("market")
    assert data["hhi"].dims == ("run_id", "replication", "step")
    assert data["users.switching"].to_series().to_dict() == {"run0": 0.0, "run1": 0.5, "run2": 1.5}
    along = study.to_xarray("market", by=["users.switching"])
    assert along["hhi"].dims == ("users.switching", "replication", "step")
    assert along["run.seed"].to_series().to_dict() == {0.0: 1, 0.5: 2, 1.5: 3}
    both = study.to_xarray("market", by=["users.switching", "run.seed"])
    assert both["hhi"].sizes == {"users.switching": 3, "run.seed": 3, "replication": 1, "step": 3}
    assert both["hhi"].notnull().any(["replication", "step"]).sum() == 3


def test_parameters_must_tell_the_runs_apart(study: Results) -> None:
    with pytest.raises(ResultsError, match=r"does not tell the runs apart; add run\.seed"):
        study.to_xarray("market", by=["users.switching"])
    with pytest.raises(ResultsError, match=r"users\.size does not vary"):
        study.to_xarray("market", by=["users.size"])
    part = study.where({"run.seed": 1})
    assert part.to_xarray("market")["hhi"].dims == ("users.switching", "replication", "step")


def test_events_have_no_grid(study: Results) -> None:
    with pytest.raises(ResultsError, match="events has no grid"):
        study.to_xarray("events")
    with pytest.raises(ResultsError, match="no table 'offer'"):
        study.to_xarray("offer")


def test_years_are_of_steps_unless_their_length_was_swept(tmp_path: Path) -> None:
    write_run(tmp_path, "months", 1, per_year=12)
    data = open_results(tmp_path).to_xarray("market")
    assert data["hhi"].dims == ("run_id", "replication", "step")
    assert data["year"].dims == ("step",)
    assert data["year"].to_numpy() == pytest.approx([1 / 12, 2 / 12, 3 / 12])
    write_run(tmp_path, "weeks", 2, per_year=52)
    data = open_results(tmp_path).to_xarray("market")
    assert data["year"].sel({"run.seed": 2}).squeeze().to_numpy() == pytest.approx([1 / 52, 2 / 52, 3 / 52])


def test_without_the_library_it_says_what_to_install(study: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ResultsError, match=r"pip install 'aimarket\[studies\]'"):
        study.to_xarray("market")
