"""What policy and shock change: the terms in force in this step."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aimarket.population import Segments
from aimarket.state import State
from aimarket.units import MONTHS_PER_YEAR

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Interventions(State):
    """The state, and what the policy and the shock of the settings make of its terms."""

    @property
    def shocked(self) -> bool:
        """Whether the shock of the settings is on in this step."""
        shock = self.settings.shock
        return self.steps > 0 and shock.start <= self.months_so_far < shock.start + shock.months

    @property
    def policy_on(self) -> bool:
        """Whether the policy of the settings holds in this step."""
        return self.months_so_far >= self.settings.policy.start

    def under_policy(self, segments: Segments) -> Segments:
        """The segments as the policy of the settings has them: a mandate lets at least some users use routers."""
        policy = self.settings.policy
        if policy.multihoming is None or self.months_so_far < policy.start:
            return segments
        return replace(segments, multihoming=np.maximum(segments.multihoming, policy.multihoming))

    @property
    def price_cap(self) -> float:
        """Highest price allowed, USD/Mtok of the reference mix; inf without a cap."""
        cap = self.settings.policy.price_cap
        return cap if cap is not None and self.policy_on else np.inf

    @property
    def task_factor(self) -> float:
        return self.settings.shock.demand if self.shocked else 1.0

    @property
    def tax_rate(self) -> float:
        policy = self.settings.policy
        if policy.tax_rate is not None and self.months_so_far >= policy.start:
            return policy.tax_rate
        return self.settings.finance.tax_rate

    @property
    def open_weights_terms(self) -> tuple[float, float]:
        """By how many months and logits the best open weights trail the closed frontier."""
        policy, settings = self.settings.policy, self.settings.technology
        if policy.open_weights_release and self.months_so_far >= policy.start:
            return 0.0, 0.0
        return float(settings.open_weights_lag), settings.open_weights_gap

    @property
    def compute_subsidy(self) -> float:
        """Share of the price of GPUs that the treasury pays."""
        policy = self.settings.policy
        return policy.compute_subsidy or 0.0 if self.months_so_far >= policy.start else 0.0

    @property
    def barred_regions(self) -> NDArray[np.bool_]:
        """(R,) where no new GPUs may be delivered."""
        policy = self.settings.policy
        limited = policy.export_limit if self.months_so_far >= policy.start else ()
        return np.array([name in limited for name in self.network.names], dtype=bool)

    @property
    def lead_time(self) -> int:
        """Steps from ordering a GPU for a live site to its delivery, at least one."""
        return self.delivery_steps(self.settings.hardware.lead_time)

    def delivery_steps(self, months: float) -> int:
        """Steps that a lead time of some months takes now, at least one."""
        return max(1, self.clock.steps(months * (self.settings.shock.lead_time if self.shocked else 1.0)))

    @property
    def gpu_supply(self) -> float:
        """GPUs of which the industry takes orders in this step; inf without limit."""
        hardware = self.settings.hardware
        if hardware.supply is None:
            return np.inf
        growth = np.exp(hardware.supply_growth * self.months_so_far / MONTHS_PER_YEAR)
        left = self.settings.shock.gpu_supply if self.shocked else 1.0
        return float(hardware.supply * growth * left * self.clock.months)
