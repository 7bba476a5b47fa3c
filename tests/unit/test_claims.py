"""Claims: statistics by hand, inference on data of known effect, the box, registered files, and an end-to-end run."""

import json
import re
import shlex
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimarket import cli
from aimarket.claims import box, inference, readme, wording
from aimarket.claims.conditions import close_calls, divisions
from aimarket.claims.evaluation import BoxPoint, from_json, judged, to_json
from aimarket.claims.inference import Estimate
from aimarket.claims.libraries import library
from aimarket.claims.measuring import Run
from aimarket.claims.null_models import gibrat_hhi, gibrat_volatility
from aimarket.claims.registration import load_claim, registered, sizes_of
from aimarket.claims.statistics import STATISTICS
from aimarket.claims.trials import Trials, measure
from aimarket.complaints import ResultsError, SettingsError
from aimarket.sweep import run_points
from aimarket.theory.concentration import gibrat_hhi_multiple

MONTHS = 36
TINY = ["users.size=200", "run.panel=60", "run.steps=26"]


def run_of(providers: dict[str, dict[str, list[float]]] | None = None, **market: list[float]) -> Run:
    """A run of three years from one value a year."""
    steps = np.arange(1, MONTHS + 1)
    by_month = {name: np.repeat(values, 12) for name, values in market.items()}
    rows = [
        pd.DataFrame({"step": steps, "provider": name, **{k: np.repeat(v, 12) for k, v in columns.items()}})
        for name, columns in (providers or {}).items()
    ]
    return Run(pd.DataFrame({"step": steps, **by_month}), pd.concat(rows) if rows else pd.DataFrame())


def value(statistic: str, run: Run) -> float:
    return STATISTICS[statistic].measure(run)


# ── statistics ──


def test_a_decline_of_ninety_per_cent_a_year_is_2_303_log_points():
    run = run_of(unit_cost=[1.0, 0.1, 0.01], price=[1.0, 1.0, 1.0])
    assert value("unit_cost_decline", run) == pytest.approx(np.log(10))
    assert value("price_decline", run) == 0


def test_contributions_count_towards_the_decline():
    run = run_of(cost_software=[0.0, -0.3, -0.6], cost_quality=[0.0, 0.1, 0.2])
    assert value("software_contribution", run) == pytest.approx(0.3)
    assert value("quality_contribution", run) == pytest.approx(-0.1)


def test_margins_are_those_of_the_second_and_the_last_year():
    run = run_of(lerner=[0.9, 0.2, 0.5], price=[9.0, 4.0, 2.0], marginal_cost=[1.0, 4.0, 1.0])
    assert value("lerner_rise", run) == pytest.approx(0.3)
    assert value("pass_through", run) == pytest.approx(0.5)


def test_a_task_is_one_that_was_served():
    run = run_of(
        tasks=[10.0, 10.0, 10.0],
        tokens_served=[1.0, 1.0, 4.0],
        tokens_wanted=[1.0, 1.0, 8.0],
        inference_gpu_hours=[1.0, 1.0, 1.0],
        spend=[3.0, 3.0, 3.0],
    )
    assert value("tokens_per_task_growth", run) == pytest.approx(np.log(8) / 2)
    assert value("gpu_seconds_per_task_growth", run) == pytest.approx(np.log(2) / 2)


def test_the_burden_of_training_is_over_two_years():
    run = run_of(training=[4.0, 2.0, 1.0], spend=[6.0, 6.0, 14.0])
    assert value("training_burden", run) == pytest.approx(3 / 20)
    assert value("training_burden_fall", run) == pytest.approx(6 / 12 - 3 / 20)


def test_profit_is_over_the_spend_of_the_first_year():
    run = run_of(economic_profit=[-5.0, 1.0, 3.0], spend=[4.0, 9.0, 9.0])
    assert value("late_economic_profit", run) == pytest.approx(2 / 4)


def test_the_leader_is_who_leads_in_the_first_year():
    firms = {
        "big": {
            "revenue_share": [0.6, 0.5, 0.4],
            "share": [0.5, 0.5, 0.5],
            "marginal_cost": [1, 1, 1.0],
            "quality": [1, 1, 2],
        },
        "small": {
            "revenue_share": [0.4, 0.5, 0.6],
            "share": [0.5, 0.5, 0.5],
            "marginal_cost": [1, 1, 2.0],
            "quality": [1, 1, 1],
        },
    }
    run = run_of(firms)
    assert value("leader_share", run) == pytest.approx(0.4)
    assert value("leader_gain", run) == pytest.approx(-0.2)
    assert value("leader_cost_advantage", run) == pytest.approx(np.log(2))
    assert value("leader_quality_advantage", run) == pytest.approx(1)
    assert value("hhi_beyond_gibrat", run) == pytest.approx(0)  # nobody moved: luck has nothing to explain


def test_every_statistic_has_a_unit_and_a_meaning():
    assert all(statistic.unit and statistic.meaning for statistic in STATISTICS.values())


# ── null models ──


def test_gibrat_is_the_known_answer_for_many_alike_firms():
    """N·HHI = exp(σ²t), by closed form and by paths drawn apart from the code under test."""
    years, firms, volatility = 6, 2000, 0.3
    growth = np.random.default_rng(1).normal(0, volatility, (years, firms))
    paths = np.exp(np.cumsum(np.vstack([np.zeros(firms), growth]), axis=0)) / firms
    assert gibrat_volatility(paths) == pytest.approx(volatility, rel=0.02)
    assert firms * gibrat_hhi(paths) == pytest.approx(gibrat_hhi_multiple(volatility, years), rel=0.05)


def test_without_luck_nothing_moves():
    assert 50 * gibrat_hhi(np.full((6, 50), 1 / 50)) == pytest.approx(1)


def test_a_firm_that_leaves_is_no_growth():
    assert gibrat_volatility([[0.5, 0.3, 0.2], [0.5, 0.5, 0.0]]) == pytest.approx(np.std([0, np.log(5 / 3)], ddof=1))


# ── inference ──


def test_the_interval_is_students():
    found = inference.estimate([1.0, 2.0, 3.0, np.nan])
    half = 4.302652729911275 / np.sqrt(3)
    assert (found.mean, found.low, found.high, found.count) == pytest.approx((2, 2 - half, 2 + half, 3))


def test_one_value_has_no_interval():
    assert inference.estimate([1.0]) == Estimate(1.0, float("-inf"), float("inf"), 1)


def test_a_known_effect_is_found_and_a_null_is_not():
    noise = np.random.default_rng(7).normal(0, 1, 40)
    noise -= noise.mean()
    assert inference.exceeds(1 + noise, 0.5) < 0.01
    assert inference.exceeds(0.5 + noise, 0.5) == pytest.approx(0.5)
    assert inference.exceeds(np.full(40, 0.6), 0.5) == 0
    assert inference.exceeds(np.full(40, 0.4), 0.5) == 1


def test_a_null_is_rejected_as_often_as_it_should_be():
    draws = np.random.default_rng(3).normal(0, 1, (2000, 40))
    rejected = np.mean([inference.exceeds(row, 0.0) < 0.05 for row in draws])
    assert abs(rejected - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


def test_holm_by_hand_and_claims_that_were_not_run_count():
    assert inference.holm({"a": 0.01, "b": 0.04, "c": 0.03}, ["a", "b", "c"]) == pytest.approx(
        {"a": 0.03, "c": 0.06, "b": 0.06}
    )
    assert inference.holm({"a": 0.01}, [*"abcdef"]) == pytest.approx({"a": 0.06})


@settings(deadline=None)  # the first example imports the library
@given(st.lists(st.booleans(), min_size=1, max_size=80))
def test_a_share_lies_in_its_interval(holds):
    found = inference.share(holds)
    assert 0 <= found.low <= found.mean + 1e-12
    assert found.mean <= found.high + 1e-12 <= 1 + 1e-9


@pytest.mark.parametrize(
    ("p_holds", "p_fails", "box_share", "word"),
    [
        (0.001, 0.999, 0.95, "supported"),
        (0.999, 0.001, 0.05, "refuted"),
        (0.001, 0.999, 0.5, "depends"),
        (0.5, 0.5, 0.5, "depends"),
        (0.2, 0.8, 0.95, "not shown"),
        (0.999, 0.001, 0.95, "not shown"),
    ],
)
def test_the_word(p_holds, p_fails, box_share, word):
    assert inference.verdict(p_holds, p_fails, Estimate(box_share, 0, 1, 64)) == word


@pytest.mark.parametrize(
    ("p_holds", "p_fails", "box_share", "words"),
    [
        (0.999, 0.001, Estimate(0.12, 0.06, 0.23, 64), ["depends", "refuted"]),
        (0.999, 0.001, Estimate(0.05, 0.02, 0.13, 64), ["refuted", "depends"]),
        (0.001, 0.999, Estimate(0.5, 0.38, 0.62, 64), ["depends"]),
        (0.2, 0.8, Estimate(0.95, 0.88, 0.98, 64), ["not shown", "depends"]),
    ],
)
def test_what_the_interval_of_the_share_leaves_open(p_holds, p_fails, box_share, words):
    assert inference.verdicts_within(p_holds, p_fails, box_share) == words


def test_a_difference_of_shares_by_hand():
    """Fisher (1935): of four cups of either kind, three told right; 34 of 70 tables are no less extreme."""
    difference, p = inference.share_difference([True, False, False, False], [True, True, True, False])
    assert difference.mean == pytest.approx(0.5)
    assert p == pytest.approx(34 / 70)


@settings(deadline=None)  # the first example imports the library
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_difference_of_shares_turns_with_its_sides(first, second):
    (there, p), (back, p_back) = inference.share_difference(first, second), inference.share_difference(second, first)
    assert there.low - 1e-9 <= there.mean <= there.high + 1e-9
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert p == pytest.approx(p_back)


# ── the box ──


def test_stars_stand_for_any_name():
    made = box.spelled_out(["roster=duopoly", "users.segments.*.review=0.1", "run.seed=3"])
    names = ("consumer", "developer", "enterprise")
    assert made == ["roster=duopoly", *(f"users.segments.{name}.review=0.1" for name in names), "run.seed=3"]
    with pytest.raises(SettingsError, match="matches"):
        box.spelled_out(["users.nothing.*=1"])


def test_axes_know_their_range_their_scale_and_whole_numbers():
    axes = {axis.pattern: axis for axis in box.directions(load_claim("cost_decline"))}
    assert (axes["hardware.lead_time"].low, axes["hardware.lead_time"].high) == (0, 24)
    assert axes["hardware.lead_time"].value(0.49) == 12
    assert isinstance(axes["hardware.lead_time"].value(0.49), int)
    assert axes["hardware.supply"].value(0.5) == pytest.approx(np.sqrt(2e5 * 2e6), rel=1e-5)


def test_what_segments_share_is_the_range_of_all():
    (review,) = (axis for axis in box.directions(load_claim("scale")) if axis.pattern == "users.segments.*.review")
    assert (review.low, review.high) == (0.02, 0.2)


@pytest.mark.parametrize(
    ("key", "bounds", "message"),
    [("run.nothing", (0, 1), "unknown key"), ("users.size", None, "bounds"), ("users.taste_spread", (2, 1), "bounds")],
)
def test_a_wrong_axis_is_named(key, bounds, message):
    claim = load_claim("jevons")
    axis = replace(next(iter(claim.box.values())), bounds=bounds)
    with pytest.raises(SettingsError, match=message):
        box.directions(replace(claim, box={key: axis}))


def test_morris_orders_axes_by_influence():
    axes = [box.Direction(name, 0, 1, False, False) for name in ("idle", "strong", "weak")]
    _, sample = box.morris_design(axes, 8)
    effects = 10 * sample[:, 1] - 2 * sample[:, 2]
    found = box.influences(axes, sample, effects)
    assert [influence.axis for influence in found] == ["strong", "weak", "idle"]
    assert [influence.mu_star for influence in found] == pytest.approx([10, 2, 0])
    assert found[1].mu == pytest.approx(-2)
    effects[0] = np.nan  # a trajectory is lost, the answer is not
    assert [influence.mu_star for influence in box.influences(axes, sample, effects)] == pytest.approx([10, 2, 0])


# ── the registered claims ──


@pytest.mark.parametrize("name", registered())
def test_a_registered_claim_runs(name, tmp_path):
    """Every cell and every corner composes; both arms of the default run for two years."""
    claim = load_claim(name)
    trials = Trials(
        claim, replace(sizes_of(claim), seeds=1, cell_seeds=1, box_points=2, trajectories=2), name, str(tmp_path), TINY
    )
    pairs = list(trials.pairs())
    points = trials.points(pairs)
    default = pairs[:1]
    planned = [points[arm] for arm in (default[0].treatment, default[0].control)]
    assert not run_points(planned, processes=1).failed
    measured = measure(trials, default, points)
    assert np.isfinite(measured.effects[claim.statistic]).all()


def test_there_are_six_and_each_says_what_is_put_in():
    assert len(registered()) == 6
    for name in registered():
        claim = load_claim(name)
        assert claim.inputs
        assert claim.findings
        assert any(cell.kind == "condition" and cell.expect == "fails" for cell in claim.cells.values()), name
        assert all(bool(cell.expect) == (cell.kind == "condition") for cell in claim.cells.values()), name


def test_the_arms_have_the_last_word(tmp_path):
    claim = load_claim("serving")
    trials = Trials(claim, sizes_of(claim), claim.name, str(tmp_path))
    pair = next(pair for pair in trials.pairs() if pair.part == "box")
    points = trials.points([pair])
    treated, control = (points[arm].settings.users.segments["consumer"] for arm in (pair.treatment, pair.control))
    assert treated.adoption.imitation == pair.place["users.segments.*.adoption.imitation"]
    assert control.adoption.imitation == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seeds: 39", "seeds"),
        ("statistic: nothing", "no such statistic"),
        ("sign: 2", "sign"),
        ("colour: red", "unknown"),
    ],
)
def test_a_wrong_registration_is_said_in_one_line(line, message, tmp_path):
    path = tmp_path / "mine.yaml"
    key = line.partition(":")[0]
    kept = [row for row in MINE.splitlines() if not row.startswith(f"{key}:")]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(SettingsError, match=message) as error:
        load_claim(str(path))
    assert "\n" not in str(error.value)


def test_a_result_of_another_version_is_said_in_one_line(tmp_path):
    (tmp_path / "result.json").write_text('{"name": "harvest"}')
    with pytest.raises(ResultsError, match="this version"):
        from_json(tmp_path / "result.json")


def test_an_unknown_claim_is_named():
    with pytest.raises(SettingsError, match="harvest"):
        load_claim("harvst")


# ── end to end ──

MINE = """
title: Firms that look ahead are cheaper
question: Are they?
prediction: They are.
statistic: mature_lerner
also: [price_decline]
sign: -1
smallest: 0.01
common: [experiment=maturity/locked_in, record=market_only, users.size=200, run.panel=60, run.steps=24]
treatment: []
control: [pricing@providers.anna.pricing=static_best_response]
seeds: 40
cell_seeds: 2
cells:
  free:
    kind: condition
    expect: fails
    text: leaving costs nothing
    common: [users.segments.everyone.switching.base=0, users.segments.everyone.switching.maximum=0]
  luck:
    kind: "null"
    text: one firm is like another
    common: [providers.anna.efficiency=0.0]
box:
  users.segments.everyone.review: {bounds: [0.2, 1.0]}
  users.taste_spread: {bounds: [0.1, 1.0]}
box_points: 4
trajectories: 2
inputs: [who looks ahead]
findings: [who is cheaper]
"""


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """A claim of one's own put to a quick test, and the folder it lies in."""
    folder = tmp_path_factory.mktemp("claims")
    (folder / "mine.yaml").write_text(MINE)
    study = folder / "studies" / "mine"
    study.mkdir(parents=True)
    for path in (study / "README.md", study.parent / "README.md"):
        path.write_text(f"# Mine\n\n{readme.BEGIN}\n{readme.END}\n\nBy hand.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli.main(["claims", "mine.yaml", "--quick", "--processes", "1", "run.steps=24", "--readme", "studies"])
    return folder


def test_a_claim_of_ones_own_end_to_end(tested):
    result = from_json(tested / "outputs" / "claims-mine-quick" / "result.json")
    assert result.quick
    assert result.failed == 0
    assert result.comparisons["mature_lerner"].effect.count == 3
    assert len(result.box_points) == 4
    assert {influence.axis for influence in result.influences} == set(load_claim(str(tested / "mine.yaml")).box)
    assert len(result.counter_example.effects) == 2
    assert result.cells["luck"].change.count == 1
    assert (tested / "outputs" / "claims-quick.csv").read_text().count("\n") == 2


def test_json_comes_back_as_it_was(tested):
    path = tested / "outputs" / "claims-mine-quick" / "result.json"
    assert to_json(from_json(path)) == path.read_text()
    json.loads(path.read_text(), parse_constant=pytest.fail)  # strict JSON: no bare NaN


def test_readmes_say_what_the_result_says(tested):
    result = from_json(tested / "studies" / "mine" / "result.json")
    path = tested / "studies" / "mine" / "README.md"
    before, made, after = readme.marked(path)
    assert made == readme.answer(load_claim(str(tested / "mine.yaml")), result)
    assert before == "# Mine\n\n"
    assert after == "\n\nBy hand.\n"
    assert "Firms that look ahead" in readme.marked(tested / "studies" / "README.md")[1]
    assert (tested / "studies" / "mine" / "figure.svg").read_text().startswith("<?xml")


def with_points(tested, effects, **places):
    """The result, with a box of one's own making."""
    result = from_json(tested / "outputs" / "claims-mine-quick" / "result.json")
    rows = zip(*places.values(), strict=True)
    points = [
        BoxPoint(dict(zip(places, row, strict=True)), float(effect)) for row, effect in zip(rows, effects, strict=True)
    ]
    return replace(result, box_points=points, box_share=inference.share([bool(e <= -0.01) for e in effects]))


def test_the_setting_that_parts_the_box_is_told_from_one_that_does_not(tested):
    size = np.arange(40)
    result = with_points(tested, np.where(size < 18, -1.0, 1.0), free=(7 * size) % 40, dear=size)
    dear, free = divisions(result)
    assert (dear.axis, free.axis) == ("dear", "free")
    assert (dear.lower.mean, dear.upper.mean, dear.difference.mean) == pytest.approx((0.9, 0, -0.9))
    assert dear.lower.count + dear.upper.count == 40
    assert dear.told
    assert not free.told
    assert "parts the box most is `dear`: below its median of 19.5" in wording.parted_by(result)
    assert "`free`" not in wording.parted_by(result)


def test_where_nothing_parts_the_box_it_is_said(tested):
    size = np.arange(40)
    result = with_points(tested, np.where(size % 2, -1.0, 1.0), dear=size)
    assert "No setting alone" in wording.parted_by(result)


def test_points_near_the_smallest_effect_are_close_calls(tested):
    result = with_points(tested, [-0.5, -0.02, 0.0, 0.5, float("nan")], dear=range(5))
    sharp, blurred = (close_calls(replace(result, scatter=scatter)) for scatter in (0.0, 0.1))
    assert (sharp.count, sharp.none_holds, sharp.all_hold) == pytest.approx((0, 0.4, 0.4))
    assert (blurred.count, blurred.none_holds, blurred.all_hold) == pytest.approx((2, 0.2, 0.6))
    assert "would hold in 20 to 60 %" in wording.share_in_words(replace(result, scatter=0.1))


def test_numbers_read_as_numbers():
    values = (-0.12345, 12345.6, -0.0, float("nan"), float("-inf"))
    assert [wording.number(value) for value in values] == ["−0.123", "12,346", "0", "–", "−∞"]
    assert STATISTICS["lerner_rise"].plain_unit == ""
    assert STATISTICS["leader_gain"].plain_unit == "of the market's revenue "


def test_nothing_is_run_twice(tested, monkeypatch):
    runs = tested / "outputs" / "claims-mine-quick" / "runs"
    before = {path: path.stat().st_mtime_ns for path in runs.iterdir()}
    monkeypatch.chdir(tested)
    cli.main(["claims", "mine.yaml", "--quick", "--processes", "1", "run.steps=24"])
    assert {path: path.stat().st_mtime_ns for path in runs.iterdir()} == before


def test_the_counter_example_can_be_run(tested, monkeypatch, capsys):
    """The pair at once, with the effect that was found; its two runs alone are the same runs."""
    monkeypatch.chdir(tested)
    found = from_json(tested / "outputs" / "claims-mine-quick" / "result.json").counter_example
    for command in found.commands:
        program, *words = shlex.split(command)
        assert program == "aimarket"
        cli.main([*words, *(["--processes", "1"] if words[0] == "claims" else [])])
    assert re.search(
        rf"Lerner index in the last year.* {wording.number(found.effects[0])} *$", capsys.readouterr().out, re.M
    )
    assert len(list((tested / "outputs" / "counter-mine" / "runs").iterdir())) == 2


def test_correction_makes_no_p_smaller(tested):
    result = from_json(tested / "outputs" / "claims-mine-quick" / "result.json")
    (alone,) = judged([result], ["mine"])
    (among_six,) = judged([result], registered())
    assert alone.p_holds_corrected == pytest.approx(result.p_holds)
    assert among_six.p_holds_corrected >= alone.p_holds_corrected


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "SALib", None)
    with pytest.raises(ResultsError, match=r"aimarket\[studies\]"):
        library("SALib")


def test_bad_input_is_said_in_one_line(capsys):
    for arguments in (
        ["claims", "nothing"],
        ["claims", "harvest", "--processes", "-1"],
        ["claims", "harvest", "users.sise=3"],
        ["claims", "harvest", "scale", "--pair", "1"],
        ["claims", "harvest", "--pair", "1", "--quick"],
        ["claims", "harvest", "--pair", "1", "--cell", "frige"],
        ["claims", "harvest", "--cell", "fringe"],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
