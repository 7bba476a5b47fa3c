"""The summary, the figures and the progress say what the recorded frames say."""

import io
import re
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from aimarket.report import figures
from aimarket.report.figures import draw_figures
from aimarket.report.format import (
    between,
    count,
    decimals,
    grown,
    money,
    percent,
    signed_percent,
    significant,
    tokens,
)
from aimarket.report.labels import spread
from aimarket.report.periods import clean, market_periods, share_paths, share_periods
from aimarket.report.plates import draw
from aimarket.report.progress import duration, progress
from aimarket.report.style import factor_tick, house_style, money_tick
from aimarket.report.summary import COLUMNS, share_table, summary_table
from aimarket.report.years import Shares, Years
from aimarket.schema import TABLES

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota")


def _schema_frame(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Give the rows every column of the table, in order and of its type; what was not set is nought or empty."""
    blank = {"string": "", "bool": False, "int32": 0, "float64": 0.0}
    kinds = {"string": "str", "bool": "bool", "int32": "int32", "float64": "float64"}
    for column in TABLES[table]:
        if column.name not in rows:
            rows[column.name] = blank[column.kind]
    return rows[[c.name for c in TABLES[table]]].astype({c.name: kinds[c.kind] for c in TABLES[table]})


def synthetic(
    *,
    steps: int = 120,
    replications: int = 1,
    runs: int = 1,
    firms: int = 9,
    decline: float = 0.26,
    noise: float = 0.03,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A market whose price falls to `decline` of itself a year, with replications that wander."""
    markets, providers = [], []
    for run in range(runs):
        for replication in range(replications):
            rng = np.random.default_rng((run, replication))
            walk = np.cumsum(rng.normal(0, noise, (4, steps)), axis=1) if noise else np.zeros((4, steps))
            step = np.arange(1, steps + 1)
            year = step / 12
            keys = pd.DataFrame({"run_id": f"{run:04d}abcd", "replication": replication, "step": step, "year": year})
            price = 4.0 * (decline * (1 + run / 10)) ** year * np.exp(walk[0])
            lerner = 0.21 + 0.13 * year / max(year[-1], 1) + 0.2 * walk[1] / np.sqrt(steps)
            tokens = 5e5 * np.exp(2.2 * year / (1 + year / 12) + walk[2])
            utility = 1.5 / np.sqrt(np.arange(1, firms + 1)) + np.outer(year, np.linspace(0.12, -0.08, firms))
            utility = utility + np.cumsum(rng.normal(0, noise, (steps, firms)), axis=0)
            share = np.exp(utility) / np.exp(utility).sum(axis=1, keepdims=True)
            hhi = (share**2).sum(axis=1)
            markets.append(
                keys.assign(
                    price=price,
                    marginal_cost=price * (1 - lerner),
                    unit_cost=price * (1 - lerner) * 1.15 * np.exp(walk[3] / 3),
                    lerner=lerner,
                    tokens_served=tokens,
                    spend=price * tokens,
                    hhi=hhi,
                    effective_providers=1 / hhi,
                    leader_share=share.max(axis=1),
                    utilisation=0.35 + 0.02 * year,
                    adopted_users=1e6 * year,
                    net_income=price * tokens * (lerner - 0.3),
                    active_providers=float(firms),
                )
            )
            for firm in range(firms):
                providers.append(keys.assign(provider=NAMES[firm], archetype="lab", active=True, share=share[:, firm]))
    return (
        _schema_frame("market", pd.concat(markets, ignore_index=True)),
        _schema_frame("providers", pd.concat(providers, ignore_index=True)),
    )


def _figure(market: pd.DataFrame, providers: pd.DataFrame, name: str) -> Figure:
    market, providers = clean(market), clean(providers)
    plates = {
        "price_and_cost": lambda: figures.price_and_cost(market),
        "shares": lambda: figures.shares(market, providers),
        "volumes": lambda: figures.volumes(market),
    }
    with house_style():
        return draw(plates[name]())


def _drawn(market: pd.DataFrame, providers: pd.DataFrame) -> dict[str, Figure]:
    return {name: _figure(market, providers, name) for name in ("price_and_cost", "shares", "volumes")}


def _drawn_through(market: pd.DataFrame, providers: pd.DataFrame) -> dict[str, Figure]:
    """All that saving a figure does short of its pixels."""
    drawn = _drawn(market, providers)
    assert len(drawn) == 3
    for figure in drawn.values():
        figure.draw_without_rendering()
    return drawn


def _words(figure: Figure) -> str:
    """Everything written on the figure outside its axes: title, second line, labels."""
    return "\n".join(text.get_text() for text in figure.texts).replace("\n", " ").replace("\u00a0", " ")


def _shown(table: Table, width: int = 160) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_six_files_and_the_same_bytes_again(tmp_path: Path) -> None:
    """And the notebook keeps its own style."""
    market, providers = synthetic(steps=24, replications=3, firms=3)
    before, backend = dict(mpl.rcParams), mpl.get_backend()
    first = draw_figures(market, providers, tmp_path / "one" / "deep")
    names = [f"{name}.{kind}" for name in ("price_and_cost", "shares", "volumes") for kind in ("svg", "png")]
    assert [path.name for path in first] == names
    assert dict(mpl.rcParams) == before
    assert mpl.get_backend() == backend
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.hashsalt": None}):
        second = draw_figures(market, providers, tmp_path / "two")
    for one, two in zip(first, second, strict=True):
        assert one.stat().st_size > 5000
        assert one.read_bytes() == two.read_bytes(), one.name
    assert not any(word in first[0].read_text() for word in ("<dc:date>", "matplotlib.org", "Matplotlib v"))


def test_the_price_finding_is_that_of_the_data() -> None:
    market, providers = synthetic(steps=120, noise=0, decline=0.26)
    words = _words(_figure(market, providers, "price_and_cost"))
    first, last = (market[mask] for mask in (market["step"] <= 12, market["step"] > 108))
    margins = [np.average(rows["lerner"], weights=rows["spend"]) for rows in (first, last)]
    assert words.startswith("Price fell 74.0 % a year, marginal cost 74.4 %: the Lerner index rose from ")
    assert f"from {margins[0]:.2f} to {margins[1]:.2f}" in words
    assert "one replication of one run, so no bands" in words


def test_the_price_finding_turns_with_the_data() -> None:
    market, providers = synthetic(steps=120, noise=0, decline=1.10)
    market["lerner"] = market["lerner"].to_numpy()[::-1]
    market["marginal_cost"] = market["price"] * (1 - market["lerner"])
    words = _words(_figure(market, providers, "price_and_cost"))
    assert words.startswith("Price rose 10 % a year, marginal cost 12 %: the Lerner index fell from 0.33 to 0.22")
    market["price"], market["lerner"] = 2.0, 0.5
    market["marginal_cost"] = 1.0
    words = _words(_figure(market, providers, "price_and_cost"))
    assert words.startswith("Price and marginal cost did not change: the Lerner index stayed at 0.50")


def test_the_second_line_counts_replications_that_disagree() -> None:
    market, providers = synthetic(steps=24, replications=4, noise=0)
    odd = market["replication"] == 0
    market.loc[odd, "lerner"] = market.loc[odd, "lerner"].to_numpy()[::-1]
    words = _words(_figure(market, providers, "price_and_cost"))
    assert "medians of 4 replications; bands: the middle 50 % and 90 %" in words
    assert "The Lerner index rose in 3 of 4." in words


def test_the_share_finding_is_that_of_the_data() -> None:
    market, providers = synthetic(steps=60, replications=5, firms=9)
    last = providers[providers["step"] > 48].groupby(["replication", "provider"])["share"].mean().unstack()
    numbers = [
        market[mask].groupby("replication")["effective_providers"].mean().median()
        for mask in (market["step"] <= 12, market["step"] > 48)
    ]
    words = _words(_figure(market, providers, "shares"))
    leader = last.median().idxmax()
    assert words.startswith(f"The leader, {leader}, serves {100 * last.median().max():.0f} % of tokens; ")
    assert f"{numbers[1]:.1f} effective providers, from {numbers[0]:.1f}" in words
    assert f"In {(last.idxmax(axis=1) == leader).sum()} of 5 it is {leader} that leads." in words
    assert "3 others" in words
    assert sum(f" {name} " in words.split("leads.")[1] for name in NAMES) == 6


def test_nobody_leads_where_nobody_was_served() -> None:
    market, providers = synthetic(steps=24, replications=3, firms=2, noise=0)
    providers.loc[providers["replication"] == 1, "share"] = np.nan
    assert "In 2 of 3 it is alpha that leads." in _words(_figure(market, providers, "shares"))


def test_equals_share_the_lead() -> None:
    market, providers = synthetic(steps=4, firms=2, noise=0)
    providers["share"] = 0.5
    assert _words(_figure(market, providers, "shares")).startswith("The leaders, alpha and beta, serve 50 % of tokens")


def test_the_volume_finding_is_that_of_the_data() -> None:
    market, providers = synthetic(steps=120, noise=0)
    words = _words(_figure(market, providers, "volumes"))
    first, last = (
        market[mask][["tokens_served", "spend"]].mean() for mask in (market["step"] <= 12, market["step"] > 108)
    )
    ratio = last / first
    fall = ratio["tokens_served"] / ratio["spend"]
    assert words.startswith(
        f"Tokens grew ×{significant(ratio['tokens_served'])} while price fell to 1/{significant(fall)}"
    )
    assert f"spend fell {100 * (1 - ratio['spend']):.0f} %" in words


@pytest.mark.parametrize("shape", [{}, {"replications": 2, "runs": 2}, {"runs": 6}])
def test_no_legend_and_a_second_cue_for_every_line(shape: dict[str, int]) -> None:
    for name, figure in _drawn(*synthetic(steps=30, **shape)).items():
        assert not figure.legends
        for axes in figure.axes:
            assert axes.get_legend() is None
            dashes = [repr(line._unscaled_dash_pattern) for line in axes.lines]  # type: ignore[attr-defined]
            assert len(set(dashes)) == len(dashes), name


def test_labels_keep_apart_and_on_the_page() -> None:
    for shape in ({"steps": 60, "replications": 2}, {"steps": 3}, {"steps": 12, "runs": 2, "firms": 7}):
        for name, figure in _drawn(*synthetic(**shape)).items():
            boxes = [text.get_window_extent() for text in figure.texts]
            for place, one in enumerate(boxes):
                assert one.x0 >= 0
                assert one.x1 <= figure.bbox.width, name
                assert not any(one.overlaps(other) for other in boxes[place + 1 :]), (name, figure.texts[place])
            for axes in figure.axes:
                assert all(tick.get_window_extent().x0 >= 0 for tick in axes.get_yticklabels()), name


@pytest.mark.parametrize(
    ("runs", "panels", "words"),
    [(1, 1, "medians of 2 replications"), (3, 3, "in each panel"), (5, 1, "all 10 simulations, of 5 different runs")],
)
def test_up_to_four_runs_side_by_side_and_more_pooled(runs: int, panels: int, words: str) -> None:
    market, providers = synthetic(steps=24, replications=2, runs=runs, firms=2)
    figure = _figure(market, providers, "volumes")
    assert len(figure.axes) == panels
    assert words in _words(figure)
    assert _words(figure).startswith("Across 3 settings, first to last year: tokens ×") == (runs == 3)


def test_runs_are_named_by_what_was_swept() -> None:
    market, providers = synthetic(steps=24, runs=3, firms=2)
    market["providers.alpha.pricing.markup"] = market["run_id"].map(
        {"0000abcd": 0.5, "0001abcd": 0.1, "0002abcd": 10.0}
    )
    headings = [axes.get_title(loc="left") for axes in _figure(market, providers, "shares").axes]
    assert headings == ["markup = 0.1", "markup = 0.5", "markup = 10"]
    del market["providers.alpha.pricing.markup"]
    headings = [axes.get_title(loc="left") for axes in _figure(market, providers, "shares").axes]
    assert headings == ["run 0000abcd", "run 0001abcd", "run 0002abcd"]


def test_nothing_served_at_first_and_a_price_of_zero() -> None:
    market, providers = synthetic(steps=22, replications=2, firms=2)
    idle, free = market["step"] <= 3, market["step"].between(15, 17)
    market.loc[idle, ["tokens_served", "spend"]] = 0.0
    market.loc[idle, ["price", "unit_cost", "marginal_cost", "lerner", "effective_providers"]] = np.nan
    market.loc[free, ["price", "spend"]] = 0.0
    market.loc[free, "lerner"] = -np.inf
    providers.loc[providers["step"] <= 3, "share"] = 0.0
    drawn = _drawn(market, providers)
    assert "Zeros have no place on a log axis" in _words(drawn["price_and_cost"])
    heights = drawn["price_and_cost"].axes[0].lines[0].get_ydata()
    assert np.isnan(heights[:3]).all()
    assert np.isnan(heights[14:17]).all()
    assert drawn["price_and_cost"].axes[0].get_ylim()[0] > 0.01
    assert np.isnan(drawn["shares"].axes[0].lines[0].get_ydata()[:3]).all()
    assert "first half" in _words(drawn["volumes"])


def test_a_margin_far_below_nought_does_not_flatten_the_rest() -> None:
    market, providers = synthetic(steps=24, firms=2)
    assert "off the scale" not in _words(_figure(market, providers, "price_and_cost"))
    market.loc[:2, "lerner"] = -30.0
    figure = _figure(market, providers, "price_and_cost")
    assert "A Lerner index below −1 is off the scale." in _words(figure)
    assert figure.axes[1].get_ylim()[0] == -1.0
    assert figure.axes[1].lines[0].get_clip_on()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_market_that_never_serves(value: float) -> None:
    market, providers = synthetic(steps=5, replications=2, firms=2)
    measures = ["price", "unit_cost", "marginal_cost", "lerner", "effective_providers", "leader_share"]
    market[measures] = value
    market[["tokens_served", "spend"]] = 0.0
    providers["share"] = value
    words = {name: _words(figure) for name, figure in _drawn_through(market, providers).items()}
    assert words["price_and_cost"].startswith("No tokens were sold at the end of the run")
    assert words["shares"].startswith("No tokens were served at the end of the run")
    assert words["volumes"].startswith("No tokens were served in the first or the last half")
    assert "Price" in _shown(summary_table(market, providers))
    assert "alpha" in _shown(share_table(market, providers))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs(steps: int) -> None:
    market, providers = synthetic(steps=steps, firms=2)
    words = {name: _words(figure) for name, figure in _drawn_through(market, providers).items()}
    when = {2: "in 1 month,", 3: "in 2 months,"}.get(steps, "At the end, price is $")
    assert when in words["price_and_cost"]
    assert " a year" not in words["price_and_cost"]
    assert "first step" in _shown(summary_table(market, providers)).lower()


def test_nothing_recorded_is_an_error(tmp_path: Path) -> None:
    market, providers = synthetic(steps=2)
    with pytest.raises(ValueError, match="nothing to report"):
        draw_figures(market[:0], providers[:0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_who_comes_late_or_is_gone_has_no_share() -> None:
    _, providers = synthetic(steps=24, firms=3)
    late = (providers["provider"] == "gamma") & (providers["step"] <= 12)
    gone = (providers["provider"] == "beta") & (providers["step"] > 12)
    providers.loc[gone, "share"] = np.nan
    first, last = share_periods(share_paths(clean(providers[~late])))
    assert first["gamma"].item() == 0.0
    assert last["beta"].item() == 0.0
    assert last["alpha"].item() > 0.2


def test_summary_of_one_replication_is_the_means() -> None:
    market, providers = synthetic(steps=36)
    lines = _shown(summary_table(market, providers)).splitlines()
    first, last = market[:12], market[-12:]
    price = [rows["spend"].sum() / rows["tokens_served"].sum() for rows in (first, last)]
    rows = {
        "Price": [money(price[0]), money(price[1])],
        "HHI": [f"{rows['hhi'].mean():.3f}" for rows in (first, last)],
        "Tokens a month": [count(rows["tokens_served"].mean() * 1e6) for rows in (first, last)],
        "Net income a month": [money(rows["net_income"].mean()) for rows in (first, last)],
    }
    for name, cells in rows.items():
        (line,) = [line for line in lines if line.strip().startswith(f"{name}  ")]
        assert all(cell in line for cell in cells), (line, cells)
    assert "5–95 %" not in "\n".join(lines)


def test_summary_of_replications_has_ranges() -> None:
    market, providers = synthetic(steps=24, replications=9)
    text = _shown(summary_table(market, providers))
    assert "median and 5–95 % range of 9 replications" in text
    leaders = market[market["step"] > 12].groupby("replication")["leader_share"].mean()
    low, high = leaders.quantile(0.05), leaders.quantile(0.95)
    assert f"{100 * low:.0f}–{100 * high:.0f} %" in text


@pytest.mark.parametrize("steps", [1, 7, 24, 40])
def test_years_without_frames_are_those_of_frames(steps: int) -> None:
    market, providers = synthetic(steps=steps, replications=3, firms=4)
    market.loc[market["step"] % 5 == 1, "price"] = np.nan
    market.loc[market["step"] % 3 == 0, "spend"] = 0.0
    late = (providers["provider"] == "gamma") & (providers["step"] <= steps / 2) & (providers["replication"] == 1)
    providers.loc[providers["step"] == 2, "share"] = np.nan
    periods, years, shares = market_periods(clean(market)), Years(market), Shares(providers[~late])
    assert years.word == periods.word
    for measure in COLUMNS["market"]:
        for mine, frame in zip(years.means(measure), (periods.first, periods.last), strict=True):
            np.testing.assert_allclose(mine, frame[measure], rtol=1e-12)
    for mine, frame in zip(shares.of_years, share_periods(share_paths(clean(providers[~late]))), strict=True):
        assert shares.names == list(frame)
        np.testing.assert_allclose(mine, frame, rtol=1e-12)


def test_annual_price_and_margin_agree() -> None:
    periods = market_periods(clean(synthetic(steps=48, replications=3)[0]))
    for year in (periods.first, periods.last):
        np.testing.assert_allclose(year["lerner"], 1 - year["marginal_cost"] / year["price"])
        np.testing.assert_allclose(year["spend"], year["tokens_served"] * year["price"])


def test_the_share_table_marks_exits() -> None:
    market, providers = synthetic(steps=24, replications=2, firms=3)
    assert "exited" not in _shown(share_table(market, providers))
    gone = (providers["provider"] == "gamma") & (providers["step"] > 18) & (providers["replication"] == 1)
    providers.loc[gone, "active"] = False
    text = _shown(share_table(market, providers))
    assert [line.split()[0] for line in text.splitlines() if "exited" in line] == ["gamma"]
    assert "exited in 1 of 2, year 1.5" in text
    assert "exited in 1 of 2, year 1.5" in _shown(share_table(market, providers[~gone]))


def test_the_calendar_is_read_off_the_frame() -> None:
    market = clean(synthetic(steps=96)[0])
    market["year"] /= 2
    periods = market_periods(market)
    assert periods.word == "year"
    assert periods.first["tokens_served"].item() == pytest.approx(market["tokens_served"][:24].mean())


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (money(1.234e9), "$1.23 B"),
        (money(-2500), "−$2.50 k"),
        (money(0.02136), "$0.0214"),
        (money(1.26e-5), "$1.26×10⁻⁵"),
        (money(0), "$0"),
        (money(float("nan")), "—"),
        (tokens(3.412e6), "3.41 T"),
        (count(12), "12.0"),
        (percent(0.342), "34 %"),
        (percent(0.0345), "3.5 %"),
        (percent(0.9997), "99.97 %"),
        (percent(1), "100 %"),
        (percent(0), "0 %"),
        (percent(1.5), "150 %"),
        (signed_percent(-0.74), "−74 %"),
        (grown(3120), "×3,100"),
        (grown(1 / 476), "1/480"),
        (grown(0.5), "−50 %"),
        (decimals(-0.001), "0.00"),
        (between("$2.67 M", "$3.45 M"), "$2.67–3.45 M"),
        (between("−$286 k", "−$217 k"), "−$286 to −217 k"),
        (between("$900 k", "$1.20 M"), "$900 k to $1.20 M"),
        (between("36 %", "36 %"), "36 %"),
    ],
)
def test_numbers_read_well(written: str, wanted: str) -> None:
    assert written == wanted


def test_ticks_read_well() -> None:
    assert [money_tick(10.0**power) for power in (-5, -4, -2, 0, 3)] == ["$10⁻⁵", "$0.0001", "$0.01", "$1", "$1,000"]
    assert [factor_tick(value) for value in (1e-4, 0.1, 0.5, 1, 1e4)] == ["1/10,000", "1/10", "×0.5", "×1", "×10,000"]
    assert [money_tick(value) for value in (2.5e-7, 2e-7, 0.125, 2.5)] == ["$2.5×10⁻⁷", "$2×10⁻⁷", "$0.125", "$2.5"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 15), st.floats(0.1, 0.9)), min_size=1, max_size=10),
)
def test_labels_spread_as_little_as_they_must(labels: list[tuple[float, float]]) -> None:
    wanted, heights = [label[0] for label in labels], [label[1] for label in labels]
    centres = spread(wanted, heights, 0.0, 10.0)
    placed = sorted(zip(centres, heights, strict=True))
    for (low, one), (high, two) in pairwise(placed):
        assert high - low >= (one + two) / 2 - 1e-9
    assert placed[0][0] - placed[0][1] / 2 >= -1e-9
    assert placed[-1][0] + placed[-1][1] / 2 <= 10 + 1e-9
    clear = all(abs(a - b) > 0.9 for a, b in combinations(wanted, 2)) and all(0.5 < want < 9.5 for want in wanted)
    if clear:
        assert centres == pytest.approx(wanted)


def test_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(200, "base") as advance:
        for replication in range(2):
            for step in range(1, 101):
                advance(step, replication)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 10
    assert re.fullmatch(r"base: 20 of 200 steps \(10 %\), \d+ s left", lines[0])
    assert re.fullmatch(r"base: 200 of 200 steps \(100 %\), done in \d+ s", lines[-1])


@pytest.mark.parametrize(("total", "lines"), [(1, 1), (3, 3), (7, 7), (11, 10), (0, 0)])
def test_progress_of_few_steps(total: int, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(total, "few") as advance:
        for step in range(total):
            advance(step + 1, 0)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_progress_can_be_silent_and_lets_errors_through(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(10, "quiet", enabled=False) as advance:
        advance(10, 0)
    with pytest.raises(RuntimeError, match="broken"), progress(10, "loud"):
        raise RuntimeError("broken")
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress(4, "base [1/2]") as advance:
        for step in range(1, 5):
            advance(step, 0)
    assert "base [1/2]" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_times_read_well() -> None:
    assert [duration(seconds) for seconds in (0.4, 59, 61, 3599, 7500)] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "59 min 59 s",
        "2 h 05 min",
    ]
