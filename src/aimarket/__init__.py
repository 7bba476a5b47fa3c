"""aimarket: an agent-based simulation of the market for AI inference.

>>> import aimarket
>>> settings = aimarket.load(["roster=duopoly", "run.steps=2", "users.size=500"])
>>> aimarket.simulate(settings).market.shape[0]
2
"""

import os

# The market's matrices are tiny: BLAS threads only wait for one another, several times slower on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from aimarket.configuration import SettingsError, load
from aimarket.identities import IdentityBreach
from aimarket.market import Market
from aimarket.results import ResultsError, open_results
from aimarket.settings import Settings
from aimarket.simulate import simulate

__all__ = ["IdentityBreach", "Market", "ResultsError", "Settings", "SettingsError", "load", "open_results", "simulate"]
