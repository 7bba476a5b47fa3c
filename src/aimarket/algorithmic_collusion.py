"""Do pricing algorithms learn to collude? The environment of Calvano and others (2020), apart from the market.

Firms sell one product each to logit demand at constant cost, choose among a few prices by Q-learning, and remember the
prices of the last period. The kernels are those of the market: `kernels.choice` for demand, `kernels.profit` for the
anchors, `kernels.learning` for the firms, which the pricing rule `q_learning` uses too.

Source: Calvano, Calzolari, Denicolò and Pastorello (2020), Artificial intelligence, algorithmic pricing, and collusion,
AER 110(10), 3267-3297.
"""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from aimarket.complaints import SettingsError, describe, near, shown, words
from aimarket.kernels.choice import logit_shares
from aimarket.kernels.effort import Response
from aimarket.kernels.price_search import best_prices
from aimarket.kernels.profit import Demand, ExpectedValue
from aimarket.rng import Streams
from aimarket.settings import NonNegative, OpenShare, Positive, PositiveShare, node

Floats = NDArray[np.float64]

_MOST_VALUES = 100_000_000  # to learn in one session: 0.8 GB
_SETTLED, _ANSWERS = 1e-12, 200  # relative change of a price; best responses at most, each moves less than the last
_Whole = Annotated[int, Field(strict=True, ge=1, le=10**15)]
_Taste = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e6, le=1e6)]


@node
class Environment:
    """Everything that can be set; the defaults are the paper's baseline, its symbols stand beside the names."""

    sessions: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 100
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 1
    threads: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1  # never changes a result
    firms: Annotated[int, Field(strict=True, ge=2, le=20)] = 2  # n
    prices: Annotated[int, Field(strict=True, ge=2, le=10_000)] = 15  # m
    learning: PositiveShare = 0.15  # alpha
    decay: Positive = 4e-6  # beta, of experimentation, 1/period
    discount: OpenShare = 0.95  # delta
    margin: NonNegative = 0.1  # xi, by which prices reach beyond Bertrand and monopoly
    quality: _Taste = 2.0  # a, USD
    outside: _Taste = 0.0  # a0, USD
    cost: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e6)] = 1.0  # c, USD
    differentiation: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-3, le=1e6)] = 0.25  # mu, USD
    patience: _Whole = 100_000  # periods without a change of strategy that count as convergence
    limit: _Whole = 1_000_000_000  # periods after which a session is broken off


SYMBOLS = {
    "n": "firms", "m": "prices", "alpha": "learning", "beta": "decay", "delta": "discount", "xi": "margin",
    "a": "quality", "a0": "outside", "c": "cost", "mu": "differentiation",
}  # fmt: skip


def environment(overrides: Sequence[str] = ()) -> Environment:
    """An environment from `key=value` texts; a key is a name or the paper's symbol.

    raises : SettingsError
    """
    names = [field.name for field in dataclasses.fields(Environment)]
    values: dict[str, int | float | str] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SettingsError(f"{shown(text)}: not a setting; write key=value")
        name = SYMBOLS.get(key, key)
        if name not in names:
            raise SettingsError(f"{key}: unknown key (got {value}){near(key, names)}")
        values[name] = _number(value)
    try:
        made: Environment = TypeAdapter(Environment).validate_python(values)
    except ValidationError as error:
        raise SettingsError(describe(error, Environment, "")) from None
    count = made.firms * made.prices ** (made.firms + 1)
    if count > _MOST_VALUES:
        raise SettingsError(
            f"firms: {made.firms} firms with {made.prices} prices make {count:,} values to learn; "
            f"at most {_MOST_VALUES:,} are allowed"
        )
    return made


def described() -> list[tuple[str, str, str, str]]:
    """Name, symbol, default and what is allowed of every setting."""
    symbols = {name: symbol for symbol, name in SYMBOLS.items()}
    return [
        (field.name, symbols.get(field.name, ""), f"{field.default:g}", words(field.type))
        for field in dataclasses.fields(Environment)
    ]


def _number(text: str) -> int | float | str:
    """A whole number, else a number, else the text as it stands, about which the checks will complain."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclasses.dataclass(frozen=True)
class Anchors:
    """What the firms would do if they knew the market: prices in USD, profits in USD a firm and period."""

    bertrand_price: float
    bertrand_profit: float
    monopoly_price: float
    monopoly_profit: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """N sessions; the profit gain is (profit - Bertrand)/(monopoly - Bertrand) of the average firm in the end."""

    anchors: Anchors
    gain: Floats  # (N,) 1
    periods: NDArray[np.int64]  # (N,)
    converged: NDArray[np.bool_]  # (N,)
    seconds: float  # of computing, over all sessions

    @property
    def mean_gain(self) -> float:
        """Over the sessions that converged; nan if none did."""
        return float(self.gain[self.converged].mean()) if self.converged.any() else np.nan

    @property
    def standard_error(self) -> float:
        """Of the mean gain; nan with fewer than two sessions."""
        gain = self.gain[self.converged]
        return float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else np.nan


def anchors(of: Environment) -> Anchors:
    """Bertrand and monopoly by the market's own best response: of one firm to its likes, and of one owner of all.

    raises : SettingsError if products are so poor that nothing is gained by agreeing
    """
    alone = of.outside / of.differentiation
    reach = of.cost + of.differentiation * (2 + np.log(of.firms)) + max(0.0, of.quality - of.cost - of.outside)
    price = of.cost + of.differentiation
    for _ in range(_ANSWERS):
        before, rivals = price, np.log(of.firms - 1) + (of.quality - price) / of.differentiation
        price = float(_best(of, 1, float(np.logaddexp(alone, rivals)), reach)[0])
        if abs(price - before) <= _SETTLED * price:
            break
    joint = float(_best(of, of.firms, alone, reach).mean())
    found = Anchors(price, _profits(of, np.full(of.firms, price)), joint, _profits(of, np.full(of.firms, joint)))
    if not found.monopoly_profit > found.bertrand_profit * (1 + 1e-9):
        raise SettingsError(f"quality: nobody gains by agreeing on prices (got {of.quality:g}); a higher one is needed")
    return found


def _best(of: Environment, products: int, rest: float, reach: float) -> Floats:
    """Best prices of the owner of some products, the rest of the market at an inclusive value; (M,) USD."""
    one, none = np.ones(1), np.zeros((1, products))
    cost, start = np.full(products, of.cost), np.full(products, of.cost)
    demand = Demand(
        first=np.array([0, 1]),
        current=np.array([-1]),
        users=np.array([one, one, one / of.differentiation, one]),  # weight, review, sensitivity, size
        rest=np.array([rest]),
        utility=none.T + of.quality / of.differentiation,
        groups=np.stack([none + 1, none, none + 1, none + 1, none, none + 1, none]),  # no time price, no thinking
        newcomer=np.array([False]),
        response=Response(reference_price=1.0, elasticity=0.0, curvature=1.0),
        metric="linear",
        price_rise_review=0.0,
        previous_prices=start,
        hours=np.zeros(products),
    )
    return best_prices(
        ExpectedValue.of(demand, cost, np.zeros(1)),
        start=start,
        floor=start,
        ceiling=np.full(products, reach),
        grid=np.linspace(0.0, np.log(reach / of.cost), 33),
    )


def _profits(of: Environment, price: Floats) -> float:
    """Profit of the first firm at the prices of all, USD."""
    return float(payoffs(of, price[None])[0, 0])


def payoffs(of: Environment, price: Floats) -> Floats:
    """Profit of every firm at each of some price vectors; (S, N) float, USD -> (S, N) float, USD."""
    share, _ = logit_shares(
        (of.quality - price) / of.differentiation, np.full(len(price), of.outside / of.differentiation)
    )
    return np.asarray((price - of.cost) * share)


def price_grid(of: Environment, around: Anchors) -> Floats:
    """(A,) USD: evenly from a little below Bertrand to a little above monopoly."""
    beyond = of.margin * (around.monopoly_price - around.bertrand_price)
    return np.linspace(around.bertrand_price - beyond, around.monopoly_price + beyond, of.prices)


def simulate_sessions(of: Environment) -> Outcome:
    """Let the firms learn, session by session.

    A session's draws are keyed by seed and number of the session: more sessions, or more threads, change none of them.
    """
    from aimarket.kernels.learning import learn, mean_payoff_of_cycle  # compiles: only when there is something to learn

    around = anchors(of)
    grid = price_grid(of, around)
    profile = np.indices((of.prices,) * of.firms).reshape(of.firms, -1).T  # (S, N), in the order of the states
    payoff = payoffs(of, grid[profile])
    # At first, an action is worth what it earns for ever against rivals that choose at random.
    at_random = [
        [payoff[profile[:, firm] == action, firm].mean() for action in range(of.prices)] for firm in range(of.firms)
    ]
    first = np.repeat(np.array(at_random)[:, None, :] / (1 - of.discount), len(payoff), axis=1)

    def session(number: int) -> tuple[float, int, bool, float]:
        streams, begun = Streams(of.seed, number), perf_counter()
        start = int(streams.at("collusion.start").uniform(0, 1)[0] * len(payoff))
        key = streams.at("collusion.session").key_of_loop
        greedy, state, periods, settled = learn(
            first, payoff, start, key, of.learning, of.discount, of.decay, of.patience, of.limit
        )
        profit = float(mean_payoff_of_cycle(greedy, payoff, state, of.prices).mean())
        return profit, periods, settled, perf_counter() - begun

    with ThreadPoolExecutor(of.threads) as pool:
        profit, periods, settled, seconds = zip(*pool.map(session, range(of.sessions)), strict=True)
    gain = (np.array(profit) - around.bertrand_profit) / (around.monopoly_profit - around.bertrand_profit)
    return Outcome(around, gain, np.array(periods), np.array(settled), sum(seconds))
