"""Every kind of figure, on recordings of the model: what it says is what the frames say, or why it says nothing."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats
from studies import study as made

from aimarket.designs import analyse
from aimarket.report import chance, charts, comparison, drivers, firms, kinds, over_time, sensitivity
from aimarket.report.chance import TIPPED, tipping_times
from aimarket.report.format import decimals, percent
from aimarket.report.page import study_of
from aimarket.report.plates import Chart, Plate, draw
from aimarket.report.study import Analysis, NotShownError, Study, points, short_names
from aimarket.report.style import house_style
from aimarket.results import open_results

SWITCHING = "users.segments.everyone.switching.base"
LOYALTY = ("experiment=limit/loyalty", "providers.anna.offers.main.quality=2.5", "users.size=60", "run.steps=40")


@pytest.fixture(scope="module")
def real(replicated: Path) -> Study:
    return study_of(open_results(replicated))


@pytest.fixture(scope="module")
def morris(screened: Path) -> Study:
    return study_of(open_results(screened))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Twelve points of two settings, two seeds each."""
    swept = (
        "roster=duopoly",
        "run.steps=6",
        "users.usage_elasticity=0.5,0.8,1.2,1.6",
        "users.taste_spread=0.2,0.6,1.2",
        "run.seed=1,2",
    )
    return study_of(open_results(made(tmp_path_factory.mktemp("grid"), *swept)))


@pytest.fixture(scope="module")
def loyal(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A market of few users and three qualities, which tips at some seeds."""
    return study_of(
        open_results(made(tmp_path_factory.mktemp("loyal"), *LOYALTY, f"{SWITCHING}=0.2,3.0", "run.seed=1,2,3,4"))
    )


def test_a_kind_is_drawn_or_says_what_it_would_take(real: Study, grid: Study, loyal: Study, morris: Study) -> None:
    drawn = set()
    for study in (real, grid, loyal, morris):
        shown, absent = kinds.plates(study)
        drawn |= {kind.name for kind, _ in shown}
        assert len(shown) + len(absent) == len(kinds.KINDS)
        for _, plate in shown:
            assert re.match(r"[A-ZÀ-Þ0-9]", plate.title), plate.title
            assert "nan" not in f"{plate.title} {plate.note}".lower().split(), plate
            assert plate.alternative.startswith(plate.title)
        assert all(reason and reason[0].islower() and not reason.endswith(".") for _, reason in absent)
    assert drawn == {kind.name for kind in kinds.KINDS}
    assert len(kinds.KINDS) >= 12


def test_the_documentation_lists_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| ([A-Z][^|]*?) \|", text, re.MULTILINE) == [kind.name for kind in kinds.KINDS]


def test_one_run_has_no_phase_diagram_and_no_chance(tmp_path: Path) -> None:
    alone = study_of(open_results(made(tmp_path, "roster=duopoly", "run.steps=3")))
    absent = {kind.name for kind, _ in kinds.plates(alone)[1]}
    assert {"Phase diagram", "Paired difference", "Sensitivity", "Tipping time", "Replicate diagnostics"} <= absent
    assert {"Price and cost", "Shares by provider"} & absent == set()


def _boxes(figure: Figure) -> list[tuple[str, np.ndarray]]:
    """Every text that is drawn, with its box in pixels; ticks beyond the ends of an axis are not drawn."""
    figure.draw_without_rendering()
    ticks, drawn = set(), set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks |= {text for tick in axis.get_major_ticks() for text in (tick.label1, tick.label2)}
        inside = (tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9)
        drawn |= {tick.label1 for tick in inside if tick.label1.get_visible()}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and (text not in ticks or text in drawn)]
    return [(text.get_text(), text.get_window_extent().extents) for text in texts if text.get_text().strip()]


@pytest.mark.parametrize("width", [None, 4.2])
def test_nothing_is_cut_off_and_no_label_meets_another(
    real: Study, grid: Study, loyal: Study, morris: Study, width: float | None
) -> None:
    """Of every kind one, and each that has panels side by side."""
    seen = set()
    with house_style():
        for study in (real, grid, loyal, morris):
            for kind, plate in kinds.plates(study)[0]:
                if kind in seen and plate.columns == 1 and study is not morris:
                    continue
                seen.add(kind)
                figure = draw(plate if width is None else plate.stacked(), width, headed=width is None)
                wide, high = figure.get_size_inches() * figure.dpi
                placed = _boxes(figure)
                for text, (left, bottom, right, top) in placed:
                    assert left >= -2, (plate.name, text)
                    assert right <= wide + 2, (plate.name, text)
                    assert bottom >= -2, (plate.name, text)
                    assert top <= high + 2, (plate.name, text)
                for place, (text, one) in enumerate(placed):
                    for other_text, other in placed[place + 1 :]:
                        apart = one[2] <= other[0] + 3 or other[2] <= one[0] + 3
                        apart |= one[3] <= other[1] + 3 or other[3] <= one[1] + 3
                        assert apart, (plate.name, text, other_text)


def test_shares_by_rank_are_sorted_and_sum_to_one(real: Study) -> None:
    (panel,) = over_time.shares_by_rank(real).panels()
    values = np.stack([line.values.to_numpy() for line in panel.lines])
    assert np.nansum(values, axis=0) == pytest.approx(1.0)
    assert (np.diff(values[:4], axis=0) <= 1e-12).all()


def test_tiers_order_quality(real: Study) -> None:
    plate = over_time.price_by_tier(real)
    assert [row[0].heading for row in plate.rows] == ["frontier", "middle", "budget"]
    offers = real.table("offers", ["price", "marginal_cost", "quality", "tokens_served"])
    sold = offers[offers["tokens_served"] > 0]
    for row in plate.rows:
        low = sold.groupby(["replication", "year"])["price"].min().min()
        drawn = row[0].lines[0].values.to_numpy()
        assert np.nanmin(drawn) >= low - 1e-12


def test_welfare_is_the_sum_of_its_parts(real: Study) -> None:
    plate = over_time.welfare(real)
    (whole, users), rest = plate.rows[0][0].lines, plate.rows[1][0].lines
    total = users.values + sum(line.values for line in rest)
    np.testing.assert_allclose(whole.values, total, rtol=1e-9)


def test_cost_drivers_multiply_to_the_change_of_unit_cost(real: Study) -> None:
    table = drivers.cost_drivers(real).table
    assert table is not None
    columns = [name for name in real.market if name.startswith("cost_") and name != "cost_per_task"]
    last = real.market.sort_values("step").groupby("replication")[columns].last().sum(axis=1)
    written = sum(float(text.replace("−", "-")) for text in table["log points"])
    assert written == pytest.approx(last.mean(), abs=0.02 * len(table))


def test_users_won_less_users_lost_is_what_a_provider_gains(real: Study) -> None:
    plate = firms.switching(real)
    assert plate.table is not None
    last = real.providers[real.providers["step"] >= 14]
    users = last.pivot_table(index="step", columns=["replication", "provider"], values="users", observed=True)
    gain = (users.iloc[-1] - users.iloc[0]).div(12).groupby("provider").median()
    best = str(gain[plate.table.index].idxmax())
    assert f"{best} gains most" in plate.title
    assert "not recorded" in plate.note


def test_profit_and_share_gives_the_rank_correlation(real: Study) -> None:
    last = real.providers[real.providers["step"] > 14]
    found = []
    for _, rows in last.groupby("replication"):
        by = rows.groupby("provider").agg({"net_income": "sum", "revenue": "sum", "share": "mean"})
        by = by[(by["revenue"] > 0) & (by["share"] > 0)]
        found.append(stats.spearmanr(by["share"], by["net_income"] / by["revenue"]).statistic)
    assert f"rank correlation {decimals(float(np.median(found)))}" in firms.profit_and_share(real).title


def test_paired_differences_are_those_of_pairs(grid: Study) -> None:
    plate = comparison.paired_difference(grid)
    assert plate.table is not None
    assert len(plate.table) == 11
    last = (
        grid.outcomes.rename("lerner")
        .reset_index()
        .merge(grid.design["seed"].reset_index(), on=["run_id", "replication"])
    )
    first, second = (grid.points[name] for name in list(grid.points)[:2])
    pairs = last[last["run_id"].isin(second)].set_index("seed")["lerner"]
    pairs = pairs - last[last["run_id"].isin(first)].set_index("seed")["lerner"]
    low, high = stats.ttest_1samp(pairs, 0).confidence_interval()
    assert list(plate.table.iloc[0]) == [decimals(value) for value in (pairs.mean(), low, high)]


def test_the_phase_diagram_has_a_cell_for_each_point(grid: Study) -> None:
    plate = comparison.phase_diagram(grid)
    assert plate.table is not None
    assert sorted(plate.table.shape) == [3, 4]
    assert len(grid.points) == 12
    for (_, ids), words in zip(grid.points.items(), grid.points, strict=True):
        level = grid.outcomes[grid.outcomes.index.get_level_values("run_id").isin(ids)].median()
        assert decimals(float(level)) in {cell.partition(" (")[0] for cell in plate.table.to_numpy().flat}, words


def test_many_values_are_put_into_bins(grid: Study) -> None:
    """A design of scattered points fills cells of ranges."""
    rng = np.random.default_rng(3)
    runs = [f"{number:08d}" for number in range(60)]
    values = pd.DataFrame({"x.a": rng.uniform(0, 1, 60), "x.b": 10 ** rng.uniform(-3, 3, 60)}, runs)
    rows = grid.market[grid.market["run_id"] == grid.market["run_id"].iloc[0]]
    rows = rows.drop(columns=grid.swept)
    market = pd.concat([rows.assign(run_id=run, **values.loc[run]) for run in runs], ignore_index=True)
    market["lerner"] = market["x.a"] * 0.5
    scattered = Study(market, grid.providers)
    assert comparison.phase_diagram(scattered).table.shape == (5, 5)  # type: ignore[union-attr]
    plate = sensitivity.sensitivity(scattered)
    assert plate.title.startswith("The Lerner index follows a most: rank correlation 1.00")
    assert plate.table is not None
    assert list(plate.table.index) == ["a", "b"]


def test_the_sensitivity_of_a_design_is_its_analysis(morris: Study, screened: Path) -> None:
    plate = sensitivity.sensitivity(morris)
    found = analyse(open_results(screened), morris.outcomes.groupby(level="run_id").mean())
    found = found.sort_values("mu_star", ascending=False)
    first = found.iloc[0]
    low, high = first["mu_star"] - first["mu_star_conf"], first["mu_star"] + first["mu_star_conf"]
    size = decimals(first["mu_star"])
    interval = f"{decimals(max(low, 0.0))} to {decimals(high)}"
    name = found.index[0].rpartition(".")[2]
    assert (
        plate.title == f"The Lerner index depends most on {name}: {size} over its range, on average (95 %: {interval})"
    )
    assert "12 points of the design" in plate.note
    assert plate.table is not None
    assert list(plate.table.iloc[0]) == [f"{size} ({interval})", decimals(first["mu"]), decimals(first["sigma"])]


def test_sobol_shares_are_given_with_their_intervals(morris: Study) -> None:
    def indices(_: pd.Series) -> pd.DataFrame:
        columns = {"S1": [0.1, 0.6], "S1_conf": [0.05, 0.1], "ST": [0.15, 0.8], "ST_conf": [0.2, width]}
        return pd.DataFrame(columns, index=["users.a", "users.b"])

    study = Study(morris.market, morris.providers, analysis=Analysis("sobol", 64, indices))
    width = 0.1
    plate = sensitivity.sensitivity(study)
    assert plate.title == (
        "Of the variance of the Lerner index b makes 80 % with its interactions (95 %: 70 % to 90 %); "
        "beyond chance: 1 of 2 parameters"
    )
    assert plate.table is not None
    assert list(plate.table.loc["b"]) == ["60 % (50 % to 70 %)", "80 % (70 % to 90 %)"]
    with house_style():
        draw(plate).draw_without_rendering()
    width = 0.6
    assert sensitivity.sensitivity(study).title.startswith("Too few points")


def test_a_design_that_lacks_runs_is_ranked_and_says_so(screened: Path) -> None:
    half = open_results(screened).where({"seed": 1})
    plate = sensitivity.sensitivity(study_of(half))
    assert "rank correlation" in plate.title
    assert "No indices of the Morris design" in plate.note
    assert "have no statistic" in plate.note


def test_points_are_named_by_their_values_where_there_is_little_room() -> None:
    long = ["usage_elasticity = 0.5, taste_spread = 0.2", "usage_elasticity = 1.0, taste_spread = 0.2"]
    assert charts.point_names(long, 28) == ("usage_elasticity, taste_spread", ["0.5, 0.2", "1.0, 0.2"])
    assert charts.point_names(["a = 1", "a = 2"], 28) == ("", ["a = 1", "a = 2"])
    heading, names = charts.point_names([*long, "run 12345678"], 28)
    assert heading == ""
    assert all(len(name) <= 28 for name in names)


def test_tipping_needs_a_year_and_censors_the_rest() -> None:
    steps = np.arange(1, 37)
    shares = {0: 0.5 + 0.2 * (steps >= 7), 1: 0.7 * (steps % 11 > 0), 2: np.full(36, 0.9)}
    frames = [
        pd.DataFrame({"run_id": "a", "replication": who, "step": steps, "year": steps / 12, "leader_share": share})
        for who, share in shares.items()
    ]
    times = tipping_times(pd.concat(frames)).droplevel("run_id")
    assert TIPPED > 0.5
    assert list(times["tipped"]) == [True, False, True]
    assert times["year"].to_numpy() == pytest.approx([7 / 12, 25 / 12, 1 / 12])


def test_the_tipping_finding_counts_markets(loyal: Study) -> None:
    times = tipping_times(loyal.market)
    plate = chance.tipping(loyal)
    assert plate.title.startswith(f"{times['tipped'].sum()} of {len(times)} markets tip")
    assert percent(TIPPED) in plate.note


def test_replicates_give_the_t_interval(real: Study) -> None:
    series = real.outcomes.to_numpy()
    low, high = stats.ttest_1samp(series, 0).confidence_interval()
    assert chance.replicates(real).title.endswith(f"±{decimals((high - low) / 2)} (95 %); half of that takes about 12")


def test_points_are_named_by_the_command_line_and_by_settings_without_it(grid: Study) -> None:
    assert next(iter(grid.points)) == "usage_elasticity = 0.5, taste_spread = 0.2"
    bare = Study(grid.market.drop(columns="point"), grid.providers)
    assert list(bare.points.values()) == list(grid.points.values())


def test_seeds_are_no_points(real: Study, loyal: Study) -> None:
    assert list(points(real.market)) == [""]
    assert [len(ids) for ids in loyal.points.values()] == [4, 4]


def test_a_table_that_was_not_recorded_is_named(real: Study) -> None:
    bare = Study(real.market, real.providers)
    with pytest.raises(NotShownError, match="offers was not recorded"):
        over_time.price_by_tier(bare)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [(["a.b.c", "a.d.e"], ["c", "e"]), (["a.x.c", "a.y.c"], ["x.c", "y.c"]), (["c", "a.c"], ["c", "a.c"])],
)
def test_names_are_as_short_as_they_can_be(names: list[str], wanted: list[str]) -> None:
    assert list(short_names(names).values()) == wanted


def test_a_panel_without_a_time_axis_stays_above_its_own() -> None:
    def panel(name: str, timed: bool) -> Chart:
        return Chart(lambda axes: [], name, timed=timed)

    rows = ((panel("p1", False), panel("p2", False)), (panel("m1", True), panel("m2", True)), (panel("p3", True),))
    names = [row[0].y_label for row in Plate("plate", "", "", rows).stacked().rows]
    assert names == ["p1", "m1", "p2", "m2", "p3"]
