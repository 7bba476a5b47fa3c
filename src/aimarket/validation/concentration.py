"""Concentration: what Cournot firms' margins say about it, and how much of it arises with no advantage at all."""

from dataclasses import replace

import numpy as np

from aimarket.configuration import load
from aimarket.innovation import advance_private
from aimarket.kernels.concentration import herfindahl, shares
from aimarket.rng import Streams
from aimarket.theory.concentration import gibrat_hhi_multiple
from aimarket.theory.quantity_competition import cournot
from aimarket.validation.capacity_game import cournot_quantities, game
from aimarket.validation.check import SAMPLED, Check


def margins_and_concentration() -> list[Check]:
    """Sum of share times Lerner = HHI over elasticity, firms of different costs."""
    costs = np.array([10.0, 20.0, 5.0])
    quantity = cournot_quantities(game(np.full(len(costs), np.inf), costs, intercept=100.0))
    price, share = 100.0 - quantity.sum(), shares(quantity)
    known = cournot(100.0, 1.0, costs)
    how = "component: kernels.concentration, best_prices"
    return [
        Check("Cournot, costs 10, 20, 5: HHI", known.hhi, herfindahl(share), 1e-6, how),
        Check(
            "Cournot: sum of share x Lerner",
            known.hhi / known.elasticity,
            float(share @ (1 - costs / price)),
            1e-6,
            how,
        ),
    ]


def gibrat(growth_sd: float = 0.3, years: int = 10, firms: int = 200_000) -> list[Check]:
    """Sizes that only luck moves: the market's private technology shocks, without spillover, drawn firm by firm."""
    settings = replace(load(["experiment=limit/bertrand"]).technology, private_volatility=growth_sd, spillover=0.0)
    streams, months = Streams(seed=1, replication=0), 12
    log_size, selling = np.zeros(firms), np.zeros(firms, dtype=bool)
    for step in range(1, years * months + 1):
        shocks = streams.at("technology.private", step).normal(0, firms)
        log_size = advance_private(log_size, shocks, selling, settings, 1 / months)
    size = np.exp(log_size)
    found = firms * herfindahl(shares(size))
    # N HHI = mean(x^2) / mean(x)^2, whose error follows from the spread of x^2 / E x^2 - 2 x / E x.
    spread = float(np.std(size**2 / (size**2).mean() - 2 * size / size.mean()))
    error = SAMPLED * found * spread / np.sqrt(firms)
    how = f"component: private shocks, random streams, concentration; {firms:,} firms"
    return [Check("Gibrat: N x HHI", gibrat_hhi_multiple(growth_sd, years), found, error, how)]


TASKS = (margins_and_concentration, gibrat)
