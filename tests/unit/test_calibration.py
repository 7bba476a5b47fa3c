"""Calibration: statistics and distances by their laws, targets checked first, trials that a kill does not change."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aimarket import cli
from aimarket.calibration import distance as d
from aimarket.calibration.answer import _fitted
from aimarket.calibration.running import measure, workers
from aimarket.calibration.search import Search
from aimarket.calibration.statistics import STATISTICS, average, growth, ratio
from aimarket.calibration.targets import Parameter, Targets, names, read_targets
from aimarket.complaints import ResultsError, SettingsError

# Three textbook firms that answer each other's prices; leaving costs something. The margin tells the taste for price,
# how often users leave tells what leaving costs.
MARKET = [
    "users=textbook",
    "technology=frozen",
    "hardware=textbook",
    "geography=single",
    "roster=textbook",
    "entry=closed",
    "users.price_metric=log",
    "users.usage_elasticity=1.1",
    "users.size=500",
    "users.segments.everyone.review=0.3",
    "run.steps=12",
    "run.panel=100",
]
TRUTH = {"users.segments.everyone.preferences.price": 3.0, "users.segments.everyone.switching.base": 1.5}
STATISTIC = {
    "lerner": {"kind": "average", "table": "market", "column": "lerner", "years": [1, 1]},
    "churn": {"kind": "average", "table": "market", "column": "churn", "years": [1, 1]},
    "tenure": {"kind": "average", "table": "segments", "column": "tenure", "years": [1, 1], "of": ["everyone"]},
}


def content(**targets: tuple[float, float]) -> dict:
    """Targets of the textbook market: {moment: (value, standard error)}; tenure is only checked."""
    moments = {
        name: {
            "target": {
                "value": value,
                "unit": "1",
                "range": [value - 1.96 * e, value + 1.96 * e],
                "source": "simulated",
            },
            "statistic": STATISTIC[name],
            "fit": name != "tenure",
        }
        for name, (value, e) in targets.items()
    }
    parameters = {
        "price": {"keys": ["users.segments.everyone.preferences.price"], "between": [1.0, 9.0], "scale": "log"},
        "switching": {"keys": ["users.segments.everyone.switching.base"], "between": [0.0, 4.0]},
    }
    return {
        "question": "Is what was put in found again?",
        "overrides": MARKET,
        "parameters": parameters,
        "moments": moments,
    }


EASY = {"lerner": (0.2, 0.02), "churn": (0.1, 0.02)}


def written(folder: Path, node: dict) -> str:
    path = folder / "targets.yaml"
    path.write_text(yaml.safe_dump(node, sort_keys=False), encoding="utf-8")
    return str(path)


def made(folder: Path, **targets: tuple[float, float]) -> Targets:
    return read_targets(written(folder, content(**targets)))


# --- statistics -------------------------------------------------------------------------------------------------------


def tables(values: dict[str, list[float]], replications: int = 1) -> dict[str, pd.DataFrame]:
    """A table of providers with one column by provider, a value a month."""
    rows = [
        {"replication": r, "step": step + 1, "year": (step + 1) / 12, "provider": name, "revenue": v, "share": 2 * v}
        for r in range(replications)
        for name, series in values.items()
        for step, v in enumerate(series)
    ]
    return {"providers": pd.DataFrame(rows)}


@given(rate=st.floats(-2, 2), level=st.floats(0.1, 1e6), years=st.integers(2, 5), replications=st.integers(1, 3))
def test_growth_of_an_exponential_is_its_rate(rate, level, years, replications):
    series = [level * float(np.exp(rate * month / 12)) for month in range(12 * years)]
    frames = tables({"a": series, "b": [0.0] * len(series)}, replications)
    found = growth(frames, "providers", "revenue", [1, years])
    assert found == pytest.approx(rate, abs=1e-9)
    assert growth(frames, "providers", "share", [1, years], ["a"]) == pytest.approx(found, abs=1e-9)


def test_years_are_of_twelve_months_and_owners_add_up():
    frames = tables({"a": [1.0] * 12 + [3.0] * 12, "b": [10.0] * 24})
    assert average(frames, "providers", "revenue", [1, 1], ["a"]) == 1
    assert average(frames, "providers", "revenue", [2, 2], ["a"]) == 3
    assert average(frames, "providers", "revenue", [1, 2]) == 12
    assert ratio(frames, "providers", "revenue", "share", [1, 2], ["b"]) == 0.5


def test_what_does_not_exist_is_nan_and_not_left_out():
    frames = tables({"a": [1.0] * 11 + [np.nan], "b": [0.0] * 12})
    assert np.isnan(average(frames, "providers", "revenue", [1, 1], ["a"]))
    assert np.isnan(growth(tables({"b": [0.0] * 24}), "providers", "revenue", [1, 2]))
    assert np.isnan(ratio(frames, "providers", "share", "revenue", [1, 1], ["b"]))


# --- distance ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(0, 3))
def test_standard_errors_of_a_linear_model_are_those_of_least_squares(seed, parameters, spare):
    draws = np.random.default_rng(seed)
    slopes = draws.normal(size=(parameters + spare, parameters))
    values = draws.uniform(size=(200, parameters))
    moments, weight = values @ slopes.T + 1, draws.uniform(0.5, 2, parameters + spare)
    distances = ((moments - moments[7]) ** 2 @ weight).ravel()
    found = d.standard_errors(values, moments, distances, weight)
    information = slopes.T @ np.diag(weight) @ slopes
    if np.linalg.cond(information) < 1e6:
        assert found == pytest.approx(np.sqrt(np.diag(np.linalg.inv(information))), rel=1e-4)


def test_a_parameter_that_moves_nothing_has_no_standard_error():
    values = np.random.default_rng(1).uniform(size=(100, 2))
    moments = values[:, :1] * np.array([[1.0, 2.0]])
    distances = (moments**2).sum(axis=1)
    assert np.isnan(d.standard_errors(values, moments, distances, np.ones(2))).all()
    assert np.isnan(d.standard_errors(values[:3], moments[:3], distances[:3], np.ones(2))).all()


def test_a_parameter_without_a_standard_error_may_be_anything():
    """Too few trials, or moments that do not tell it: the best trial alone says nothing of how far off it may be."""
    parameter = Parameter("price", ("users.segments.everyone.preferences.price",), 0.5, 8.0, log=False, start=1.0)
    found = _fitted(parameter, 0.4, np.array([0.4]), np.nan)
    assert found.interval == found.bounds == (0.5, 8.0)
    assert found.verdict == "weak"


def test_the_least_distance_of_a_true_linear_model_is_chi_squared():
    """5 moments, 2 parameters: 3 degrees of freedom, and p-values are uniform."""
    draws = np.random.default_rng(3)
    slopes, error = draws.normal(size=(5, 2)), draws.uniform(0.5, 2, 5)
    least, levels = [], []
    for _ in range(2000):
        observed = slopes @ [1.0, -1.0] + error * draws.normal(size=5)
        fitted = slopes @ np.linalg.lstsq(slopes / error[:, None], observed / error, rcond=None)[0]
        test = d.overidentification(d.distance(fitted[None], observed, error**-2), 5, 2)
        least.append(test.statistic)
        levels.append(test.probability)
    assert np.mean(least) == pytest.approx(3, abs=0.25)
    assert stats.kstest(levels, "uniform").pvalue > 0.001
    assert np.isnan(d.overidentification(0.0, 2, 2).probability)


def test_simulation_error_is_part_of_the_weight():
    error, simulated = np.array([1.0, 2.0]), np.array([[0.0, 1.0], [2.0, 1.0]])
    assert d.variance(error, simulated, 4).tolist() == [1 + 2 / 4, 4]


def test_nearly_best_is_a_quantile_of_chi_squared():
    distances = np.array([10.0, 13.8, 13.9, 20.0])
    assert d.nearly_best(distances).tolist() == [True, True, False, False]
    assert d.nearly_best(distances, 2).tolist() == [True, True, True, False]


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_calibrations_of_the_package_are_whole(name):
    """Cited or called an assumption, more moments than parameters, some only checked."""
    targets = read_targets(name)
    assert len(targets.fitted) > len(targets.parameters)
    assert len(targets.moments) > len(targets.fitted)
    for moment in targets.moments:
        assert len(moment.target.source) > 20
        assert moment.error > 0


def test_a_null_bound_is_the_documented_range():
    parameter = next(p for p in read_targets("inference").parameters if p.name == "usage_elasticity")
    assert (parameter.low, parameter.high, parameter.start) == (0.3, 2.0, 1.11)


def change(node: dict, path: str, value: object) -> dict:
    *parents, last = path.split("/")
    for part in parents:
        node = node[part]
    node.pop(last) if value is None else node.update({last: value})
    return node


BAD = [
    ("question", None, "question is missing"),
    ("moment", 3, "moment is unknown; did you mean moments?"),
    ("parameters", {}, "parameters should be a mapping, not empty"),
    ("overrides", ["run.sed=3"], "run.sed: unknown key"),
    ("parameters/price/keys", ["users.segments.everyone.preferences.pric"], "is no number of this market"),
    ("parameters/price/keys", ["users.price_metric"], "is no number of this market"),
    ("parameters/price/between", None, "has no documented range"),
    ("parameters/price/between", [3.0, 1.0], "low should be below high"),
    ("parameters/price/between", [0.0, 1.0], "or log if all is above 0"),
    ("parameters/switching/between", [-1.0, 1.0], "users.segments.everyone.switching.base"),
    ("moments/churn/fit", "yes", "fit: should be true or false"),
    ("moments/churn/fit", False, "1 moments cannot fit 2 parameters"),
    ("moments/churn/target/source", None, "source missing"),
    ("moments/churn/target/value", 7.0, "one number within its 95 % interval"),
    ("moments/churn/statistic/kind", "mean", "no such statistic"),
    ("moments/churn/statistic/column", "churns", "did you mean churn?"),
    ("moments/churn/statistic/table", "markets", "did you mean market?"),
    ("moments/churn/statistic/years", [1, 2], "years 1 to 1"),
    ("moments/churn/statistic/of", ["anna"], "a table that has any"),
    ("moments/churn/statistic/over", "lerner", "unexpected keyword"),
]


@pytest.mark.parametrize(("path", "value", "told"), BAD, ids=[f"{path} {told}" for path, _, told in BAD])
def test_bad_targets_end_in_one_line_before_anything_runs(path, value, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    node = json.loads(json.dumps(content(**EASY)))
    change(node, path, value)
    with pytest.raises(SystemExit) as end:
        cli.main(["calibrate", written(tmp_path, node)])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cloudy"], "no such calibration, and no file; did you mean cloud?"),
        (["cloud", "users.usage_elasticity=1"], "is fitted, and cannot be set too"),
        (["cloud", "inference"], "one file of targets is fitted at a time"),
        (["cloud", "--trials", "0"], "at least 1"),
    ],
)
def test_bad_arguments_end_with_exit_code_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["calibrate", *arguments])
    assert end.value.code == 2
    assert told in capsys.readouterr().err


# --- the search -------------------------------------------------------------------------------------------------------


def searched(targets: Targets, folder: Path, trials: int, processes: int = 1) -> Search:
    search = Search(targets, 2, folder)
    with workers(targets.moments, processes, lambda: None) as simulate_all:
        search.go_on(trials, search.weight(simulate_all), simulate_all)
    return search


def told(search: Search) -> list[tuple]:
    return [(trial.number, trial.params, trial.value, trial.user_attrs) for trial in search.trials]


def test_processes_and_pieces_change_no_trial(tmp_path):
    targets = made(tmp_path, **EASY)
    whole = searched(targets, tmp_path / "whole", 12)
    assert whole.trials[0].params == {"price": 1.0, "switching": 0.0}  # where the configuration stands
    pieces = [
        searched(targets, tmp_path / "pieces", trials, processes) for trials, processes in ((3, 1), (9, 2), (12, 1))
    ]
    assert told(pieces[-1]) == told(whole)
    assert len({json.dumps(trial.params) for trial in whole.trials}) == 12


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_as_if_nothing_had_happened(tmp_path):
    """kill -9 at three moments, half a line left each time; the workers end too."""
    targets = made(tmp_path, **EASY)
    whole = searched(targets, tmp_path / "whole", 16)
    command = [sys.executable, "-m", "aimarket", "calibrate", str(tmp_path / "targets.yaml"), "study=killed"]
    command += ["--trials", "16", "--processes", "2"]
    journal = tmp_path / "outputs" / "killed" / "calibration.journal"
    for least in (1, 5, 10):
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while not (journal.is_file() and journal.read_bytes().count(b'"op_code":4') >= least):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        workers_of = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert workers_of
        while any(Path(f"/proc/{pid}/task").is_dir() and state(pid) != "Z" for pid in workers_of):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (journal.parent / "calibration.journal.lock").unlink(missing_ok=True)  # what a kill while writing leaves
        with journal.open("ab") as file:
            file.write(b'{"op_code": 4, "work')
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert told(Search(targets, 2, journal.parent)) == told(whole)


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_another_calibration_is_not_mixed_in(tmp_path):
    searched(made(tmp_path, **EASY), tmp_path / "study", 1)
    other = made(tmp_path, **{**EASY, "churn": (0.11, 0.02)})
    with pytest.raises(ResultsError, match=r"holds another calibration; name a new one with study=\.\.\."):
        searched(other, tmp_path / "study", 2)


def test_a_market_without_the_moment_is_a_failed_trial_and_told(tmp_path):
    """A lone firm whose users all choose nothing sells nothing: there is no margin."""
    targets = made(tmp_path, **EASY)
    nothing = [*targets.at([3.0, 1.0]), "users.segments.everyone.outside_utility=100.0"]
    assert "no value of lerner, churn" in measure(targets.moments, nothing, 1).fault
    assert "run.steps" in measure(targets.moments, ["run.steps=0"], 1).fault
    assert measure(targets.moments, targets.at([3.0, 1.0]), 1).fault == ""


def test_trials_without_moments_are_recorded_and_the_rest_go_on(tmp_path):
    """Where nothing is sold there is no margin; such trials count as tried, and have no distance."""
    node = content(**EASY)
    node["parameters"]["switching"] = {"keys": ["users.segments.everyone.outside_utility"], "between": [0.0, 100.0]}
    targets = read_targets(written(tmp_path, node))
    search = searched(targets, tmp_path / "study", 8)
    values, moments, distances = search.complete()
    assert len(search.trials) == 8
    assert len(search.failures()) == 8 - len(distances) > 0
    assert len(values) == len(moments) == len(distances) > 0
    assert all(trial.value is None for trial in search.trials if "fault" in trial.user_attrs)


@pytest.mark.slow
def test_what_was_put_in_is_found_again(tmp_path, monkeypatch, capsys):
    """Moments simulated at known parameters, other seeds: the intervals hold the truth, and a check is met."""
    monkeypatch.chdir(tmp_path)
    blank = made(tmp_path, lerner=(0.2, 0.1), churn=(0.1, 0.1), tenure=(5.0, 1.0))
    large = [*blank.at(list(TRUTH.values())), "users.size=2000"]
    truth = list(TRUTH.values())
    samples = np.array([measure(blank.moments, large, seed).moments for seed in range(1001, 1013)])
    error = np.maximum(samples.std(axis=0, ddof=1) / np.sqrt(len(samples)), 1e-3)
    node = content(
        **{name: (float(m), float(e)) for name, m, e in zip(STATISTIC, samples.mean(axis=0), error, strict=True)}
    )
    cli.main(
        ["calibrate", written(tmp_path, node), "--trials", "96", "--seeds", "3", "--processes", "2", "users.size=2000"]
    )
    found = json.loads((tmp_path / "outputs/calibration-targets/fitted.json").read_text())
    for parameter, true in zip(found["parameters"], truth, strict=True):
        low, high = parameter["interval"]
        assert low <= true <= high, parameter
        assert parameter["verdict"] == "identified"
    assert found["distance"] < 12 < found["distance_at_start"]
    assert [moment["fit"] for moment in found["moments"]] == [True, True, False]
    assert all(abs(moment["off"]) < 4 for moment in found["moments"])
    command = shlex.split(capsys.readouterr().out.strip().splitlines()[-1])
    assert command[:2] == ["aimarket", "run"]
    cli.main(command[1:])  # what is printed can be run


def test_every_statistic_is_described():
    assert all(statistic.__doc__ for statistic in STATISTICS.values())


def test_settings_errors_name_the_file(tmp_path):
    (tmp_path / "torn.yaml").write_text("question: [", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"torn\.yaml: cannot be read"):
        read_targets(str(tmp_path / "torn.yaml"))
