"""From settings to a market on the eve of its first step."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import settings as config
from aimarket.catalogue import Catalogue, create_catalogue
from aimarket.complaints import near, shown
from aimarket.creation import taste_factor
from aimarket.data import list_prices
from aimarket.kernels.choice import logit_shares
from aimarket.provider import Fleet, Roadmap, gpu_hour_cost, roadmap
from aimarket.roster import check_roster
from aimarket.schema import TABLES
from aimarket.serving import Network, create_network
from aimarket.units import HOURS_PER_DAY, HOURS_PER_MONTH
from aimarket.views import Panel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Clock:
    """How long a step is, and how monthly settings count in steps."""

    steps_per_year: int

    @property
    def years(self) -> float:
        """Length of a step in years."""
        return 1 / self.steps_per_year

    @property
    def months(self) -> float:
        """Length of a step in months."""
        return 12 / self.steps_per_year

    def steps(self, months: float) -> int:
        """Whole steps in some months."""
        return round(months / self.months)


def panel_rows(sample: Integers, size: int) -> Integers:
    """Users in the research panel: evenly spaced within each segment, so that all regions are there; at least one.

    sample : (S,) int, simulated users by segment
    """
    share = size / sample.sum()
    starts = np.cumsum(sample) - sample
    counts = [min(int(n), max(1, round(n * share))) for n in sample]
    return np.concatenate(
        [start + (2 * np.arange(c) + 1) * n // (2 * c) for start, n, c in zip(starts, sample, counts, strict=True) if c]
    )


def by_name(weights: Mapping[str, float], names: tuple[str, ...], otherwise: Floats, key: str) -> Floats:
    """Relative weights as shares in the order of `names`; `otherwise` if none is given.

    raises : ValueError naming the key if a name is unknown
    """
    for name in weights:
        if name not in names:
            raise ValueError(f"{key}.{name}: unknown; allowed: {', '.join(names)}")
    chosen = np.array([weights.get(name, 0.0) for name in names]) if weights else otherwise
    if chosen.sum() <= 0:
        raise ValueError(f"{key}: at least one weight must be above 0")
    return np.asarray(chosen / chosen.sum())


def electricity_price(provider: config.Provider, network: Network, key: str) -> float:
    """What the provider pays for electricity on average over its sites, USD/kWh."""
    regions = by_name(provider.fleet.regions, network.names, network.weights, f"{key}.fleet.regions")
    return float(regions @ network.electricity)


def starting_hours(catalogue: Catalogue, settings: config.Settings, generations: Roadmap, network: Network) -> Floats:
    """Reference-GPU-hours per Mtok of the reference mix of every offer when the run starts, (J,).

    From the throughput where it is known, else from the margin assumed on the list price; 0 where capacity is bought by
    the token.

    raises : ValueError naming the key if an offer states none of the three, or more than one
    """
    hours = np.zeros(len(catalogue.settings))
    on_sale = generations.on_sale(0)
    names = catalogue.names
    for j, offer in enumerate(catalogue.settings):
        name = catalogue.providers[catalogue.provider[j]]
        key = f"providers.{name}.offers.{names[j].split('/', 1)[1]}"
        given = [x for x in ("throughput", "margin", "wholesale") if getattr(offer, x) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{key}: set exactly one of throughput, margin and wholesale (got {', '.join(given) or 'none'})"
            )
        if offer.throughput is not None:
            hours[j] = 1e6 / 3600 / offer.throughput
        elif offer.margin is not None:
            electricity = electricity_price(settings.providers[name], network, f"providers.{name}")
            hour = gpu_hour_cost(settings.hardware, generations, electricity)[on_sale].min()
            hours[j] = catalogue.list_price[j] * (1 - offer.margin) / hour
    return hours


def expected_work(panel: Panel, hours: Floats, months: float) -> Floats:
    """Reference GPUs that adopted users would keep busy if all chose now, by offer; (J,).

    hours : (J,) reference-GPU-hours per Mtok
    """
    share, _ = logit_shares(panel.utility_now, panel.outside_now)
    tokens = np.einsum("k,kj,kj->j", panel.weight * panel.review, share, panel.tokens)
    return np.asarray(tokens * hours / (HOURS_PER_MONTH * months))


def start_fleet(
    fleet: Fleet,
    provider: config.Provider,
    reference_gpus: float,
    generations: Roadmap,
    network: Network,
    life: int,
    clock: Clock,
    name: str,
) -> None:
    """Fill a fleet with what the provider owns when the run starts.

    A generation was bought evenly from its release on, so that the fleet ages gradually instead of all at once.

    reference_gpus : float, capacity wanted where the settings name no number of GPUs
    life           : service life in steps
    """
    if provider.fleet.gpus == 0 or (provider.fleet.gpus is None and reference_gpus <= 0):
        return
    mix = by_name(
        provider.fleet.mix, generations.names, np.zeros(len(generations.names)), f"providers.{name}.fleet.mix"
    )
    regions = by_name(provider.fleet.regions, network.names, network.weights, f"providers.{name}.fleet.regions")
    total = (
        provider.fleet.gpus if provider.fleet.gpus is not None else reference_gpus / float(mix @ generations.throughput)
    )
    for generation in np.flatnonzero(mix):
        steps = int(np.clip(clock.steps(-generations.release[generation]), 1, life - 1)) if life > 1 else 1
        each = total * mix[generation] / steps
        for age in range(steps):
            fleet.add(int(generation), each * regions, -age, float(generations.price[generation]), delivered=True)


def retire_and_deliver(fleet: Fleet, step: int, life: int, shape: tuple[int, int]) -> tuple[Floats, Floats, float]:
    """Cohorts at the end of their life go, orders that are due arrive.

    returns : GPUs retired (G, R), GPUs delivered (G, R), cost of what was delivered in USD
    """
    old = fleet.delivered & (fleet.arrival <= step - life)
    due = ~fleet.delivered & (fleet.arrival <= step)
    retired, arrived = fleet.count(old, *shape), fleet.count(due, *shape)
    cost = float((fleet.gpus * fleet.unit_cost)[due].sum())
    fleet.delivered[due] = True
    fleet.keep(~old)
    return retired, arrived, cost


def check_consistency(settings: config.Settings) -> None:
    """What no single key can tell: names that must exist, sums that must be possible.

    raises : ValueError naming the key
    """
    for shelf, names in (
        ("users.segments", settings.users.segments),
        ("geography.regions", settings.geography.regions),
        ("hardware.generations", settings.hardware.generations),
        ("providers", settings.providers),
    ):
        if not names:
            raise ValueError(f"{shelf}: at least one is needed (got none)")
    check_roster(settings)
    outcome, columns = (
        settings.about.outcome,
        [c.name for c in TABLES["market"] if c.kind == "float64" and c.name != "year"],
    )
    if outcome not in columns:
        told = near(outcome, columns)
        raise ValueError(f"about.outcome: no such column of the table market (got {shown(outcome)}){told}")
    if "\0" in settings.outputs:
        raise ValueError(f"outputs: should be the path of a folder (got {shown(settings.outputs)})")
    if set(settings.record.tables) <= {"events"}:  # in some steps there are none
        raise ValueError("record.tables: should name one or more besides events")
    equity = settings.finance.equity
    if equity is not None and equity.round < equity.trigger:
        raise ValueError(
            f"finance.equity.round: at least finance.equity.trigger = {equity.trigger:g} needed (got {equity.round:g})"
        )
    taste_factor(settings.users)
    for name, segment in settings.users.segments.items():
        if segment.profile not in settings.geography.profiles:
            allowed = ", ".join(settings.geography.profiles)
            raise ValueError(f"users.segments.{name}.profile: unknown (got {segment.profile!r}); allowed: {allowed}")
        mix = segment.tokens
        if mix.fresh_input + mix.cached_input + mix.output <= 0:
            raise ValueError(f"users.segments.{name}.tokens: at least one share must be above 0")
    for name, profile in settings.geography.profiles.items():
        if len(profile) != HOURS_PER_DAY or sum(profile) <= 0:
            raise ValueError(
                f"geography.profiles.{name}: 24 figures with a sum above 0 are needed (got {len(profile)})"
            )
    if sum(region.users for region in settings.geography.regions.values()) <= 0:
        raise ValueError("geography.regions: at least one must have users above 0")
    network = create_network(settings.geography, [s.profile for s in settings.users.segments.values()])
    for name in settings.policy.export_limit:
        if name not in network.names:
            raise ValueError(f"policy.export_limit: unknown region (got {name}); allowed: {', '.join(network.names)}")
    generations = roadmap(settings.hardware, 0.0, 0.0)
    starting_hours(create_catalogue(settings, list_prices()), settings, generations, network)
    for name, provider in settings.providers.items():
        key = f"providers.{name}"
        by_name(provider.fleet.regions, network.names, network.weights, f"{key}.fleet.regions")
        gpus, self_served = provider.fleet.gpus, [offer.wholesale is None for offer in provider.offers.values()]
        owns = any(self_served) if gpus is None else gpus > 0
        otherwise = np.full(len(generations.names), 0.0 if owns else 1.0)
        by_name(provider.fleet.mix, generations.names, otherwise, f"{key}.fleet.mix")
