"""Diffusion, spend, thinking and difficulty: what users do, and when they start to."""

import numpy as np

from aimarket.kernels.diffusion import bass_adoption
from aimarket.theory.diffusion import bass_adopted, bass_peak_rate, bass_peak_time
from aimarket.theory.usage import spend_ratio, tasks_worth_doing, thinking_token_elasticity, thinking_tokens
from aimarket.validation.check import CLOSED_FORM, SAMPLED, Check, compare
from aimarket.validation.limits import Changes, everyone, limit_settings, run

YEARS = (1, 2, 5, 10)


def bass_steps(innovation: float, imitation: float, years: float, per_year: int) -> np.ndarray:
    """Share adopted at the end of each step, by the market's own adoption probability."""
    adopted = [0.0]
    for _ in range(round(years * per_year)):
        adopted.append(
            float(adopted[-1] + (1 - adopted[-1]) * bass_adoption(adopted[-1], innovation, imitation, 1 / per_year))
        )
    return np.array(adopted)


def bass(innovation: float = 0.03, imitation: float = 0.38) -> list[Check]:
    """The adoption probability without luck, and the market with it."""
    per_year = 12
    path = bass_steps(innovation, imitation, max(YEARS), per_year)
    known = bass_adopted(YEARS, innovation, imitation)
    how = "component: kernels.diffusion, step by step"
    checks = [
        compare("Bass: adopted after 1, 2, 5, 10 years", known, path[[per_year * y for y in YEARS]], CLOSED_FORM, how)
    ]
    fine = 1000  # steps a year in which the curve of new adopters is differenced
    new = np.diff(bass_steps(innovation, imitation, 10.0, fine)) * fine
    peak = bass_peak_time(innovation, imitation)
    checks += [
        Check("Bass: years to the peak", peak, (int(new.argmax()) + 0.5) / fine, 1 / fine, how),
        Check("Bass: rate at the peak, 1/year", bass_peak_rate(innovation, imitation), float(new.max()), 1e-6, how),
    ]
    users = 20_000
    changes = {
        everyone("adoption.innovation"): innovation,
        everyone("adoption.imitation"): imitation,
        "users.size": users,
        "run.steps": per_year * max(YEARS),
    }
    found = run(limit_settings("bass", changes)).adopted[[per_year * y - 1 for y in YEARS]]
    error = luck_of_adoption(innovation, imitation, users)
    how = f"market: {users:,} users, {users * per_year * max(YEARS):,} user-months"
    return checks + [
        Check(f"Bass: adopted after {y} year{'s' * (y > 1)}", float(k), float(f), SAMPLED * e, how)
        for y, k, f, e in zip(YEARS, known, found, error, strict=True)
    ]


def luck_of_adoption(innovation: float, imitation: float, users: int, fine: int = 1000) -> list[float]:
    """Standard deviation of the share adopted after each of `YEARS`: word of mouth spreads the luck of early steps.

    With f(F) = (p + qF)(1 - F) the variance obeys dV/dt = 2 f'(F) V + f(F)/n.
    source : Gardiner (2009), Stochastic Methods, the linear noise approximation
    """
    variance, out = 0.0, {}
    for step in range(fine * max(YEARS)):
        share = float(bass_adopted(step / fine, innovation, imitation))
        slope = imitation - innovation - 2 * imitation * share
        new = (innovation + imitation * share) * (1 - share)
        variance += (2 * slope * variance + new / users) / fine
        out[step + 1] = variance
    return [out[fine * year] ** 0.5 for year in YEARS]


# ── use at another price ──


def use(cost: float, changes: Changes, speed: float = 1e6) -> dict[str, float]:
    """What users of three equal firms that price at cost do in a month: tasks, tokens a task, spend.

    cost : USD/Mtok
    """
    firms: dict[str, object] = {}
    for name in ("anna", "bert", "carl"):
        firms |= {
            f"providers.{name}.pricing": {"kind": "cost_plus", "markup": 0.0},
            f"providers.{name}.offers.main.wholesale": cost,
            f"providers.{name}.offers.main.speed": speed,
        }
    settings = limit_settings("log_price", firms | {"users.size": 100, "run.steps": 2} | dict(changes))
    market = run(settings).market.tables["market"]
    return {name: float(market[name]) for name in ("tasks", "tokens_wanted", "tokens_per_task", "spend")}


def use_ratios(changes: Changes, price_ratio: float = 0.1) -> dict[str, float]:
    """New over old use when every price is multiplied by price_ratio."""
    dear, cheap = use(1.0, changes), use(price_ratio, changes)
    return {name: cheap[name] / dear[name] for name in dear}


def spend() -> list[Check]:
    return [
        compare(
            f"spend after -90 % price, elasticity {elasticity:g}",
            spend_ratio(0.1, elasticity),
            use_ratios({"users.usage_elasticity": elasticity})["spend"],
            CLOSED_FORM * 10,
            "market: costs over 10",
        )
        for elasticity in (0.5, 1.11, 2.0)
    ]


def _thinkers(curvature: float, time_price: float) -> Changes:
    """Users all of whose tokens are thinking, one Mtok at a price of 1 USD, none but for the price of time.

    time_price : USD/Mtok; a token takes a microsecond, a Mtok a second
    """
    return {
        "users.usage_elasticity": 0.0,
        "users.effort_curvature": curvature,
        everyone("tokens_per_task"): 1e-9,
        everyone("thinking_tokens"): 1e6,
        everyone("value_of_time"): 3600 * time_price,
    }


def thinking(curvature: float = 0.3) -> list[Check]:
    free = use_ratios(_thinkers(curvature, 0.0))
    known = thinking_tokens(1.0, 1.0, curvature, 0.1) / thinking_tokens(1.0, 1.0, curvature, 1.0)
    how = "market: costs over 10"
    step = 1e-3
    ratio = (
        use(np.exp(step), _thinkers(curvature, 1.0))["tokens_per_task"]
        / use(np.exp(-step), _thinkers(curvature, 1.0))["tokens_per_task"]
    )
    elasticity = float(thinking_token_elasticity(curvature, 1.0, 1.0))
    return [
        compare("thinking tokens a task after -90 % price", known, free["tokens_per_task"], 1e-7, how),
        compare("spend a task after -90 % price", known / 10, free["spend"] / free["tasks"], 1e-7, how),
        Check("elasticity of thinking, time as dear as tokens", elasticity, float(np.log(ratio) / (2 * step)), 1e-6,
              "market: costs a little higher and lower"),
    ]  # fmt: skip


def difficulty() -> list[Check]:
    """Tasks of difficulty d, density d^k, done if d <= v/p: usage elasticity 1 + k."""
    return [
        compare(
            f"tasks after -90 % price, difficulty exponent {exponent:g}",
            tasks_worth_doing(1.0, 0.1, exponent) / tasks_worth_doing(1.0, 1.0, exponent),
            use_ratios({"users.usage_elasticity": 1.0 + exponent})["tasks"],
            1e-7,
            "market: costs over 10, usage elasticity 1 + k",
        )
        for exponent in (-0.5, 0.11, 1.0)
    ]


TASKS = (bass, spend, thinking, difficulty)
