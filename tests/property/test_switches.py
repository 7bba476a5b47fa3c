"""No mechanism without a switch that turns it off: off changes the market, and on again restores it to the bit."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest
from compositions import changed
from everything import everything
from invariance import assert_same_bits, rows

from aimarket import simulate
from aimarket.configuration import validate
from aimarket.recording import Recording
from aimarket.schema import TABLES

SEGMENTS = ("consumer", "developer", "enterprise")
SWITCHES: dict[str, dict[str, Any]] = {  # mechanism: the settings without it
    "rental market": {"hardware.rental": None},
    "obsolescence": {"hardware.obsolescence": 0.0},
    "limited supply": {"hardware.supply": None},
    "growth of supply": {"hardware.supply_growth": 0.0},
    "ramp of a generation": {"hardware.supply_ramp": 0.0},
    "priority of large orders": {"hardware.supply_priority": 0.0},
    "sites": {"hardware.headroom": None},
    "volume discount": {"hardware.volume_discount": 0.0},
    "early delivery": {"hardware.early_delivery": 0.0},
    "scrapping": {"hardware.scrapping": False},
    "resale": {"hardware.resale": 0.0},
    "idle power": {"hardware.idle_power": 0.0},
    "batching": {"hardware.batch_half": None},
    "load balancing": {"hardware.load_balancing": False},
    "letting": {"hardware.rental.lettable": 0.0},
    "leasing instead of buying": {"hardware.rental.lease_or_buy": False},
    "equity rounds": {"finance.equity": None},
    "dividends": {"finance.payout": 0.0},
    "debt": {"finance.covenant": 0.0},
    "cash buffer": {"finance.cash_buffer": 0.0},
    "tax": {"finance.tax_rate": 0.0, "policy.tax_rate": None},
    "cost of capital by firm": {
        f"providers.{firm}.cost_of_capital": None
        for firm in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
    },
    "software": {"technology.rates.software": 0.0},
    "distillation": {"technology.rates.distillation": 0.0},
    "architecture": {"technology.rates.architecture": 0.0},
    "common luck": {"technology.volatility": 0.0},
    "private luck": {"technology.private_volatility": 0.0},
    "spillover": {"technology.spillover": 0.0},
    "learning by doing": {"technology.learning": 0.0},
    "private learning": {"technology.learning_private": 0.0},
    "dearer frontier models": {"technology.quality_cost": 0.0},
    "gain from training": {"technology.quality_gain": 0.0},
    "luck of a model": {"technology.quality_shock": 0.0},
    "ageing": {"technology.ageing": 0.0},
    "gap of open weights": {"technology.open_weights_gap": 0.0, "policy.open_weights_release": False},
    "lag of open weights": {"technology.open_weights_lag": 0, "policy.open_weights_release": False},
    "GPUs for training": {"technology.training_compute": 0.0},
    "training": {f"providers.{firm}.training": {"kind": "none"} for firm in ("alpha", "beta", "eta")},
    "contracts": {f"users.segments.{segment}.contract": None for segment in ("developer", "enterprise")},
    "commitments": {f"users.segments.{segment}.contract.commitment": 0.0 for segment in ("developer", "enterprise")},
    "routers": {
        "policy.multihoming": None,
        **{f"users.segments.{segment}.multihoming": 0.0 for segment in SEGMENTS},
    },
    "free tiers": {f"users.segments.{segment}.free": None for segment in ("consumer", "developer")},
    "conversion": {f"users.segments.{segment}.free.conversion": 0.0 for segment in ("consumer", "developer")},
    "foresight": {"users.foresight.weight": 0.0},
    "hardest tasks": {"users.difficulty.ceiling": None},
    "thinking on harder tasks": {"users.difficulty.thinking": 0.0},
    "portability": {"users.portability": 0.0, "policy.portability": 0.0},
    "surplus in adoption": {"users.surplus_feedback": 0.0},
    "taste for a provider": {"users.taste_spread": 0.0},
    "reviews after a price rise": {"users.price_rise_review": 0.0},
    "reviews after an outage": {"users.outage_review": 0.0},
    "elasticity of tasks": {"users.usage_elasticity": 0.0},
    "random tastes": {f"users.spread.{taste}": 0.0 for taste in ("quality", "price", "latency")},
    "correlated tastes": {
        f"users.correlation.{pair}": 0.0 for pair in ("quality_price", "quality_latency", "price_latency")
    },
    **{
        f"switching cost: {part}": {
            f"users.segments.{segment}.switching.{part}": 0.0 for segment in SEGMENTS
        }
        for part in ("base", "maximum", "depth")
    },
    "adoption": {
        f"users.segments.{segment}.adoption.{part}": 0.0
        for segment in SEGMENTS
        for part in ("innovation", "imitation")
    },
    "deepening": {f"users.segments.{segment}.depth.growth": 0.0 for segment in SEGMENTS},
    "decay of depth": {
        f"users.segments.{segment}.depth.decay": 0.0 for segment in SEGMENTS
    },
    "value of time": {f"users.segments.{segment}.value_of_time": 0.0 for segment in SEGMENTS},
    "thinking": {f"users.segments.{segment}.thinking_tokens": 0.0 for segment in SEGMENTS},
    "entry": {"entry": {"kind": "closed"}},
    "merger": {"policy.merger": None},
    "merger control": {"policy.merger_allowed": False},
    "break-up": {"policy.break_up": None},
    "price cap": {"policy.price_cap": None},
    "subsidy": {"policy.compute_subsidy": None},
    "export limit": {"policy.export_limit": []},
    "release of open weights": {"policy.open_weights_release": False},
    "windfall tax": {"policy.tax_rate": None},
    "portability mandate": {"policy.portability": None},
    "multi-homing mandate": {"policy.multihoming": None},
    "shock": {"shock.months": 0},
    "surge of demand": {"shock.demand": 1.0},
    "slow deliveries": {"shock.lead_time": 1.0},
    "shortage of GPUs": {"shock.gpu_supply": 1.0},
    "answers of rivals": {"providers.eta.pricing.reaction_period": 0},
    "runway": {"providers.eta.pricing.runway": 0},
    "rare price changes": {"providers.beta.pricing": {"kind": "cost_plus", "markup": 0.3}},
}  # fmt: skip


@pytest.fixture(scope="module")
def on() -> Recording:
    return simulate(validate(everything()))


@pytest.mark.parametrize("mechanism", SWITCHES)
def test_every_switch_works(on: Recording, mechanism: str) -> None:
    off = simulate(validate(changed(everything(), SWITCHES[mechanism])))
    assert not all(same(rows(on, table), rows(off, table)) for table in TABLES)


def same(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    return first.shape == second.shape and first.equals(second)


def without(config: dict[str, Any], mechanisms: Iterable[str]) -> dict[str, Any]:
    """A configuration without some mechanisms; parts of one that is off already are left out."""
    for name in mechanisms:
        if name not in ("commitments", "conversion", "letting", "leasing instead of buying"):
            config = changed(config, SWITCHES[name])
    return config


def test_on_again_restores_it_to_the_bit(on: Recording) -> None:
    """Nothing that is switched off leaves a trace in the settings or in the process."""
    config, before = everything(), everything()
    config = without(config, SWITCHES)
    simulate(validate(config))
    assert_same_bits(on, simulate(validate(before)))


def test_all_off_together_is_still_a_market() -> None:
    """Every switch at once; the books balance, and users buy."""
    assert (simulate(validate(without(everything(), SWITCHES))).market["spend"] > 0).all()
