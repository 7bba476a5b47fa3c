"""The rental market for GPU-hours clears; GPUs work in merit order; both show in the running market."""

import dataclasses

import numpy as np
import pytest
from compositions import made
from hypothesis import given
from hypothesis import strategies as st

from aimarket import Market, load, simulate
from aimarket.kernels.rationing import merit_order
from aimarket.rental import RentalMarket, build, clear

HARDWARE = load(["roster=duopoly"]).hardware
FIRMS = st.lists(
    st.tuples(st.floats(0, 1e6), st.floats(0, 1e3), st.floats(0, 1e6), st.floats(0, 5)), min_size=1, max_size=5
)


def market(**values: float) -> RentalMarket:
    return RentalMarket(**{"first_price": 2.0, "price": 2.0, "fleet": 1e6, "outside": 5e5} | values)


@given(firms=FIRMS, fleet=st.floats(1e3, 1e9), outside=st.floats(1e3, 1e9), first=st.floats(1e-3, 1e3))
def test_what_is_rented_is_what_is_let(firms, fleet, outside, first) -> None:
    overflow, worth, idle, energy = np.array(firms).T
    rental = market(first_price=first, fleet=fleet, outside=outside)
    cleared = clear(rental, HARDWARE, overflow, worth, idle, energy, 0.0, 1.0)
    assert cleared.rented.sum() + cleared.outside == pytest.approx(cleared.let.sum() + cleared.merchants, rel=1e-9)
    assert (cleared.rented <= overflow).all()
    assert (cleared.let <= idle).all()


def test_the_first_price_clears_the_first_step_and_scarcity_raises_it() -> None:
    overflow, worth, idle, energy = np.array([1e5]), np.array([50.0]), np.array([2e5]), np.array([0.1])
    rental = market(outside=np.nan)
    assert clear(rental, HARDWARE, overflow, worth, idle, energy, 0.0, 0.0).price == pytest.approx(2.0, rel=1e-12)
    for change in ({"overflow": 3 * overflow}, {"idle": 0 * idle}, {"training": 1e5}, {"years": 2.0}):
        terms = {
            "overflow": overflow,
            "worth": worth,
            "idle": idle,
            "energy": energy,
            "training": 0.0,
            "years": 0.0,
        } | change
        assert clear(dataclasses.replace(rental), HARDWARE, **terms).price > 2.0


def test_a_firm_rents_what_pays_and_lets_what_brings_more_than_its_energy() -> None:
    overflow, idle = np.full(2, 1e3), np.full(2, 1e3)
    cleared = clear(market(), HARDWARE, overflow, np.array([0.1, 1e3]), idle, np.array([1e3, 0.1]), 0.0, 0.0)
    assert cleared.rented[0] < 1e-3 * overflow[0] < 0.999 * overflow[1] < cleared.rented[1]
    assert cleared.let[0] < 1e-3 * idle[0] < 0.999 * HARDWARE.rental.lettable * idle[1] < cleared.let[1]


def test_a_firm_without_work_or_gpus_changes_no_bit() -> None:
    firm = [np.array([x]) for x in (1e5, 20.0, 3e5, 0.1)]
    with_another = [np.append(x, 0.0) for x in firm]
    assert clear(market(), HARDWARE, *firm, 0.0, 1.0).price == clear(market(), HARDWARE, *with_another, 0.0, 1.0).price


def test_merchants_build_while_the_price_exceeds_cost_unless_no_gpus_come() -> None:
    grown = [market() for _ in range(3)]
    for rental, cost, supply in zip(grown, (1.0, 2.0, 1.0), (1.0, 1.0, 0.1), strict=True):
        build(rental, HARDWARE, cost, 1.0, supply)
    assert grown[0].fleet > grown[1].fleet > 1e6
    assert 1e6 < grown[2].fleet < grown[0].fleet
    shrinking = market()
    build(shrinking, HARDWARE, 1e9, 1.0, 1.0)
    assert shrinking.fleet == pytest.approx(1e6 * np.exp(-12 / HARDWARE.service_life))


@given(gap=st.floats(0, 3), adjustment=st.floats(0, 50), elasticity=st.floats(0.3, 3), years=st.floats(1 / 24, 1))
def test_merchants_close_the_gap_and_never_overshoot(gap, adjustment, elasticity, years) -> None:
    """Alone with the rest of the world they move the price along its demand; two half steps are one whole."""
    terms = dataclasses.replace(HARDWARE.rental, adjustment=adjustment, elasticity=elasticity, demand_growth=0.0)
    settings = dataclasses.replace(HARDWARE, rental=terms, obsolescence=0.0)
    whole, halves = market(price=2.0 * np.exp(gap)), market(price=2.0 * np.exp(gap))
    for rental, steps in ((whole, 1), (halves, 2)):
        for _ in range(steps):
            before = rental.fleet
            build(rental, settings, 2.0, years / steps, 1.0)
            rental.price *= (rental.fleet / before) ** (-1 / elasticity)
    assert -1e-9 <= np.log(whole.price / 2.0) <= gap + 1e-12
    assert halves.price == pytest.approx(whole.price, rel=1e-9)


@given(
    capacity=st.lists(st.floats(0, 1e6), min_size=3, max_size=3),
    share=st.floats(0, 1),
    cost=st.permutations([0.1, 0.2, 0.3]),
)
def test_the_cheapest_generation_works_first(capacity, share, cost) -> None:
    each = np.array(capacity)[:, None]
    work = merit_order(np.array([share * each.sum()]), each, np.array(cost))
    assert work.sum() == pytest.approx(share * each.sum(), rel=1e-12, abs=1e-9)
    assert (work <= each).all()
    for dearer, cheaper in zip(np.argsort(cost)[1:], np.argsort(cost), strict=False):
        assert work[dearer] == 0 or work[cheaper] == pytest.approx(each[cheaper], rel=1e-9)


SMALL = ("users.size=2000", "run.panel=300", "run.steps=30")


def test_a_gpu_shortage_raises_the_rental_price() -> None:
    prices = {
        shock: simulate(made("roster=oligopoly", *SMALL, f"shock={shock}", shock__start=6, shock__months=18)).market
        for shock in ("none", "gpu_shortage")
    }
    calm, short = (prices[shock].set_index("step")["rental_price"] for shock in ("none", "gpu_shortage"))
    assert (short[:6] == calm[:6]).all()
    assert (short[12:24] > calm[12:24]).mean() > 0.8  # few users: a month may go the other way
    assert short[12:24].mean() > 1.3 * calm[12:24].mean()


def test_without_a_rental_market_nobody_rents_and_long_run_cost_is_what_rules_see() -> None:
    alone = Market(made("roster=duopoly", *SMALL, hardware__rental=None))
    alone.step()
    assert alone.scarcity == 1.0
    assert (alone.opportunity_cost == alone.marginal_cost).all()
    assert not alone.rented.any()
    assert np.isnan(alone.tables["market"]["rental_price"])


def test_short_run_cost_holds_the_shadow_price_of_capacity() -> None:
    """A firm that is never full has energy for its short-run cost; one that always is pays the rental price."""
    fleets = {"providers__alpha__fleet__gpus": 1e8, "providers__beta__fleet__gpus": 1.0}
    firms = Market(made("roster=duopoly", *SMALL, **fleets))
    firms.step()
    short, hours = firms.short_run_costs(firms.installed), firms.hours_per_mtok
    ample, scarce = (firms.providers[f].offers for f in (0, 1))
    assert short[ample] == pytest.approx(hours[ample] * firms.marginal_energy(firms.installed)[0], rel=1e-9)
    assert short[scarce] == pytest.approx(hours[scarce] * firms.rental.price, rel=1e-9)
