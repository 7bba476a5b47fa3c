"""GPUs by cohort: bought, delivered, worn out, retired; none is lost on the way and book value is cost less age."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimarket import Market, load
from aimarket.build import Clock, retire_and_deliver, start_fleet
from aimarket.provider import Fleet, energy_per_hour, gpu_hour_cost, roadmap
from aimarket.serving import create_network
from aimarket.theory import capital

SHAPE = (2, 3)  # generations, regions
ORDERS = st.lists(
    st.tuples(
        st.integers(0, 1),  # generation
        st.lists(st.floats(0, 1000), min_size=3, max_size=3),  # by region
        st.integers(1, 12),  # step of the order
        st.integers(1, 4),  # lead time
        st.floats(1, 1e5),  # USD/GPU
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def settings():
    return load(["roster=monopoly", "users.size=100"])


@given(ORDERS, st.integers(2, 6))
def test_every_gpu_ordered_is_on_order_installed_or_retired(orders, life):
    fleet = Fleet()
    ordered, delivered, retired, capitalised = (np.zeros(SHAPE), np.zeros(SHAPE), np.zeros(SHAPE), 0.0)
    for step in range(1, 26):
        out, into, cost = retire_and_deliver(fleet, step, life, SHAPE)
        retired, delivered, capitalised = retired + out, delivered + into, capitalised + cost
        for generation, regions, when, lead, price in orders:
            if when == step:
                fleet.add(generation, np.array(regions), step + lead, price, delivered=False)
                ordered[generation] += regions
        assert fleet.installed(*SHAPE) == pytest.approx(delivered - retired, rel=1e-9, abs=1e-9)
        assert fleet.installed(*SHAPE, delivered=False) == pytest.approx(ordered - delivered, rel=1e-9, abs=1e-9)
        # A cohort serves from the step in which it arrives for `life` steps.
        serving = np.zeros(SHAPE)
        for generation, regions, when, lead, _ in orders:
            if when + lead <= step < when + lead + life:
                serving[generation] += regions
        assert fleet.installed(*SHAPE) == pytest.approx(serving, rel=1e-9, abs=1e-9)
    assert delivered == pytest.approx(retired, rel=1e-9, abs=1e-9)
    assert capitalised == pytest.approx(sum(sum(regions) * price for _, regions, _, _, price in orders))


@given(ORDERS, st.integers(2, 6))
def test_book_value_is_cost_less_straight_line_depreciation(orders, life):
    fleet, booked, depreciated = Fleet(), 0.0, 0.0
    for step in range(1, 26):
        for generation, regions, when, lead, price in orders:
            if when == step:
                fleet.add(generation, np.array(regions), step + lead, price, delivered=False)
        booked += retire_and_deliver(fleet, step, life, SHAPE)[2]
        for _, regions, when, lead, price in orders:
            if when + lead <= step < when + lead + life:
                depreciated += sum(regions) * price / life
        assert fleet.book_value(step + 1, life) == pytest.approx(
            booked - depreciated, rel=1e-9, abs=1e-6 * (1 + booked)
        )
    assert fleet.book_value(26, life) == 0


def test_orders_wait_at_full_cost_and_have_no_book_value():
    fleet = Fleet()
    fleet.add(0, np.array([2.0, 0.0, 0.0]), arrival=5, unit_cost=10.0, delivered=False)
    assert fleet.remaining(step=9, life=3).tolist() == [1.0]
    assert fleet.book_value(9, 3) == 0
    assert retire_and_deliver(fleet, 4, 3, SHAPE)[2] == 0
    assert retire_and_deliver(fleet, 5, 3, SHAPE)[2] == 20
    assert fleet.book_value(5, 3) == 20
    assert fleet.book_value(6, 3) == pytest.approx(20 * 2 / 3)


def test_cohorts_without_gpus_are_not_kept():
    fleet = Fleet()
    fleet.add(1, np.array([0.0, 3.0, 0.0]), arrival=0, unit_cost=1.0, delivered=True)
    assert fleet.region.tolist() == [1]
    assert fleet.installed(*SHAPE).tolist() == [[0, 0, 0], [0, 3, 0]]


@pytest.mark.parametrize("gpus", [None, 500.0])
def test_a_starting_fleet_has_the_capacity_wanted_and_mixed_ages(settings, gpus):
    provider = next(iter(settings.providers.values()))
    generations = roadmap(settings.hardware, 0.0, 0.0)
    network = create_network(settings.geography, [s.profile for s in settings.users.segments.values()])
    names = [n for n, month in zip(generations.names, generations.release, strict=True) if month <= 0][-2:]
    mix = {names[0]: 1.0, names[1]: 3.0}
    fleet_settings = type(provider.fleet)(gpus=gpus, mix=mix, regions=dict.fromkeys(network.names, 1.0))
    chosen = type("Provider", (), {"fleet": fleet_settings})()
    fleet = Fleet()
    start_fleet(fleet, chosen, 800.0, generations, network, life=60, clock=Clock(12), name="x")
    installed = fleet.installed(len(generations.names), len(network.names))
    by_name = dict(zip(generations.names, installed.sum(axis=1), strict=True))
    if gpus is None:
        assert float(generations.throughput @ installed.sum(axis=1)) == pytest.approx(800)
    else:
        assert installed.sum() == pytest.approx(500)
    assert by_name[names[1]] == pytest.approx(3 * by_name[names[0]])
    assert installed.std(axis=1).max() == pytest.approx(0, abs=1e-9)  # the regions weigh the same
    # Bought from the release on, none is older than its generation nor past its life.
    age = -fleet.arrival
    assert (age < np.minimum(np.maximum(-generations.release[fleet.generation], 1), 59)).all()
    assert 0 < fleet.book_value(1, 60) < float(fleet.gpus @ fleet.unit_cost)


def test_a_gpu_hour_costs_what_the_oracle_says(settings):
    generations = roadmap(settings.hardware, 0.0, 0.0)
    hardware = settings.hardware
    busy, idle = hardware.planned_utilisation, hardware.idle_power
    cost = gpu_hour_cost(hardware, generations, electricity=0.08)
    for g in range(len(generations.names)):
        # The oracle spreads a year of full power over the hours used; here an idle GPU draws less.
        drawn = generations.power[g] * (busy + (1 - busy) * idle)
        expected = capital.gpu_hour_cost(
            (1 + hardware.discount_rate) * np.exp(hardware.obsolescence) - 1,
            hardware.service_life / 12,
            busy,
            hardware.power_usage_effectiveness,
            0.08,
            gpu_price=float(generations.price[g]),
            power=float(drawn),
            maintenance=hardware.hosting * 12 / float(generations.price[g]),
        )
        assert cost[g] * generations.throughput[g] == pytest.approx(expected, rel=1e-3)  # 8,766 hours a year, not 8,760


def test_power_rises_from_idle_to_full(settings):
    hardware, power = settings.hardware, np.array([1.0])
    full = hardware.power_usage_effectiveness
    assert energy_per_hour(hardware, power, 1.0) == pytest.approx([full])
    assert energy_per_hour(hardware, power, 0.0) == pytest.approx([full * hardware.idle_power])
    assert energy_per_hour(hardware, power, 0.5) == pytest.approx([full * (1 + hardware.idle_power) / 2])


def test_later_generations_follow_at_the_cadence_and_improve_at_the_rate(settings):
    growth, hardware = 0.3, settings.hardware
    road = roadmap(hardware, growth, months=120.0)
    listed = len(hardware.generations)
    assert len(road.names) > listed + 2
    assert (np.diff(road.release) >= 0).all()
    gaps, gain = np.diff(road.release[listed - 1 :]), np.diff(np.log(road.throughput[listed - 1 :]))
    assert gaps == pytest.approx(12 * hardware.cadence)
    assert gain == pytest.approx(growth * hardware.cadence)
    assert np.diff(np.log(road.power[listed - 1 :])) == pytest.approx(hardware.power_growth * hardware.cadence)
    assert set(road.price[listed - 1 :]) == {road.price[listed - 1]}
    assert (road.release <= 120).all()
    assert road.on_sale(float(road.release[2])).tolist() == [0, 1, 2]
    assert road.on_sale(-1e9).tolist() == [0]


def test_all_fleets_at_once_are_each_fleet_by_itself():
    market = Market(load(["roster=oligopoly", "users.size=400", "run.panel=50"]))
    for _ in range(3):
        market.step()
    fleets, step = [p.fleet for p in market.providers], market.steps + 1
    assert any((~fleet.delivered).any() for fleet in fleets)
    for counted, delivered in zip(market.count_gpus(), (True, False), strict=True):
        np.testing.assert_array_equal(counted, [f.installed(*market.gpu_shape, delivered=delivered) for f in fleets])
    installed, ordered = market.book_values(step)
    assert installed == pytest.approx([fleet.book_value(step, market.life) for fleet in fleets])
    assert ordered == pytest.approx([market.ledger.books[p.name].balance["orders"] for p in market.providers])
    assert ordered.any()


def test_columns_of_a_fleet_are_written_in_place():
    fleet = Fleet()
    fleet.add(1, np.array([0.0, 2.0, 3.0]), arrival=4, unit_cost=5.0, delivered=False)
    fleet.gpus[:] *= 2
    fleet.delivered[0] = True
    assert fleet.rows["gpus"].tolist() == [4, 6]
    assert fleet.region.tolist() == [1, 2]
    assert fleet.installed(2, 3)[1].tolist() == [0, 4, 0]
    with pytest.raises(AttributeError):
        fleet.gpus = np.zeros(2)
