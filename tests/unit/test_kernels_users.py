"""The compiled users' step: as its NumPy version, and one clock a user sets off as much as a draw every step would."""

import copy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from compositions import made, option
from crowds import crowd
from scipy.stats import chisquare, kstest
from stepping import Trial, freeze, trial
from users_oracle import take

from aimarket import Market
from aimarket.kernels.reviewing import patience_from

SEGMENTS = ("consumer", "developer", "enterprise")
FIRMS = ("alpha", "beta", "gamma")
EVERYTHING: dict[str, Any] = {
    "users__segments__developer__contract": {"term": 3.0, "discount": 0.3, "commitment": 1.0},
    "users__segments__enterprise__contract": {"term": 6.0, "discount": 0.2, "commitment": 0.9},
    "users__segments__consumer__multihoming": 0.2,
    "users__segments__developer__multihoming": 0.3,
    "users__segments__consumer__free": {"share": 0.6, "conversion": 0.1},
    "users__segments__developer__free": {"share": 0.3, "conversion": 0.05},
    "users__foresight": {"weight": 0.6, "horizon": 12.0},
    "users__difficulty": {"ceiling": 12.0, "thinking": 0.4},
    **{f"providers__{name}__offers__main__free_allowance": 4e5 for name in ("alpha", "beta")},
}
MARKETS: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": EVERYTHING,
    "linear": EVERYTHING | {"users__price_metric": "linear", "users__segments__consumer__outside_utility": None},
    "half steps": EVERYTHING | {"run__steps_per_year": 24, "users__difficulty": {"ceiling": None, "thinking": 0.0}},
    "two offers a firm": {f"providers__{name}__offers__small": option("provider/offer", "entrant") for name in FIRMS},
    "forgetful": {f"users__segments__{s}__depth__decay": 1.0 for s in SEGMENTS} | {"users__usage_elasticity": 0.0},
}


def market_after(steps: int, *overrides: str, **values: Any) -> Market:
    size = (f"users.size={crowd(20_000)}", f"run.panel={crowd(500)}")
    market = Market(made("roster=oligopoly", *size, *overrides, **values))
    for _ in range(steps):
        market.step()
    return market


def shaken(market: Market) -> Trial:
    """A step in which prices, service and who is there have just changed, and newcomers pay another price."""
    market.posted_before = market.price / np.linspace(0.8, 1.25, len(market.price))
    market.newcomer_price = market.price * np.linspace(0.7, 1.1, len(market.price))
    market.outage = np.full_like(market.outage, 0.1)
    market.providers[3].active = False
    return trial(market, 40)


@pytest.mark.parametrize("name", MARKETS)
def test_compiled_is_as_in_numpy(name: str) -> None:
    step = shaken(market_after(3, **MARKETS[name]))
    expected, totals = take(step.users, step.step)
    counted = step.run()
    users = step.users
    assert (users.offer != expected.offer).sum() == 0  # none of these draws lies at a border, see `sample_offers`
    for column in ("adopted", "free", "due"):
        assert (getattr(users, column) == getattr(expected, column)).all(), column
    for column in ("tenure", "depth", "surplus", "patience", "contract_price", "contract_left", "commitment"):
        seen, known = getattr(users, column), getattr(expected, column)
        np.testing.assert_allclose(seen, known, rtol=2e-5, atol=2e-6, err_msg=column)  # single precision
    for field in fields(totals):
        seen, known = getattr(counted, field.name), getattr(totals, field.name)
        # What is committed to beyond use is a difference of larger numbers: as precise as what is paid.
        tolerance = 2e-6 * (totals.spend if field.name == "shortfall" else np.abs(known)).max()
        np.testing.assert_allclose(seen, known, rtol=2e-5, atol=tolerance, err_msg=field.name)


# ── one clock a user ──


@pytest.fixture(scope="module")
def steady() -> Market:
    """Users who review by themselves alone; those who have not adopted wait."""
    plain: dict[str, Any] = {
        f"users__segments__{s}__{key}": value
        for s in SEGMENTS
        for key, value in {"review": 0.3, "contract": None, "multihoming": 0.0, "free": None,
                           "adoption__initial": 0.5, "outside_utility": None}.items()
    }  # fmt: skip
    return market_after(0, **plain, users__outage_review=0.0, users__price_rise_review=1.0)


def test_a_word_makes_an_exponential() -> None:
    words = (np.arange(2000, dtype=np.uint64) * np.uint64(2**32 // 2000)).tolist()
    assert kstest([patience_from(np.uint64(word)) for word in words], "expon").pvalue > 0.99
    assert patience_from(np.uint64(0)) == pytest.approx(33 * np.log(2))
    assert 0 < patience_from(np.uint64(2**32 - 1)) < 1e-9


@pytest.mark.compiled
def test_spells_between_reviews_are_geometric(steady: Market) -> None:
    step, steps, chance = trial(steady, 1, adoption=0.0), 40, 0.3
    rows = step.users.adopted.copy()
    acted = np.zeros((steps, rows.sum()), dtype=bool)
    for t in range(steps):
        step = step.but(number=t + 1, menu=replace(step.menu, rise=np.zeros_like(step.menu.rise)))
        acted[t, np.flatnonzero(np.isin(np.flatnonzero(rows), step.reviewers()))] = True
        step.run()
    first, again = acted[:20], np.zeros(20)
    for t, user in zip(*np.nonzero(first), strict=True):
        wait = np.argmax(acted[t + 1 :, user]) if acted[t + 1 :, user].any() else 19
        again[min(int(wait), 19)] += 1
    expected = chance * (1 - chance) ** np.arange(20)
    expected[-1] = (1 - chance) ** 19
    assert chisquare(again, expected * again.sum()).pvalue > 0.001


@pytest.mark.compiled
def test_hazards_that_change_set_off_as_many_as_they_should(steady: Market) -> None:
    """Reviews and adoptions in every step, each against its own probability; what happened before does not matter."""
    step, errors, overlaps = trial(steady, 1), [], []
    before = np.zeros(len(step.users.offer), dtype=bool)
    for t in range(40):
        rise, adoption = 0.5 * (t % 3), (0.02, 0.2, 0.0, 0.1)[t % 4]
        menu = replace(step.menu, rise=np.full_like(step.menu.rise, rise))
        step = step.but(number=t + 1, menu=menu, adoption=np.full(3, adoption))
        acts, adopted = np.zeros(len(before), dtype=bool), step.users.adopted.copy()
        acts[step.reviewers()] = True
        reviews = 1 - 0.7 * np.exp(-rise)
        for who, chance in ((adopted, reviews), (~adopted, adoption), (adopted & before, reviews)):
            if chance > 0 and who.any():
                errors.append((acts[who].sum() - who.sum() * chance) / np.sqrt(who.sum() * chance * (1 - chance)))
        overlaps.append(acts[~adopted].sum() if adoption == 0 else 0)
        step.run()
        before = acts
    assert not any(overlaps)  # without a hazard nobody adopts
    assert np.abs(errors).max() < 4.5
    assert np.std(errors) == pytest.approx(1, abs=0.25)


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["default", "everything"])
def test_what_is_left_of_patience_is_exponential_whatever_has_happened(name: str) -> None:
    users = market_after(8, **MARKETS[name]).population.users
    assert kstest(users.patience, "expon").pvalue > 0.001
    for who in (users.adopted, ~users.adopted, users.free, users.offer < 0, np.isfinite(users.contract_price)):
        assert who.sum() > 100
        assert kstest(users.patience[who], "expon").pvalue > 0.001


# ── what must not matter ──


def test_the_order_of_offers_permutes_rows_and_changes_nothing_else() -> None:
    step = shaken(market_after(3, **EVERYTHING))
    menu, order = step.menu, np.array([3, 0, 4, 2, 1])
    other = copy.deepcopy(step).but(
        menu=replace(
            menu,
            names=tuple(menu.names[j] for j in order),
            **{name: getattr(menu, name)[..., order]
               for name in ("provider", "brand", "on_sale", "price", "newcomer_price", "outlook", "allowance", "rise",
                            "quality", "appeal", "speed", "mix", "latency", "outage")},
        )
    )  # fmt: skip
    place = np.append(np.argsort(order), -1)
    other.users.offer[:] = place[other.users.offer]
    totals, others = step.run(), other.run()
    assert (place[step.users.offer] == other.users.offer).all()
    for name, column in freeze(step.users).items():
        if name != "offer":
            assert column.tobytes() == getattr(other.users, name).tobytes(), name
    for field in fields(totals):
        seen, known = getattr(others, field.name), getattr(totals, field.name)
        known = known[..., order] if known.shape[-1:] == (5,) and known.ndim == 3 else known
        np.testing.assert_allclose(seen, known, rtol=1e-12, err_msg=field.name)  # sums over offers in another order


def test_an_offer_nobody_wants_changes_no_bit() -> None:
    step = shaken(market_after(3, **EVERYTHING))
    menu = step.menu

    def more(values: np.ndarray, value: Any) -> np.ndarray:
        return np.insert(values, 2, value, axis=-1)

    unwanted = {"provider": 0, "brand": 0, "on_sale": True, "price": 1.0, "newcomer_price": 1.0, "outlook": 1.0,
                "allowance": 1.0, "rise": 0.0, "quality": 0.0, "appeal": -200.0, "speed": 50.0, "mix": 1.0,
                "latency": 1.0, "outage": 0.0}  # fmt: skip
    columns = {name: more(getattr(menu, name), value) for name, value in unwanted.items()}
    names = (*menu.names[:2], "alpha/unwanted", *menu.names[2:])
    other = copy.deepcopy(step).but(menu=replace(menu, names=names, **columns))
    other.users.offer[other.users.offer >= 2] += 1
    totals, others = step.run(), other.run()
    assert not others.users[..., 2].any()
    for field in fields(totals):
        seen, known = getattr(others, field.name), getattr(totals, field.name)
        seen = np.delete(seen, 2, axis=2) if known.ndim == 3 else seen
        assert seen.tobytes() == known.tobytes(), field.name
