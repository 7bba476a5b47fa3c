"""What a run is made of: one frozen, validated dataclass per YAML node.

Units stand in the comment beside each field; plausible ranges and sources of empirical figures stand beside the value
in `conf/`. The bounds here are the limits of what the model can represent, which is wider.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, cast, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass


@dataclass_transform(kw_only_default=True, frozen_default=True)
def node[T](cls: type[T]) -> type[T]:
    """Make a frozen dataclass of a class; values are checked when one is made, unknown keys are errors."""
    return cast("type[T]", pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))(cls))


Real = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e18, le=1e18)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e18)]
NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e18)]
Share = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)]
OpenShare = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, lt=1)]
PositiveShare = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1)]
Correlation = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=-1, lt=1)]
Rate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-10, le=10)]  # log points a year
Utils = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-100, le=100)]
NonNegativeUtils = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=100)]
Months = Annotated[int, Field(strict=True, ge=0, le=1200)]
Period = Annotated[int, Field(strict=True, ge=1, le=1200)]  # months
Count = Annotated[int, Field(strict=True, ge=1)]
Rating = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e5, le=1e5)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Text = Annotated[str, Field(strict=True, max_length=2000)]
Date = Annotated[str, Field(strict=True, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]

SHELVES = ("pricing", "capacity", "training")  # of rules that a provider holds
MARKET_SHELVES = ("entry",)  # of rules of the whole market


@node
class Run:
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)]
    steps: Annotated[int, Field(strict=True, ge=1, le=12_000)]
    replications: Annotated[int, Field(strict=True, ge=1, le=100_000)]
    threads: Annotated[int, Field(strict=True, ge=1, le=1024)]  # never changes a result
    processes: Annotated[int, Field(strict=True, ge=0, le=4096)]  # nor does this: of a sweep, or of the replications
    shards: Annotated[int, Field(strict=True, ge=0, le=32)]  # nor does this: Ray workers; 0: all users are here
    shard_checkpoint_every: Annotated[int, Field(strict=True, ge=0)]  # steps, 0: never; nor does this
    checkpoint_every: Annotated[int, Field(strict=True, ge=0)]  # steps between checkpoints of the run; nor does this
    steps_per_year: Annotated[int, Field(strict=True, ge=1, le=366)]
    panel: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]  # users in the market-research panel


@node
class Preferences:
    """Log-normal, correlated tastes. Means are means of the coefficient, spreads are standard deviations of its log."""

    quality: NonNegativeUtils  # utils per logit of quality
    price: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=100)]  # utils per log point, or per USD
    latency: NonNegativeUtils  # utils per log point of 1 + latency/latency_scale


@node
class Spread:
    """Standard deviation of the log of each taste."""

    quality: NonNegative
    price: NonNegative
    latency: NonNegative


@node
class Correlations:
    quality_price: Correlation
    quality_latency: Correlation
    price_latency: Correlation


@node
class Switching:
    base: NonNegativeUtils  # utils
    maximum: NonNegativeUtils  # utils, gained with tenure
    horizon: Positive  # months of tenure
    depth: NonNegativeUtils  # utils per log point of 1 + depth


@node
class Adoption:
    initial: Share  # adopted when the run starts
    innovation: NonNegative  # Bass p, 1/year
    imitation: NonNegative  # Bass q, 1/year


@node
class Depth:
    initial: Positive
    ceiling: Positive
    growth: Share  # share of the gap to the ceiling closed in a month
    decay: Share  # share of depth lost in a month while surplus falls or the user has no provider


@node
class Tokens:
    """Token mix: shares of all tokens of a task."""

    fresh_input: Share
    cached_input: Share
    output: Share


@node
class Contract:
    """Whoever picks an offer signs for a term at a locked price; part of the use expected is paid for in any case."""

    term: Positive  # months
    discount: OpenShare  # off the price posted when signing
    commitment: Share  # of the use expected when signing


@node
class Free:
    """Users who pay nothing: they take offers with a free tier, as far as its allowance goes."""

    share: Share  # of users, at first
    conversion: Share  # probability of becoming a paying user in a month


@node
class Foresight:
    """How far those who choose look beyond the price they pay at once."""

    weight: Share  # of the price expected later; 0: myopic
    horizon: NonNegative  # months of the stay that is looked at


@node
class Difficulty:
    """Tasks differ in difficulty, and are done if they are worth it: a lower price brings in harder ones."""

    ceiling: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1, le=1e18)] | None  # over today's tasks
    thinking: NonNegative  # exponent of thinking tokens in the mean difficulty of the tasks done


@node
class Segment:
    population: Positive  # users in the world
    sample: Positive  # relative number of simulated users
    review: Share  # probability of reviewing the choice in a month
    outside_utility: Utils | None  # utils; null: no outside option
    preferences: Preferences
    switching: Switching
    adoption: Adoption
    depth: Depth
    tasks: Positive  # tasks a month at depth 1 and the reference price
    tasks_spread: NonNegative  # standard deviation of the log of tasks
    tokens_per_task: Positive  # tokens, without thinking
    thinking_tokens: NonNegative  # tokens a task at the reference price and no time cost
    value_of_time: NonNegative  # USD/hour of waiting for thinking tokens
    tokens: Tokens
    profile: str  # hourly load profile
    contract: Contract | None  # null: everybody pays the posted price, month by month
    multihoming: Share  # paying users who choose anew every month through a router
    free: Free | None  # null: everybody pays


@node
class Users:
    size: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]  # simulated users
    scale: Positive  # multiplies every population
    segments: Mapping[Name, Segment]
    price_metric: Literal["log", "linear"]
    spread: Spread
    correlation: Correlations
    taste_spread: NonNegativeUtils  # utils, standard deviation of the persistent taste for a provider
    latency_scale: Positive  # s
    usage_elasticity: NonNegative  # of tasks to the price of a token
    effort_curvature: Positive  # b: quality of an answer is 1 - A n^-b in thinking tokens n
    reference_price: Positive  # USD/Mtok at which tasks and thinking tokens are quoted
    portability: Share  # share of tenure kept on a switch
    price_rise_review: NonNegative  # hazard of a review per log point of price rise
    outage_review: NonNegative  # hazard of a review a month per unit of unserved share
    surplus_feedback: NonNegative  # chi: exponent of relative consumer surplus in adoption
    foresight: Foresight
    difficulty: Difficulty


@node
class Rates:
    software: Rate
    distillation: Rate
    architecture: Rate
    hardware: Rate  # of generations not yet announced, throughput per USD


@node
class Technology:
    rates: Rates  # log points a year
    volatility: NonNegative  # of each common trend, generations to come included, log points per square root of a year
    private_volatility: NonNegative  # of each driver of a provider's own, likewise
    spillover: NonNegative  # rate at which the private part leaks away, 1/year
    learning: NonNegativeUtils  # exponent of cumulative tokens in tokens per GPU-hour; 0: no learning by doing
    learning_private: Share  # share of learning that is from a provider's own tokens, the rest from everybody's
    prior_experience: Positive  # years of the first step's tokens that had been served before the run
    reference_rating: Rating  # Arena rating of quality 0
    quality_cost: NonNegative  # kappa_Q: log cost per logit of quality
    quality_gain: NonNegative  # logits per log point of training
    training_scale: Positive  # USD of training that counts as 1
    quality_shock: NonNegative  # standard deviation of a model's quality, logits
    ageing: NonNegativeUtils  # logits a year a model loses against what users expect
    open_weights_lag: Months  # months by which the best open weights follow the closed frontier
    open_weights_gap: NonNegativeUtils  # logits by which they stay below it
    training_compute: Share  # share of training outlays that pays for GPUs and their energy


@node
class Generation:
    release: Date
    price: Positive  # USD/GPU
    power: Positive  # kW
    throughput: Positive  # tokens per GPU-hour relative to the reference GPU


@node
class Rental:
    """The market for GPU-hours outside the firms of the roster."""

    fleet: Positive  # reference GPUs of merchants when the run starts
    elasticity: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.05, le=20)]  # of the world's demand
    demand_growth: Rate  # log points a year of the rest of the world's demand at a constant price
    adjustment: NonNegative  # log points a year by which merchants' fleet grows per log point of price over cost
    lettable: Share  # share of idle hours that can be let
    lease_or_buy: bool  # whether firms buy less while hours cost less to rent than to own


@node
class Hardware:
    start: Date  # calendar month of step 0
    generations: Mapping[Name, Generation]
    cadence: Annotated[float, Field(strict=True, ge=0.1, le=1000)]  # years between later generations
    power_growth: Rate  # log points of power a year for later generations
    power_usage_effectiveness: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1, le=10)]
    idle_power: Share  # power of an idle GPU over its full power
    hosting: NonNegative  # USD a GPU-month: space, network, maintenance
    service_life: Annotated[int, Field(strict=True, ge=1, le=1200)]  # months, also the depreciation period
    lead_time: Months  # months from payment to delivery in a live site
    new_site_lead_time: Months  # months from payment to delivery in a site to be built
    headroom: NonNegative | None  # power of a site beyond what is first installed, over that; null: room for all
    supply: Positive | None  # GPUs a month the industry makes when the run starts; null: without limit
    supply_growth: Rate  # of it, log points a year
    supply_ramp: NonNegative  # months from release until all of the supply may be of a new generation
    supply_priority: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=10)]  # 0: pro rata to orders
    volume_discount: OpenShare  # off the price of a very large order
    early_delivery: NonNegative  # months by which a very large order comes earlier
    volume_scale: Positive  # GPUs a month at which an order has half of both
    scrapping: Flag  # whether GPUs go when their hours earn less than their cash cost
    resale: Share  # of the value of a used GPU that a failed provider's fetch; 0: nobody buys them
    discount_rate: Share  # a year, in the rental price of capital
    obsolescence: Annotated[
        float, Field(strict=True, allow_inf_nan=False, ge=0, le=10)
    ]  # log points a year by which what a GPU earns is expected to fall, in the rental price of capital
    planned_utilisation: PositiveShare  # at which long-run cost is reckoned
    maximum_utilisation: Annotated[
        float, Field(strict=True, gt=0, le=0.999)
    ]  # load above this share of capacity is turned away
    concurrency: Positive  # requests in service at once on one reference GPU
    rental: Rental | None  # null: no market for GPU-hours
    batch_half: Positive | None  # requests at once on a GPU at which each is half as fast as alone; null: never slower
    load_balancing: Flag  # load goes where an answer takes least, not only where there is room


@node
class Region:
    users: NonNegative  # relative number of users
    utc_offset: Annotated[float, Field(strict=True, ge=-12, le=14)]  # hours
    latitude: Annotated[float, Field(strict=True, ge=-90, le=90)]
    longitude: Annotated[float, Field(strict=True, ge=-180, le=180)]
    electricity: NonNegative  # USD/kWh


@node
class Geography:
    regions: Mapping[Name, Region]
    profiles: Mapping[Name, tuple[NonNegative, ...]]  # relative load by local hour, 24 figures
    network_base: NonNegative  # s
    network_per_km: NonNegative  # s/km of great circle, both ways


@node
class Equity:
    """When a provider asks investors for money, and what they give."""

    trigger: NonNegative  # months of runway below which a provider asks
    round: NonNegative  # months of runway it asks for
    interval: NonNegative  # months from one round to the next at least
    dilution: OpenShare  # largest share of the provider that new investors get in a round
    required_return: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=10)]  # a year
    learning: PositiveShare  # weight of a month in the contribution of serving and its growth, as investors expect them
    growth_limit: Annotated[
        float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)
    ]  # log points a month: bound on the growth expected


@node
class Finance:
    tax_rate: OpenShare
    covenant: OpenShare  # debt allowed over total assets
    cash_buffer: NonNegative  # months of cash expenses kept
    payout: Share  # share of spare cash paid out as dividends, a month
    equity: Equity | None  # null: no equity rounds


@node
class Offer:
    """One priced endpoint. Cost comes from `throughput` if known, else from `margin`, or is bought at `wholesale`."""

    model: str | None = None  # key of the table of list prices
    input_price: Positive | None = None  # USD/Mtok
    cached_price: Positive | None = None  # USD/Mtok
    output_price: Positive | None = None  # USD/Mtok
    rating: Rating | None = None  # Arena rating
    quality: Utils | None = None  # logits, instead of a rating
    throughput: Positive | None = None  # tokens/s of the reference mix on one reference GPU
    margin: OpenShare | None = None  # assumed Lerner margin of the list price over long-run cost
    wholesale: Positive | None = None  # USD/Mtok: capacity bought by the token, without limit
    open_weights: Flag = False
    speed: Positive = 60.0  # output tokens/s seen by a user
    prefill: NonNegative = 0.5  # s to the first token without network and queue
    free_allowance: NonNegative = 0.0  # tokens a month for users who do not pay; 0: no free tier


@node
class Fleet:
    gpus: NonNegative | None  # null: sized for the demand expected at list prices
    mix: Mapping[Name, NonNegative]  # generation -> relative number of GPUs
    regions: Mapping[Name, NonNegative]  # region -> relative number of GPUs


@node
class Provider:
    archetype: Literal["hyperscaler", "frontier_lab", "neocloud", "open_weights_host", "entrant", "reseller"]
    active: Flag  # in business from the start; false: waits until it enters or a break-up starts it
    cash: NonNegative  # USD
    debt: NonNegative  # USD
    interest_rate: Share  # a year
    cost_of_capital: Share | None  # a year, of its GPUs; null: the discount rate common to all
    overhead: NonNegative  # USD/month
    efficiency: Rate  # log tokens per GPU-hour beyond what its offers' throughput or margin says; rivals learn it away
    appeal: Utils  # utils: mean taste of all users for this provider
    fleet: Fleet
    offers: Mapping[Name, Offer]
    pricing: Any  # a rule of the shelf of that name
    capacity: Any
    training: Any


@node
class Merger:
    acquirer: Name  # providers
    target: Name


@node
class BreakUp:
    provider: Name  # that gives up `offers`, with its share of fleet, cash and debt
    offers: tuple[Name, ...]
    into: Name  # a provider of the roster that waits for it: `active: false`


@node
class Policy:
    """What changes from the start month on; null leaves the market as it is."""

    start: Months
    portability: Share | None  # share of tenure kept on a switch
    multihoming: Share | None  # least share of users who choose through a router
    tax_rate: OpenShare | None  # tax on profit
    price_cap: Positive | None  # USD/Mtok of the reference mix
    compute_subsidy: OpenShare | None  # share of the price of GPUs that the treasury pays
    export_limit: tuple[Name, ...]  # regions where no GPUs may be delivered
    open_weights_release: Flag  # the closed frontier's weights are opened: the lag of open weights is nil
    merger: Merger | None  # two providers become one
    merger_allowed: Flag  # whether the authority lets it happen
    break_up: BreakUp | None


@node
class Shock:
    start: Months
    months: Months
    demand: Positive  # multiplies tasks while it lasts
    lead_time: Positive  # multiplies the lead time of GPUs ordered while it lasts
    gpu_supply: PositiveShare  # multiplies the industry's supply of GPUs while it lasts


@node
class Record:
    tables: tuple[Literal["market", "providers", "statements", "offers", "segments", "ledger", "events"], ...]
    attribution: Literal["lmdi", "shapley"]  # how the change of unit cost is parted among its drivers


@node
class About:
    """What a study asks, for whoever reads its report; nothing in it changes a run."""

    question: Text  # as one would put it to a colleague
    prediction: Text  # made before the run
    outcome: Name  # column of the table market that answers it


@node
class Settings:
    study: Name
    outputs: Annotated[str, Field(strict=True, min_length=1)]
    run: Run
    users: Users
    technology: Technology
    hardware: Hardware
    geography: Geography
    finance: Finance
    providers: Mapping[Name, Provider]
    entry: Any  # a rule of the shelf of that name
    policy: Policy
    shock: Shock
    record: Record
    about: About


@cache
def rule_kinds(shelf: str) -> tuple[str, ...]:
    """Names of the rules on one shelf: its modules, private ones left out."""
    package = importlib.import_module(f"aimarket.{shelf}")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return tuple(sorted(name for name in names if not name.startswith("_")))


@cache
def rule_class(shelf: str, kind: str) -> type:
    """The rule of that kind: the one class that `<shelf>/<kind>.py` defines."""
    module = importlib.import_module(f"aimarket.{shelf}.{kind}")
    (rule,) = (x for x in vars(module).values() if isinstance(x, type) and x.__module__ == module.__name__)
    return rule


def nested_rules(rule: type) -> list[str]:
    """Parameters of a rule that are rules of its own shelf: those declared `Any`."""
    return [field.name for field in dataclasses.fields(rule) if field.type is Any]
