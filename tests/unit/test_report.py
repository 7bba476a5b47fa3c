"""The summary, the figures and the progress say what the recorded frames say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aimarket.schema import TABLES

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota")


def _schema_frame(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Give the rows every column of the table, in order and of its type; what was not set is nought or empty."""
    blank = {"string": "", "bool": False, "int32": 0, "float64": 0.0}
    kinds = {"string": "str", "bool": "bool", "int32": "int32", "float64": "float64"}
    for column in TABLES[table]:
        if column.name not in rows:
            rows[column.name] = blank[column.kind]
    return rows[[c.name for c in TABLES[table]]].astype({c.name: kinds[c.kind] for c in TABLES[table]})


def synthetic(
    steps: int = 120, replications: int = 1, runs: int = 1, firms: int = 9, decline: float = 0.26, noise: float = 0.03
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A market whose price falls to `decline` of itself a year, with replications that wander."""
    markets, providers = [], []
    for run in range(runs):
        for replication in range(replications):
            rng = np.random.default_rng((run, replication))  # noqa: NPY002
            walk = np.cumsum(rng.normal(0, noise, (4, steps)), axis=1) if noise else np.zeros((4, steps))
            step = np.arange(1, steps + 1)
            year = step / 12
            keys = pd.DataFrame({"run_id": f"{run:04d}abcd", "replication": replication, "step": step, "year": year})
            price = 4.0 * (decline * (1 + run / 10)) ** year * np.exp(walk[0])
            lerner = 0.21 + 0.13 * year / max(year[-1], 1) + 0.2 * walk[1] / np.sqrt(steps)
            tokens = 5e5 * np.exp(2.2 * year / (1 + year / 12) + walk[2])
            utility = 1.5 / np.sqrt(np.arange(1, firms + 1)) + np.outer(year, np.linspace(0.12, -0.08, firms))
            utility = utility + np.cumsum(rng.normal(0, noise, (steps, firms)), axis=0)
            share = np.exp(utility) / np.exp(utility).sum(axis=1, keepdims=True)
            hhi = (share**2).sum(axis=1)
            markets.append(
                keys.assign(
                    price=price,
                    marginal_cost=price * (1 - lerner),
                    unit_cost=price * (1 - lerner) * 1.15 * np.exp(walk[3] / 3),
                    lerner=lerner,
                    tokens_served=tokens,
                    spend=price * tokens,
                    hhi=hhi,
                    effective_providers=1 / hhi,
                    leader_share=share.max(axis=1),
                    utilisation=0.35 + 0.02 * year,
                    adopted_users=1e6 * year,
                    net_income=price * tokens * (lerner - 0.3),
                    active_providers=float(firms),
                )
            )
            for firm in range(firms):
                providers.append(
                    keys.assign(provider=NAMES[firm], archetype="lab", active=True, share=share[:, firm])
                )
    return (
        _schema_frame("market", pd.concat(markets, ignore_index=True)),
        _schema_frame("providers", pd.concat(providers, ignore_index=True)),
    )
