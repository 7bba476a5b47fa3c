"""The market under Mesa's own tools: `run_for`, `DataCollector`, `AgentSet`, `batch_run`, `SolaraViz`.

Nothing else here imports Mesa, which is an extra: `pip install "aimarket[mesa]"`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aimarket.market import Market
from aimarket.provider import Provider
from aimarket.settings import Settings

try:
    import mesa
except ImportError as missing:
    raise ImportError(f"aimarket.mesa_model needs Mesa: pip install 'aimarket[mesa]' ({missing})") from missing


class ProviderAgent(mesa.Agent):  # type: ignore[type-arg]
    """A provider as an agent of Mesa: what it is asked for, it asks the provider for."""

    def __init__(self, model: "MarketModel", provider: Provider) -> None:
        super().__init__(model)
        self.provider = provider

    def __getattr__(self, name: str) -> Any:
        if name == "provider":  # of a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self.provider, name)


class MarketModel(mesa.Model):  # type: ignore[type-arg]
    """A model of Mesa that owns a market and steps it; its agents are the providers, in the order of the roster.

    settings           : see `aimarket.load`
    rng                : seed of the run instead of that in the settings; `batch_run` passes one
    replication        : which replication of the settings this is
    model_reporters, … : of the `datacollector` that collects after every step

    It stops `running` after the steps of the settings; `step` and `run_for` go on if asked to.
    """

    def __init__(
        self,
        settings: Settings,
        rng: int | None = None,
        replication: int = 0,
        model_reporters: Mapping[str, Any] | None = None,
        agent_reporters: Mapping[str, Any] | None = None,
    ) -> None:
        settings = settings if rng is None else replace(settings, run=replace(settings.run, seed=rng))
        super().__init__(rng=settings.run.seed)
        self.market = Market(settings, replication)
        self.datacollector = mesa.DataCollector(model_reporters=model_reporters, agent_reporters=agent_reporters)
        for provider in self.market.providers:
            ProviderAgent(self, provider)

    def step(self) -> None:
        """One step of the market."""
        self.market.step()
        self.running = self.market.steps < self.market.settings.run.steps
        self.datacollector.collect(self)
