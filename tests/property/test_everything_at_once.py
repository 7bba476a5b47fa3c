"""Every mechanism in one market, and still: units, names, onlookers, threads and the step length do not matter."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from compositions import composed, in_order
from everything import VALUES, everything, renumbered
from invariance import TWICE, assert_close, assert_same_bits, doubled, written

from aimarket import simulate
from aimarket.configuration import validate
from aimarket.demand import BLOCK
from aimarket.recording import Recording


@pytest.fixture(scope="module")
def base() -> Recording:
    return simulate(validate(everything()))


def test_everything_happens(base: Recording) -> None:
    """What follows would mean little if a mechanism slept."""
    moved = base.frame("ledger").groupby("account")["amount"].apply(lambda x: x.abs().sum())
    accounts = {"break_up", "merger", "borrowing", "capital", "dividends", "interest", "tax", "training", "capex"}
    accounts |= {"rental", "rental_income", "subsidy", "wholesale", "write_off", "revenue", "overhead"}
    assert (moved.reindex(list(accounts)) > 0).all()
    kinds = {"merger", "break_up", "entry", "equity_round", "model_launched", "outage", "delivery", "price_change"}
    assert kinds <= set(base.events["kind"])
    market = base.market
    assert (market[["gpus_rationed", "switches"]] > 0).any().all()
    assert (base.offers["newcomer_price"] != base.offers["price"]).any()


@pytest.mark.parametrize("place", ["first", "last"])
def test_one_more_firm_nobody_wants_changes_nothing(base: Recording, place: str) -> None:
    """To the bit, but for the number of firms."""
    config = everything("+provider@providers.zero=frontier_lab")
    config["providers"]["zero"] |= {"appeal": -100.0, "overhead": 0.0, "debt": 0.0}
    names = list(config["providers"])[:-1]
    more = in_order(validate(config), ["zero", *names] if place == "first" else [*names, "zero"])
    assert_same_bits(base, simulate(more), without="zero", but=("active_providers",))


def test_relabelling_permutes_rows() -> None:
    """As far as searches for the best prices go: where a maximum is flat they end at 1e-5 from one another.

    Sooner or later that makes a user choose otherwise, and from then on it is another market: hence six steps.
    """
    settings = validate(everything(run__steps=6))
    names = list(settings.providers)
    assert_close(simulate(settings), simulate(in_order(settings, [*names[4:], *names[3::-1]])), 1e-4)


def test_the_unit_of_money_does_not_matter(base: Recording) -> None:
    config = everything()
    assert_close(base, simulate(doubled(validate(config), config)), 1e-6, TWICE)


def test_threads_change_no_byte(tmp_path: Path) -> None:
    settings = validate(everything(users__size=2 * BLOCK + 100, run__steps=4, entry__interval=1))
    of = [
        written(dataclasses.replace(settings, run=dataclasses.replace(settings.run, threads=n)), tmp_path / str(n))
        for n in (1, 3)
    ]
    assert of[0] == of[1]


# --- time -------------------------------------------------------------------------------------------------------------
#
# What a firm decides once a step is not split by halving the step: undercutting, following, Q-learning and Calvo's draw
# move prices once a step, a leader is followed a step later, and one firm enters a step. Prices are cost plus below.

SURE = {f"technology.{name}": 0.0 for name in ("volatility", "private_volatility", "quality_shock")}


def second_year(config: dict[str, Any], steps_per_year: int) -> pd.Series:
    """Means over the second year and all replications."""
    config["run"] |= {"steps": 2 * steps_per_year, "steps_per_year": steps_per_year, "replications": 4}
    market = simulate(validate(renumbered(config, SURE))).market
    return market[market["year"] > 1.01].mean(numeric_only=True)


def halved(config: dict[str, Any]) -> pd.Series:
    """By how much the second year of a market in half steps differs, relative."""
    monthly, half = (second_year(copy.deepcopy(config), n) for n in (12, 24))
    return half[monthly != 0] / monthly[monthly != 0] - 1


def test_half_steps_make_the_same_demand() -> None:
    """Contracts, routers, free tiers, foresight, difficulty, mandates and a surge of demand, where all is served."""
    overrides = [f"provider@providers.{name}=reseller" for name in ("alpha", "beta")]
    config = composed("roster=duopoly", "technology=slow", *overrides, "users.size=5000", "run.panel=60")
    users = {key: value for key, value in VALUES.items() if key.startswith("users.")}
    users |= {f"providers.{name}.offers.main.free_allowance": 4e5 for name in ("alpha", "beta")}
    shock = {"shock.start": 14, "shock.months": 6, "shock.demand": 2.0}
    policy = {"policy.start": 15, "policy.portability": 0.9, "policy.multihoming": 0.5}
    off = halved(renumbered(config, users | shock | policy))
    columns = ["adopted_users", "attached_users", "reviews", "switches", "depth", "tenure", "tokens_wanted", "spend"]
    for column in [*columns, "free_share", "multihoming_share", "contract_share"]:
        assert abs(off[column]) < 0.08, column


def test_half_steps_make_about_the_same_supply() -> None:
    """Scarce GPUs, sites, rental, scrapping, learning, mergers and policies: a market far from rest, of which the state
    in a step makes the next, and orders of GPUs come in bursts; so within a fifth, on average of three seeds.
    """
    config = everything("users.size=12000", "capacity@providers.alpha.capacity=follow_demand")
    for provider in config["providers"].values():
        provider["pricing"] = {"kind": "cost_plus", "markup": 0.3}
    config["entry"] = {"kind": "closed"}
    off = pd.concat([halved(config | {"run": config["run"] | {"seed": seed}}) for seed in (1, 2, 3)], axis=1).mean(
        axis=1
    )
    columns = ["adopted_users", "attached_users", "depth", "tokens_wanted", "tokens_served", "spend", "unit_cost"]
    columns += ["price", "capex", "subsidy", "utilisation", "gpu_supply", "producer_surplus", "consumer_surplus", "hhi"]
    for column in columns:
        assert abs(off[column]) < 0.2, column
