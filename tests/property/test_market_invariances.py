"""What must not change a market, to the bit where that is promised, and what must."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from compositions import composed, in_order, made, named_firms, option
from invariance import TWICE, assert_close, assert_same_bits, doubled, rows, written
from stepping import weights

from aimarket import Market, Settings, simulate
from aimarket.kernels.choice import logit_shares
from aimarket.recording import Recording
from aimarket.schema import TABLES
from aimarket.settings import SHELVES, rule_kinds
from aimarket.strata import SMALLEST

SMALL = ("users.size=600", "run.panel=150")
SEGMENTS = ("consumer", "developer", "enterprise")
COST_PLUS = {f"providers__{name}__pricing": {"kind": "cost_plus", "markup": 0.3} for name in ("alpha", "beta")}


# --- one more firm nobody wants ---------------------------------------------------------------------------------------

NOBODY_WANTS = {
    "reseller": ("+provider@providers.zero=reseller",),
    "lab": ("+provider@providers.zero=frontier_lab", "providers.zero.offers.main.rating=1200"),
    "host": ("+provider@providers.zero=open_weights_host", "+provider/offer@providers.zero.offers.second=entrant"),
}


@pytest.mark.parametrize("kind", NOBODY_WANTS)
@pytest.mark.parametrize("place", ["first", "in the middle", "last"])
def test_one_more_firm_nobody_wants_changes_nothing(place: str, kind: str) -> None:
    """But the number of firms: `active_providers`. A lab so bad is no frontier, its overhead no part of this market."""
    small = (*SMALL, "run.steps=4")
    with_zero = made(
        *small,
        *NOBODY_WANTS[kind],
        providers__zero__appeal=-100.0,
        providers__zero__overhead=0.0,
        providers__zero__debt=0.0,
    )
    names = list(made(*small).providers)
    position = {"first": 0, "in the middle": len(names) // 2, "last": len(names)}[place]
    more = simulate(in_order(with_zero, [*names[:position], "zero", *names[position:]]))
    assert more.providers.query("provider == 'zero'")["tokens_wanted"].eq(0).all()
    assert_same_bits(base_of_real(), more, without="zero", but=("active_providers",))


MIXED = {  # a rule a firm of the oligopoly
    "alpha": "pricing@providers.alpha.pricing=undercut",
    "beta": "pricing@providers.beta.pricing=follow_leader",
    "gamma": "pricing@providers.gamma.pricing=q_learning",
    "delta": "pricing@providers.delta.pricing=sticky",
    "capacity": "capacity@providers.alpha.capacity=newsvendor",
    "lag": "capacity@providers.beta.capacity=follow_demand",
}


def test_one_more_firm_nobody_wants_is_no_rival_to_any_rule() -> None:
    """Not even where it is cheap: who undercuts, follows or learns looks at rivals that somebody uses."""
    small = ("roster=oligopoly", *MIXED.values(), *SMALL, "run.steps=5")
    cheap = ("+provider@providers.zero=frontier_lab", "pricing@providers.zero.pricing=cost_plus")
    alone = {"overhead": 0.0, "debt": 0.0, "appeal": -100.0, "pricing__markup": -0.5, "offers__main__rating": 1450.0}
    zero = made(*small, *cheap, **{f"providers__zero__{key}": value for key, value in alone.items()})
    without = simulate(made(*small))
    assert_same_bits(without, simulate(zero), without="zero", but=("active_providers",))


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_firm_that_waits_changes_nothing(place: str) -> None:
    """However good its offers would be; nobody but an entry rule ever looks at it."""
    with_zero = made(*SMALL, "run.steps=4", *NOBODY_WANTS["lab"], providers__zero__active=False)
    names = list(made(*SMALL, "run.steps=4").providers)
    more = simulate(in_order(with_zero, ["zero", *names] if place == "first" else [*names, "zero"]))
    assert not more.providers.query("provider == 'zero'")[["gpus", "users", "revenue"]].any(axis=None)
    assert not more.statements.query("provider == 'zero'")[["cash", "equity", "overhead"]].any(axis=None)
    assert more.frame("ledger").query("provider == 'zero'").empty
    assert_same_bits(base_of_real(), more, without="zero")


_CACHE: dict[str, Any] = {}


def base_of_real() -> Recording:
    """The default roster, small and short."""
    if "real" not in _CACHE:
        _CACHE["real"] = simulate(made(*SMALL, "run.steps=4"))
    return _CACHE["real"]


# --- names and units --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pricing", "tolerance"), [("cost_plus", 1e-9), ("as it is", 1e-6)])
def test_relabelling_permutes_rows(pricing: str, tolerance: float) -> None:
    """Sums over firms come in another order; a search for the best price may end another rounding away."""
    rules = {f"providers__{name}__pricing": {"kind": pricing, "markup": 0.3} for name in made(*SMALL).providers}
    settings = made(*SMALL, "run.steps=3", **(rules if pricing == "cost_plus" else {}))
    names = list(settings.providers)
    other = simulate(in_order(settings, [*names[5:], *names[4::-1]]))
    assert_close(simulate(settings), other, tolerance)


@pytest.mark.parametrize(
    "overrides",
    [
        ("roster=real",),
        ("roster=oligopoly", "technology=thesis"),
        ("roster=oligopoly", "users.price_metric=linear"),
        ("roster=oligopoly", *MIXED.values()),
    ],
)
def test_the_unit_of_money_does_not_matter(overrides: tuple[str, ...]) -> None:
    small = (*overrides, *SMALL, "run.steps=3")
    once, twice = made(*small), doubled(made(*small), composed(*small))
    # 1e-6: a search on a flat maximum ends a little elsewhere when prices are rounded differently.
    assert_close(simulate(once), simulate(twice), 1e-6, TWICE)


# --- time -------------------------------------------------------------------------------------------------------------


SURE = {f"technology__{name}": 0.0 for name in ("volatility", "private_volatility", "quality_shock")}


def second_year(steps_per_year: int, *overrides: str, **values: Any) -> pd.DataFrame:
    """Means over the second year, a row a replication."""
    settings = made(*overrides, run__steps_per_year=steps_per_year, run__steps=2 * steps_per_year, **SURE, **values)
    market = simulate(settings).market
    return market[market["year"] > 1.01].groupby("replication").mean(numeric_only=True)


def half_steps_are_off(*overrides: str, **values: Any) -> pd.Series:
    """By how much the second year of a market in half steps differs, relative."""
    small = ("roster=duopoly", *overrides, "users.size=40000", "run.panel=100", "run.replications=4")
    monthly, halved = (second_year(n, *small, **values).mean() for n in (12, 24))
    return halved[monthly != 0] / monthly[monthly != 0] - 1


def test_half_steps_make_the_same_demand() -> None:
    resellers = [f"provider@providers.{name}=reseller" for name in ("alpha", "beta")]
    # Resellers have no free tier: all consumers pay, or the few who do would be a small sample of most people.
    off = half_steps_are_off("technology=slow", *resellers, users__segments__consumer__free=None)
    for column in (
        "adopted_users",
        "attached_users",
        "reviews",
        "switches",
        "depth",
        "tenure",
        "tokens_wanted",
        "spend",
    ):
        assert abs(off[column]) < 0.05, column


def test_half_steps_make_the_same_supply() -> None:
    """Firms that can pay for what they want, in a market that does not grow."""
    still = {
        f"users__segments__{segment}__{key}": 0.0
        for segment in SEGMENTS
        for key in ("adoption__innovation", "adoption__imitation", "depth__growth")
    }
    rich = {"providers__alpha__cash": 1e13, "providers__beta__cash": 1e13}
    alone = {"hardware__rental": None, "hardware__obsolescence": 0.0}  # scarcity would set off a cycle of investment
    off = half_steps_are_off("technology=frozen", **COST_PLUS, **still, **rich, **alone)
    for column in ("adopted_users", "attached_users", "tokens_served", "price", "gpus", "utilisation"):
        assert abs(off[column]) < 0.12, column


def test_adoption_does_not_depend_on_the_length_of_a_step() -> None:
    """Bass's curve is exact over a step of any length: only sampling is left, and the feedback of the sampled share."""
    small = ("roster=monopoly", "technology=frozen", "users.size=10000", "run.panel=20", "run.replications=8")
    values = {"users__surplus_feedback": 0.0, "providers__alpha__pricing": {"kind": "cost_plus", "markup": 0.3}}
    means = {n: second_year(n, *small, **values)["adopted_users"] for n in (12, 24)}
    error = np.sqrt(sum(mean.var(ddof=1) / len(mean) for mean in means.values()))
    # the mean over a year of an end-of-step figure leads by half a step
    lead = means[12].mean() * 0.02
    assert abs(means[12].mean() - means[24].mean()) < 4 * error + lead


# --- who computes -----------------------------------------------------------------------------------------------------


def test_threads_change_no_byte(tmp_path: Path) -> None:
    settings = made("roster=duopoly", f"users.size={3 * SMALLEST + 1000}", "run.panel=150", "run.steps=2")
    of = [
        written(dataclasses.replace(settings, run=dataclasses.replace(settings.run, threads=n)), tmp_path / str(n))
        for n in (1, 2, 3)
    ]
    assert len(of[0]) == len(TABLES)
    assert of[0] == of[1] == of[2]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small = ("roster=oligopoly", *SMALL, "run.steps=3", "run.replications=2")
    first, again = (written(made(*small), tmp_path / name) for name in ("first", "again"))
    other = written(made(*small, run__seed=2), tmp_path / "other")
    assert first == again
    assert {path.split("/")[1] for path in first} == {path.split("/")[1] for path in other}
    assert not set(first.values()) & set(other.values())
    both = simulate(made(*small)).market
    assert not both.query("replication == 0")["spend"].isin(both.query("replication == 1")["spend"]).any()


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the order of sets, nor BLAS threads, nor the folder one stands in leave a trace."""
    overrides = ["roster=oligopoly", *SMALL, "run.steps=2"]
    here = written(made(*overrides), tmp_path / "here")
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "aimarket", "run", *overrides, f"outputs={tmp_path / 'there'}"]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    there = {
        path.relative_to(tmp_path / "there").as_posix(): path.read_bytes()
        for path in sorted((tmp_path / "there").rglob("*.parquet"))
    }
    assert here == there


# --- what must change something ---------------------------------------------------------------------------------------


def outcome(settings: Settings) -> str:
    """All that was measured, as text."""
    recording = simulate(settings)
    return "".join(rows(recording, table).to_csv() for table in TABLES)


@pytest.mark.parametrize("shelf", SHELVES)
def test_every_rule_matters(shelf: str) -> None:
    small, place = ("roster=oligopoly", *SMALL, "run.steps=8"), f"providers__beta__{shelf}"
    outcomes = {outcome(made(*small, **{place: option(shelf, kind)})) for kind in rule_kinds(shelf)}
    assert len(outcomes) == len(rule_kinds(shelf))


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("policy", {"policy__start": 0, "hardware__scrapping": False}),  # what is written off is set against tax
        ("shock", {"shock__start": 0, "shock__months": 3}),
        ("technology", {}),
        ("geography", {}),
        ("hardware", {}),
        ("users.price_metric", {}),
    ],
)
def test_every_option_matters(group: str, values: dict[str, Any]) -> None:
    """Each policy from the start, each shock from the start, each technology, geography, hardware and price metric.

    Long enough for GPUs ordered at first to be delivered.
    """
    from aimarket.composition import conf_dir

    files = {path.stem for path in (conf_dir() / group).glob("*.yaml")} - {
        "merger_blocked"
    }  # that is to change nothing
    chosen = {name: option(group, name) for name in files} or {"log": "log", "linear": "linear"}
    outcomes = {
        outcome(made(*roster_for(group, name), *SMALL, "run.steps=8", **{group.replace(".", "__"): it} | values))
        for name, it in chosen.items()
    }
    assert len(outcomes) == len(chosen)


def roster_for(group: str, name: str) -> list[str]:
    """The small roster, but for policies that name firms of the default one."""
    return ["roster=real"] if group == "policy" and named_firms(option(group, name)) else ["roster=oligopoly"]


@pytest.mark.parametrize("policy", ["merger", "break_up"])
def test_a_policy_for_the_default_roster_changes_it_from_its_month_on(policy: str) -> None:
    """And a merger that is blocked does not, to the bit."""
    small = (*SMALL, "run.steps=4")
    without, with_it = simulate(made(*small)), simulate(made(*small, policy=option("policy", policy) | {"start": 2}))
    for table in ("offers", "providers"):
        left, right = (rows(r, table).query("step < 3") for r in (without, with_it))
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert not rows(without, "offers").equals(rows(with_it, "offers"))
    assert with_it.events.query("kind == @policy")["step"].tolist() == [3]
    if policy == "merger":
        blocked = option("policy", "merger_blocked") | {"start": 2}
        assert_same_bits(without, simulate(made(*small, policy=blocked)))


# --- where it settles -------------------------------------------------------------------------------------------------


def test_a_steady_state_stays() -> None:
    """Nothing grows, prices are fixed: after a burn-in shares of users do not drift, over independent replications."""
    settings = made(
        "roster=duopoly", "provider@providers.alpha=reseller", "provider@providers.beta=reseller",
        "technology=frozen", "users.size=1500", "run.panel=50", "run.steps=90", "run.replications=12",
        **{f"users__segments__{segment}__{key}": value
           for segment in SEGMENTS
           for key, value in {"adoption__innovation": 0.0, "adoption__imitation": 0.0, "depth__growth": 0.0,
                              "depth__decay": 0.0, "free": None, "review": 0.3, "switching__horizon": 3.0}.items()},
        providers__alpha__appeal=0.5,
    )  # fmt: skip
    offers = simulate(settings).offers.query("step > 30")
    assert offers.groupby("offer")["price"].nunique().eq(1).all()
    for _, share in offers.groupby("provider"):
        paths = share.pivot_table(index="step", columns="replication", values="user_share").to_numpy()
        early, late = paths[:20].mean(axis=0), paths[-20:].mean(axis=0)
        drift = late - early
        assert abs(drift.mean()) < 4 * drift.std(ddof=1) / np.sqrt(drift.size)
        assert paths.std(axis=0).min() > 0  # users do move


class Forecasting(Market):
    """A market whose panel, here everybody, says before each choice what to expect of it."""

    def choose(self) -> None:
        menu, users = self.menu(), self.population.users
        panel = self.survey(menu, self.adoption)
        share, _ = logit_shares(panel.utility_now, panel.outside_now)
        held = np.maximum(users.offer, 0)
        attached = panel.offer >= 0
        rise = np.where(attached, np.maximum(menu.rise[held], 0.0), 0.0)
        review = 1 - (1 - panel.review) * np.exp(-panel.price_rise_review * rise)
        stays = attached[:, None] & (held[:, None] == np.arange(len(menu.names)))
        chance = review[:, None] * share + (1 - review)[:, None] * stays
        weight = weights(self)[:, None]
        self.expected = (weight * chance).sum(axis=0)
        self.error = np.sqrt((weight**2 * chance * (1 - chance)).sum(axis=0))
        super().choose()
        self.sampled = np.bincount(users.offer[users.offer >= 0], weight[users.offer >= 0, 0], len(menu.names))


def test_what_is_expected_is_the_limit_of_what_is_sampled() -> None:
    """Tastes, inertia and switching costs on; a price rise in the third step makes holders look around."""
    calendar = {"kind": "calendar", "growth_markup": 0.1, "harvest_markup": 0.9, "harvest_from": 3}
    market = Forecasting(
        made("roster=oligopoly", "users.size=20000", "run.panel=20000", "run.steps=6",
             **{f"providers__{name}__pricing": calendar for name in ("alpha", "beta", "gamma", "delta", "epsilon")})
    )  # fmt: skip
    misses = []
    for _ in range(6):
        market.step()
        on_sale = market.error > 0  # offers of firms that have left are chosen by nobody for sure
        misses.extend((market.sampled - market.expected)[on_sale] / market.error[on_sale])
    assert np.abs(misses).max() < 4
    assert np.std(misses) == pytest.approx(1, abs=0.35)  # and the error is the right one


def test_a_price_change_leaves_the_draws_of_others_alone() -> None:
    """The same users adopt and look around, and the dearer firm, first by name, wins nobody it would not have had."""
    prices = {
        f"providers__{name}__pricing": {"kind": "cost_plus", "markup": 0.5}
        for name in ("alpha", "beta", "gamma", "delta", "epsilon")
    }
    small = ("roster=oligopoly", "users.size=4000", "run.panel=100")
    cheap = Market(made(*small, **prices))
    dear = Market(made(*small, **{**prices, "providers__alpha__pricing": {"kind": "cost_plus", "markup": 3.0}}))
    np.testing.assert_array_equal(cheap.population.users.offer, dear.population.users.offer)
    cheap.step()
    dear.step()
    np.testing.assert_array_equal(np.delete(cheap.price, 0), np.delete(dear.price, 0))
    cheap_users, dear_users = cheap.population.users, dear.population.users
    takes_cheap, takes_dear = (users.offer == 0 for users in (cheap_users, dear_users))
    assert takes_dear.sum() < takes_cheap.sum()
    assert not (takes_dear & ~takes_cheap).any()
    np.testing.assert_array_equal(cheap_users.adopted, dear_users.adopted)
    loyal = ~takes_cheap & ~takes_dear  # one draw for all offers: who is with others may move among them, but few do
    assert (cheap_users.offer != dear_users.offer)[loyal].mean() < (takes_cheap & ~takes_dear).mean()
