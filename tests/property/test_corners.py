"""Where numbers are hardest: at the ends of their documented ranges, over ten orders of magnitude, in single precision.

Identities are checked in every step, relative to the largest amount that enters them; a warning is an error.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from compositions import changed, composed, made
from drawing import Keyed, base_of, check_market, draw_from, in_range
from invariance import TWICE, assert_close, doubled
from stepping import trial
from users_oracle import take

from aimarket import Market, SettingsError, simulate
from aimarket.configuration import documented, validate
from aimarket.documented import Documented

TINY = {"users.size": 60, "run.panel": 20, "run.steps": 2}
ORDERS = range(-5, 6)  # powers of ten
ONLY_TOGETHER = re.compile("finance.equity|users.correlation")  # a bound that another number sets
PARTS = 12  # of the keys, so that they can run beside each other


class Cornered(Keyed):
    """Draws of which every number lies at one end of its range."""

    def one(self, options: Sequence[Any]) -> Any:
        ends = [option for option in options if option in (0.0, 1.0) and isinstance(option, float)]
        return super().one(ends if len(ends) == 2 else options)

    def number(self, low: float, high: float) -> float:
        return self.random.choice([low, high])

    def whole(self, low: int, high: int) -> int:
        return self.random.choice([low, high])


def numbers(roster: str) -> dict[str, Documented]:
    """Documented numbers of a market by key; of firms that are alike the first speaks for all."""
    base = base_of(roster)
    first = next(iter(base["providers"]))
    return {
        key: number
        for key, number in documented(base).items()
        if not isinstance(number.value, tuple) and (not key.startswith("providers.") or f".{first}." in key)
    }


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("roster", ["oligopoly", "textbook"])
def test_every_number_may_stand_at_either_end_of_its_range(roster: str, part: int) -> None:
    base = base_of(roster)
    for key, number in list(numbers(roster).items())[part::PARTS]:
        for fraction in (0.0, 1.0):
            value = in_range(number, fraction)
            value = max(value, 0.01) if ".fleet." in key else value  # weights, not all 0
            try:
                settings = validate(changed(base, TINY | {key: value}))
            except SettingsError as error:  # only with another number does it make sense
                if not ONLY_TOGETHER.search(str(error)):
                    raise
                continue
            try:
                check_market(simulate(settings), TINY["run.steps"])
            except Exception as error:
                raise AssertionError(f"{key} = {value}") from error


@pytest.mark.parametrize("part", range(PARTS))
def test_all_numbers_may_stand_at_ends_at_once(part: int) -> None:
    """Up to all documented numbers of a market with drawn rules, switches and policies, each at one of its ends."""
    for case in range(part, 20 * PARTS, PARTS):
        pick = Cornered(case)
        roster = pick.one(["oligopoly", "duopoly", "monopoly", "textbook"])
        base = base_of(roster)
        config = changed(draw_from(pick, base, 400).config(base), TINY)
        try:
            check_market(simulate(validate(config)), TINY["run.steps"])
        except Exception as error:
            raise AssertionError(f"case {case}") from error


# --- ten orders of magnitude ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-17, 17])  # of 2: about 1e-5 and 1e5, in all ten orders of magnitude
def test_money_may_be_counted_in_any_unit(exponent: int) -> None:
    """The same market in cents of a cent or in hundreds of thousands: every number is the same, to a millionth."""
    config = changed(composed("roster=oligopoly"), {"users.size": 2000, "run.panel": 200, "run.steps": 6})
    settings, times = validate(config), 2.0**exponent
    other = doubled(settings, config, times)
    assert_close(simulate(settings), simulate(other), 1e-6, dict.fromkeys(TWICE, times))


@pytest.mark.parametrize("metric", ["log", "linear"])
def test_prices_of_ten_orders_stand_side_by_side(metric: str) -> None:
    """List prices of one market from a hundred-thousandth of a dollar to a hundred thousand dollars."""
    config = composed("roster=oligopoly", f"users.price_metric={metric}")
    for firm, power in zip(config["providers"].values(), (-5, -3, 0, 3, 5), strict=False):
        for offer in firm["offers"].values():
            offer |= {"input_price": 10.0**power, "cached_price": None, "output_price": 4 * 10.0**power}
    recording = simulate(validate(changed(config, {"users.size": 1000, "run.panel": 100, "run.steps": 6})))
    check_market(recording, 6)
    listed = recording.offers.query("step == 1")["price"]
    assert listed.max() > 1e6 * listed.min()


# --- single precision -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market() -> Market:
    found = Market(made("roster=oligopoly", "users.size=20000", "run.panel=500"))
    for _ in range(3):
        found.step()
    return found


@pytest.mark.parametrize("power", ORDERS)
def test_users_in_single_precision_are_those_in_double(market: Market, power: int) -> None:
    """State in single, sums in double precision: what the compiled step gives against one that is double throughout.

    Choices may differ where a draw lies within rounding of the border of two offers: at most one user in 5,000. All
    other state agrees to 2e-5, sums to 1e-4 of the largest of their kind.
    """
    step = trial(market, 50 + power)
    menu, settings = step.menu, step.step.settings
    scale = 10.0**power
    prices = {name: getattr(menu, name) * scale for name in ("price", "newcomer_price", "outlook")}
    step = step.but(
        menu=replace(menu, **prices),
        settings=dataclasses.replace(settings, reference_price=settings.reference_price * scale),
    )
    expected, totals = take(step.users, step.step)
    counted, users = step.run(), step.users
    same = users.offer == expected.offer
    assert (~same).mean() <= 1 / 5000
    for column in ("tenure", "depth", "surplus", "patience"):
        seen, known = getattr(users, column)[same], getattr(expected, column)[same]
        np.testing.assert_allclose(seen, known, rtol=2e-5, atol=2e-5, err_msg=column)
    for field in fields(totals):
        seen, known = getattr(counted, field.name), getattr(totals, field.name)
        tolerance = 1e-4 * np.abs(totals.spend if field.name == "shortfall" else known).max()
        np.testing.assert_allclose(seen, known, rtol=1e-4, atol=tolerance, err_msg=field.name)
