"""What is measured of one run: pure functions of its recorded tables, each with its unit."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from aimarket.claims.measuring import STATISTICS, YEAR, Run, early, growth, late, span, statistic, window
from aimarket.claims.null_models import gibrat_hhi

__all__ = ["STATISTICS"]  # all of them once this module is imported

# ── costs and prices ──


@statistic("log points a year")
def unit_cost_decline(run: Run) -> float:
    """Yearly decline of the booked cost of a token served, first to last year."""
    return -growth(run, "unit_cost")


@statistic("log points a year")
def marginal_cost_decline(run: Run) -> float:
    """Yearly decline of the long-run marginal cost of the tokens sold, first to last year."""
    return -growth(run, "marginal_cost")


@statistic("log points a year")
def price_decline(run: Run) -> float:
    """Yearly decline of revenue per token, first to last year."""
    return -growth(run, "price")


@statistic("log points a year")
def quality_adjusted_price_decline(run: Run) -> float:
    """Yearly decline of revenue per token at constant quality, first to last year."""
    return -growth(run, "quality_adjusted_price")


def _contribution(driver: str) -> Callable[[Run], float]:
    def measure(run: Run) -> float:
        return -(late(run, f"cost_{driver}") - early(run, f"cost_{driver}")) / span(run)

    measure.__name__ = f"{driver}_contribution"
    measure.__doc__ = f"Contribution of {driver} to the yearly decline of booked unit cost, by LMDI."
    return measure


for _driver in ("hardware", "software", "distillation", "architecture", "quality", "utilisation"):
    statistic("log points a year")(_contribution(_driver))


# ── margins ──


@statistic("1")
def first_lerner(run: Run) -> float:
    """Lerner index in the first year, on the way from list prices."""
    return early(run, "lerner")


@statistic("1")
def young_lerner(run: Run) -> float:
    """Lerner index in the second year, when firms have left their list prices."""
    return window(run, "lerner", YEAR + 1, 2 * YEAR)


@statistic("1")
def mature_lerner(run: Run) -> float:
    """Lerner index in the last year."""
    return late(run, "lerner")


@statistic("1")
def lerner_rise(run: Run) -> float:
    """Lerner index in the last year less that in the second."""
    return mature_lerner(run) - young_lerner(run)


@statistic("1")
def pass_through(run: Run) -> float:
    """Log change of price over that of marginal cost, second to last year."""
    price, cost = (
        np.log(late(run, column) / window(run, column, YEAR + 1, 2 * YEAR)) for column in ("price", "marginal_cost")
    )
    return float(price / cost) if cost else float("nan")


@statistic("1, of revenue")
def gross_margin(run: Run) -> float:
    """Gross profit over spend in the last two years."""
    return late(run, "gross_profit", 2) / late(run, "spend", 2)


@statistic("1, of the first year's spend")
def late_economic_profit(run: Run) -> float:
    """Economic profit of the last two years, after capital, training and overhead, over the first year's spend."""
    return late(run, "economic_profit", 2) / early(run, "spend")


# ── use ──


@statistic("log points a year")
def spend_growth(run: Run) -> float:
    """Yearly growth of what users spend, first to last year."""
    return growth(run, "spend")


@statistic("log points a year")
def tokens_growth(run: Run) -> float:
    """Yearly growth of tokens served, first to last year."""
    return growth(run, "tokens_served")


@statistic("log points a year")
def gpu_hours_growth(run: Run) -> float:
    """Yearly growth of the reference-GPU-hours worked to serve tokens, first to last year."""
    return growth(run, "inference_gpu_hours")


def _per_task(run: Run, column: str) -> float:
    """Yearly growth of a monthly quantity per task served."""
    market = run.market
    tasks = market["tasks"] * market["tokens_served"] / market["tokens_wanted"]
    return growth(Run(pd.DataFrame({"ratio": market[column] / tasks}), run.providers), "ratio")


@statistic("log points a year")
def gpu_seconds_per_task_growth(run: Run) -> float:
    """Yearly growth of the reference-GPU-seconds a task takes, first to last year."""
    return _per_task(run, "inference_gpu_hours")


@statistic("log points a year")
def tokens_per_task_growth(run: Run) -> float:
    """Yearly growth of tokens per task, first to last year."""
    return _per_task(run, "tokens_served")


@statistic("log points a year")
def cost_per_task_growth(run: Run) -> float:
    """Yearly growth of what users pay for a task, first to last year."""
    return _per_task(run, "spend")


@statistic("1")
def thinking_share_rise(run: Run) -> float:
    """Share of tokens that are thinking tokens, last year less first."""
    return late(run, "thinking_share") - early(run, "thinking_share")


# ── training ──


@statistic("1, of revenue")
def training_burden(run: Run) -> float:
    """Training outlays over inference revenue in the last two years."""
    return late(run, "training", 2) / late(run, "spend", 2)


@statistic("1, of revenue")
def training_burden_fall(run: Run) -> float:
    """Training outlays over inference revenue, first two years less last two."""
    return early(run, "training", 2) / early(run, "spend", 2) - training_burden(run)


@statistic("log points a year")
def revenue_growth(run: Run) -> float:
    """Yearly growth of inference revenue, first to last year."""
    return growth(run, "spend")


@statistic("log points a year")
def revenue_per_user_growth(run: Run) -> float:
    """Yearly growth of revenue per attached user, first to last year."""
    return (
        np.log(late(run, "spend") / late(run, "attached_users"))
        - np.log(early(run, "spend") / early(run, "attached_users"))
    ) / span(run)


@statistic("1")
def depth_multiple(run: Run) -> float:
    """Mean workflow depth in the last year over that in the first."""
    return late(run, "depth") / early(run, "depth")


@statistic("1")
def inference_compute_share_rise(run: Run) -> float:
    """Inference's share of reference-GPU-hours, training being the rest: last two years less first two."""

    def share(of: Callable[..., float]) -> float:
        inference, training = of(run, "inference_gpu_hours", 2), of(run, "training_gpu_hours", 2)
        return inference / (inference + training)

    return share(late) - share(early)


# ── structure ──


def by_provider(run: Run, column: str) -> pd.DataFrame:
    """A column of the table `providers`, one row a step, one column a provider."""
    return run.providers.pivot(index="step", columns="provider", values=column)


def leader(run: Run) -> str:
    """The provider with most revenue in the first year."""
    return str(by_provider(run, "revenue_share").iloc[:YEAR].mean().idxmax())


@statistic("1, of the market's revenue")
def leader_share(run: Run) -> float:
    """Revenue share in the last year of the first year's leader."""
    return float(by_provider(run, "revenue_share")[leader(run)].iloc[-YEAR:].mean())


@statistic("1, of the market's revenue")
def leader_gain(run: Run) -> float:
    """Revenue share of the first year's leader, last year less first."""
    return leader_share(run) - float(by_provider(run, "revenue_share")[leader(run)].iloc[:YEAR].mean())


@statistic("log points")
def leader_cost_advantage(run: Run) -> float:
    """Mean log marginal cost of the others less that of the first year's leader, last year, firms that sell."""
    return -_lead(run, np.log(by_provider(run, "marginal_cost").iloc[-YEAR:].mean()))


@statistic("logits")
def leader_quality_advantage(run: Run) -> float:
    """Quality of the first year's leader less the mean of the others, last year, firms that sell."""
    return _lead(run, by_provider(run, "quality").iloc[-YEAR:].mean())


def _lead(run: Run, values: pd.Series) -> float:
    first = leader(run)
    return float(values[first] - values.drop(first).mean())


@statistic("1")
def survivors(run: Run) -> float:
    """Providers in business in the last year over those in the first."""
    return late(run, "active_providers") / early(run, "active_providers")


@statistic("1")
def hhi_rise(run: Run) -> float:
    """Herfindahl index of tokens served, last year less first."""
    return late(run, "hhi") - early(run, "hhi")


@statistic("log points")
def hhi_beyond_gibrat(run: Run) -> float:
    """Log Herfindahl index of the last year less what luck alone would give, fitted to the run's own volatility."""
    shares = by_provider(run, "share")
    years = shares.groupby(np.arange(len(shares)) // YEAR).mean().iloc[: len(shares) // YEAR]
    return float(np.log((years.iloc[-1] ** 2).sum() / gibrat_hhi(years.to_numpy())))
