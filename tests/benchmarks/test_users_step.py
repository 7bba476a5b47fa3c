"""The users' step keeps its distance to the kernels' race, which has a guard of its own: ratios within one process."""

import numpy as np
import pytest
from benchmarks.measuring import fastest
from benchmarks.users_step import lived, race, tables, taking

from benchmarks import on_ray

USERS = 200_000
ALL, NOBODY = 0.36, 0.64  # of the race's speed, at least; 0.44 to 0.53 and 0.79 to 0.99 were seen


@pytest.fixture(scope="module")
def market():
    return lived(USERS)


def test_everybody_reviews_where_everybody_is_to(market):
    everybody, nobody = tables(market, 1.0, 12), tables(market, 0.0)
    population = market.population
    assert sum(tally.by_stratum[:, 1].sum() for tally in population.take(nobody)) < 0.2 * USERS  # free plans end
    population.users.offer[population.users.offer >= 12] = -1
    counts = sum(tally.by_stratum for tally in population.take(everybody))
    assert counts[:, 1].sum() == USERS
    assert (population.users.offer < 12).all()
    assert np.isnan(population.users.contract_price).all()


def test_the_users_step_is_nearly_as_fast_as_the_race(market):
    steps = {"race": race(USERS), "all": taking(market, 1.0, 12), "nobody": taking(market, 0.0)}
    seconds = fastest(steps, rounds=9)
    assert seconds["race"] > ALL * seconds["all"]
    assert seconds["race"] > NOBODY * seconds["nobody"]


def test_without_ray_its_section_is_left_out_and_says_so(monkeypatch):
    monkeypatch.setattr(on_ray, "find_spec", lambda name: None)
    said = []
    assert on_ray.rows(said.append) == []
    assert "not installed" in said[0]
