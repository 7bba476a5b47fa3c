"""Every recorded column: type, unit and meaning. The writer, the reader and the data dictionary all start here."""

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa  # not needed to know what is recorded

Kind = Literal["int32", "float64", "string", "bool"]


@dataclass(frozen=True)
class Column:
    """One recorded column.

    unit : the unit in words; "1" for a pure number, "" for labels
    """

    name: str
    kind: Kind
    unit: str
    meaning: str


def _numbers(*rows: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, "float64", unit, meaning) for name, unit, meaning in rows)


# Settings of a run that change no recorded byte: who does the work, and what is kept of it on the way.
HOW_FAST = ("threads", "processes", "shards", "shard_checkpoint_every", "checkpoint_every")
_KEYS = (
    Column("run_id", "string", "", "hash of the resolved settings; joins to runs/<run_id>.json"),
    Column("replication", "int32", "1", "replication within the run, from 0"),
    Column("step", "int32", "step", "step of the market, from 1; state at the end of the step"),
    Column("year", "float64", "year", "years since the start of the run at the end of the step"),
)
_PROVIDER = Column("provider", "string", "", "name of the provider in the roster")
_USE = _numbers(
    ("tasks", "tasks/month", "tasks users carried out or wanted to"),
    ("tokens_wanted", "Mtok/month", "tokens users wanted at the prices they face: served, unserved and declined"),
    ("tokens_declined", "Mtok/month", "tokens that users who do not pay wanted beyond their allowance"),
    ("tokens_served", "Mtok/month", "tokens delivered"),
    ("tokens_per_task", "Mtok/task", "tokens per task carried out: the intensive margin"),
    ("task_elasticity", "1", "extensive margin: elasticity of the number of tasks to price, weighted by tokens"),
    ("thinking_elasticity", "1", "intensive margin: elasticity of tokens per task to price, weighted by tokens"),
    ("spend", "USD/month", "payments by users for tokens served and for volumes committed to"),
    ("committed_spend", "USD/month", "part of spend that is paid under contract for tokens not wanted"),
    ("cost_per_task", "USD/task", "spend over tasks served, thinking included: what a piece of work costs its user"),
)
_BASE = _numbers(
    ("potential_users", "users", "everyone who could ever use AI inference"),
    ("adopted_users", "users", "users aware of the product, attached or not"),
    ("attached_users", "users", "users with a provider"),
    ("outside_share", "1", "adopted users without a provider, as a share of adopted users"),
    ("reviews", "users/month", "users who reviewed their choice, first choices included"),
    (
        "switches",
        "users/month",
        "attached users who left for another provider or for none, exits included, users with a router left out",
    ),
    ("churn", "1/month", "switches over users attached at the start of the step, users with a router left out"),
    ("depth", "1", "mean workflow depth of attached users (1 = one workflow)"),
    ("tenure", "months", "mean tenure of attached users with their provider"),
    ("switching_cost", "utils", "mean cost of leaving among attached users"),
    ("abandonments", "users/month", "switches to no provider at all"),
    ("free_share", "1", "share of attached users who do not pay"),
    ("multihoming_share", "1", "share of attached users who choose anew every month through a router"),
    ("contract_share", "1", "share of attached users under contract"),
)

_COSTS = tuple(
    (f"cost_{name}", "log points", f"cumulated contribution of {words} to the log of unit cost")
    for name, words in (
        ("capital", "depreciation and hosting"),
        ("rental", "GPU-hours rented"),
        ("energy", "energy"),
        ("hardware", "GPU generations"),
        ("software", "software, common and private,"),
        ("distillation", "distillation, common and private,"),
        ("architecture", "architecture, common and private,"),
        ("learning", "learning by doing"),
        ("quality", "dearer, better models and of the token mix"),
        ("utilisation", "utilisation"),
    )
)

TABLES: dict[str, tuple[Column, ...]] = {
    "market": (
        *_KEYS,
        *_BASE,
        *_USE,
        *_numbers(
            ("tokens_unserved", "Mtok/month", "tokens wanted from providers that had no capacity for them"),
            ("thinking_share", "1", "share of tokens wanted that are thinking tokens"),
            ("price", "USD/Mtok", "revenue per token served"),
            ("price_index", "1", "matched-offer chained Törnqvist index of posted prices, 1 in the first step"),
            (
                "quality_adjusted_index",
                "1",
                "the same at constant quality: better models of an offer count as price cuts",
            ),
            (
                "quality_adjusted_price",
                "USD/Mtok",
                "revenue per token deflated by the value of mean quality, at quality 0",
            ),
            ("unit_cost", "USD/Mtok", "booked cost of serving (energy, hosting, depreciation, wholesale) per token"),
            ("marginal_cost", "USD/Mtok", "long-run marginal cost, weighted by tokens served"),
            ("lerner", "1", "(p - c)/p weighted by revenue, c the long-run marginal cost"),
            ("markup", "1", "(p - c)/c weighted by cost, c the long-run marginal cost"),
            ("hhi", "1", "sum of squared shares of tokens served, 0 to 1"),
            ("cr4", "1", "share of tokens served of the four largest providers"),
            ("effective_providers", "1", "1/HHI, the number of equal providers with the same concentration"),
            ("leader_share", "1", "largest share of tokens served"),
            ("active_providers", "1", "providers in business"),
            ("frontier_quality", "logits", "highest quality on offer"),
            ("mean_quality", "logits", "quality weighted by tokens served"),
            ("gpus", "GPU", "GPUs installed"),
            ("gpus_on_order", "GPU", "GPUs paid for and not yet delivered"),
            ("gpu_supply", "GPU/month", "GPUs of which the industry takes orders; nan without limit"),
            ("gpus_wanted", "GPU/month", "GPUs that providers meant to order and could pay for"),
            ("gpus_rationed", "1", "share of GPUs wanted that were not to be had"),
            ("gpus_scrapped", "GPU/month", "GPUs retired before the end of their life because their hours did not pay"),
            ("utilisation", "1", "GPU-hours used over GPU-hours installed, in reference GPUs"),
            ("rental_price", "USD/hour", "price of an hour of a reference GPU on the rental market"),
            ("scarcity", "1", "rental price over the long-run cost of an hour of a reference GPU"),
            ("rented", "GPU", "reference GPUs providers keep at work on capacity rented"),
            ("let", "GPU", "reference GPUs of providers kept at work for others"),
            ("training_gpu_hours", "GPU-hours/month", "reference-GPU-hours that training outlays pay for"),
            ("inference_gpu_hours", "GPU-hours/month", "reference-GPU-hours worked to serve tokens, own and rented"),
            ("wait", "s", "mean queueing delay, weighted by tokens served"),
            ("unserved_share", "1", "tokens unserved over tokens wanted"),
            ("consumer_surplus", "USD/month", "log-sum over the outside option, in money, on the research panel"),
            ("producer_surplus", "USD/month", "revenue and rental income less the cash cost of serving"),
            ("training", "USD/month", "training outlays"),
            ("gross_profit", "USD/month", "revenue and rental income less the booked cost of serving"),
            ("net_income", "USD/month", "net income of all providers"),
            ("economic_profit", "USD/month", "net income and interest less a charge for the capital employed"),
            ("taxes", "USD/month", "net receipts of the treasury: taxes less what it pays"),
            ("capex", "USD/month", "payments for GPUs ordered, subsidy included"),
            ("subsidy", "USD/month", "what the treasury pays towards GPUs ordered"),
            ("borrowing", "USD/month", "debt drawn less debt repaid"),
            ("equity_raised", "USD/month", "capital paid in by investors"),
            ("dividends", "USD/month", "dividends paid to owners"),
            ("welfare", "USD/month", "consumer surplus + net income + taxes"),
            ("consumer_surplus_share", "1", "consumer surplus over welfare, where welfare is above 0"),
            ("producer_surplus_share", "1", "net income over welfare, where welfare is above 0"),
            ("treasury_surplus_share", "1", "taxes over welfare, where welfare is above 0"),
            *_COSTS,
            ("cost_mix", "log points", "cumulated contribution of shares, entry and exit to the log of unit cost"),
        ),
    ),
    "providers": (
        *_KEYS,
        _PROVIDER,
        Column("archetype", "string", "", "archetype of the provider"),
        Column("active", "bool", "", "in business at the end of the step"),
        *_numbers(
            ("users", "users", "users attached"),
            ("user_share", "1", "share of attached users"),
            ("share", "1", "share of tokens served"),
            ("revenue_share", "1", "share of revenue"),
            ("tokens_wanted", "Mtok/month", "tokens its users wanted"),
            ("tokens_served", "Mtok/month", "tokens delivered"),
            ("tokens_unserved", "Mtok/month", "tokens wanted and not delivered for want of capacity"),
            ("price", "USD/Mtok", "revenue per token served"),
            ("unit_cost", "USD/Mtok", "booked cost of serving per token served"),
            ("marginal_cost", "USD/Mtok", "long-run marginal cost, weighted by tokens served"),
            ("lerner", "1", "(p - c)/p, c the long-run marginal cost"),
            ("markup", "1", "(p - c)/c, c the long-run marginal cost"),
            ("quality", "logits", "best quality on offer"),
            ("gpus", "GPU", "GPUs installed"),
            ("gpus_on_order", "GPU", "GPUs paid for and not yet delivered"),
            ("gpus_retired", "GPU/month", "GPUs retired at the end of their life, scrapped or lost in an exit"),
            ("gpus_scrapped", "GPU/month", "of them, before the end of their life because their hours did not pay"),
            ("gpus_bought", "GPU/month", "used GPUs bought from providers that failed"),
            ("gpus_sold", "GPU/month", "GPUs sold on exit"),
            ("gpus_wanted", "GPU/month", "GPUs it meant to order and could pay for, of the generation cheapest to run"),
            ("gpus_unmet", "GPU/month", "of them, not to be had in that or another generation worth buying"),
            ("utilisation", "1", "GPU-hours used over GPU-hours installed, in reference GPUs"),
            ("peak_utilisation", "1", "highest hourly utilisation in any region"),
            ("rented", "GPU", "reference GPUs kept at work on capacity rented"),
            ("let", "GPU", "own reference GPUs kept at work for others"),
            ("wait", "s", "mean queueing delay"),
            ("training_gpu_hours", "GPU-hours/month", "reference-GPU-hours that training outlays pay for"),
            ("inference_gpu_hours", "GPU-hours/month", "reference-GPU-hours worked to serve tokens, own and rented"),
            ("inference_cash", "USD/month", "revenue less the cash cost of serving; training is apart"),
            ("retention", "1/month", "share of users attached at the start of the step who stayed"),
            ("continuation_value", "USD/user", "value of keeping one more user beyond this step, as the rule sees it"),
            ("revenue", "USD/month", "payments by users"),
            ("training", "USD/month", "training outlays, expensed"),
            ("net_income", "USD/month", "revenue and rental income less every expense"),
            ("capex", "USD/month", "payments for GPUs ordered"),
            ("cash", "USD", "cash at the end of the step"),
            ("debt", "USD", "debt outstanding"),
            ("equity", "USD", "paid-in capital and retained earnings"),
            *_COSTS,
        ),
    ),
    "statements": (
        *_KEYS,
        _PROVIDER,
        *_numbers(
            ("revenue", "USD/month", "payments by users"),
            ("rental_income", "USD/month", "GPU-hours rented out"),
            ("energy", "USD/month", "electricity"),
            ("hosting", "USD/month", "space, network and maintenance"),
            ("wholesale", "USD/month", "capacity bought by the token"),
            ("rental", "USD/month", "GPU-hours rented"),
            ("depreciation", "USD/month", "straight-line depreciation of GPUs"),
            ("gross_profit", "USD/month", "revenue and rental income less the five costs of serving above"),
            ("training", "USD/month", "training outlays, expensed"),
            ("profit_after_training", "USD/month", "gross profit less training"),
            ("overhead", "USD/month", "fixed operating cost"),
            ("operating_profit", "USD/month", "gross profit less training, overhead and other running costs"),
            ("interest", "USD/month", "interest paid"),
            ("write_off", "USD/month", "book value of GPUs scrapped or lost, less debt forgiven on exit"),
            ("tax", "USD/month", "tax paid on profit"),
            ("net_income", "USD/month", "operating profit less interest, write-offs and tax"),
            (
                "economic_profit",
                "USD/month",
                "net income and interest less cost of capital on opening orders and fleet",
            ),
            ("operating_cash_flow", "USD/month", "cash from operations, interest and tax paid"),
            ("investing_cash_flow", "USD/month", "cash from assets sold less cash paid for assets"),
            ("financing_cash_flow", "USD/month", "borrowing and equity raised less dividends"),
            ("capex", "USD/month", "payments for GPUs ordered, subsidy included"),
            ("subsidy", "USD/month", "what the treasury pays towards GPUs ordered"),
            ("resale", "USD/month", "proceeds of GPUs sold on exit less payments for used ones"),
            ("borrowing", "USD/month", "debt drawn less debt repaid"),
            ("equity_raised", "USD/month", "capital paid in by investors"),
            ("dividends", "USD/month", "dividends paid to owners"),
            ("change_in_cash", "USD/month", "cash at the end of the step less cash at the end of the last"),
            ("cash", "USD", "cash at the end of the step"),
            ("orders", "USD", "prepaid GPU orders at cost"),
            ("fleet", "USD", "GPUs at cost less accumulated depreciation"),
            ("assets", "USD", "cash, orders and fleet"),
            ("debt", "USD", "debt outstanding"),
            ("paid_in", "USD", "capital paid in by owners"),
            ("retained", "USD", "net income less dividends since the start"),
            ("equity", "USD", "paid-in capital and retained earnings"),
            ("claims", "USD", "debt and equity"),
        ),
    ),
    "offers": (
        *_KEYS,
        _PROVIDER,
        Column("offer", "string", "", "name of the offer within its provider"),
        Column("owner", "string", "", "name of the provider that owns the offer; `provider` is its brand"),
        Column("model", "string", "", "model served, as in the table of list prices; empty if none"),
        Column("active", "bool", "", "on sale at the end of the step"),
        *_numbers(
            ("price", "USD/Mtok", "posted price of the reference token mix"),
            ("input_price", "USD/Mtok", "posted price of input tokens"),
            ("cached_price", "USD/Mtok", "posted price of cached input tokens"),
            ("output_price", "USD/Mtok", "posted price of output tokens"),
            ("newcomer_price", "USD/Mtok", "price of the reference token mix to those who are no customers yet"),
            ("marginal_cost", "USD/Mtok", "long-run marginal cost of the reference token mix"),
            ("opportunity_cost", "USD/Mtok", "long-run marginal cost times the scarcity of GPU-hours: what rules see"),
            ("short_run_cost", "USD/Mtok", "energy on the marginal GPUs plus the shadow price of capacity"),
            ("lerner", "1", "(p - c)/p, c the long-run marginal cost"),
            ("markup", "1", "(p - c)/c, c the long-run marginal cost"),
            ("quality", "logits", "quality: Arena rating on the scale of preference logits"),
            ("users", "users", "users attached"),
            ("user_share", "1", "share of adopted users; with the outside share these sum to 1"),
            ("share", "1", "share of tokens served"),
            ("tokens_wanted", "Mtok/month", "tokens its users wanted"),
            ("tokens_served", "Mtok/month", "tokens delivered"),
            ("revenue", "USD/month", "payments by users"),
            ("latency", "s", "mean time to the full answer over the regions, weighted by users"),
            ("time_to_first_token", "s", "mean network delay, queueing and prefill"),
        ),
    ),
    "segments": (
        *_KEYS,
        Column("segment", "string", "", "user segment"),
        *_BASE,
        *_USE,
    ),
    "ledger": (
        *_KEYS,
        _PROVIDER,
        Column("account", "string", "", "account moved"),
        Column("counterparty", "string", "", "who is on the other side; empty for entries that move no cash"),
        Column("amount", "float64", "USD/month", "amount received (+) or given (-) by the provider"),
    ),
    "events": (
        *_KEYS,
        Column(
            "kind",
            "string",
            "",
            "generation_released, model_launched, outage, price_change, delivery, sale, equity_round, entry, exit, "
            "merger or break_up",
        ),
        Column("provider", "string", "", "name of the provider; empty for events of the whole market"),
        Column("subject", "string", "", "offer, generation or other subject of the event"),
        Column(
            "value", "float64", "", "size of the event in its own unit: log price change, quality, GPUs, share, USD"
        ),
    ),
}

_TABLE_MEANINGS = {
    "market": "the whole market: one row a step",
    "providers": "one row a provider and step",
    "statements": "income statement, cash-flow statement and balance sheet: one row a provider and step",
    "offers": "one row an offer and step",
    "segments": "one row a user segment and step",
    "ledger": "one row a provider, account, counterparty and step: every movement of money",
    "events": "one row an event: what happened, to whom, when",
}


def table_meaning(table: str) -> str:
    """What one row of the table stands for."""
    return _TABLE_MEANINGS[table]


@cache
def schema_version() -> str:
    """A digest of every table, column, type and unit: it changes by itself whenever the recorded shape does.

    Meanings are left out, so that better wording does not part old results from new ones.
    """
    shape = [(table, [(c.name, c.kind, c.unit) for c in columns]) for table, columns in TABLES.items()]
    return hashlib.sha256(repr(shape).encode()).hexdigest()[:12]


@cache
def arrow_schema(table: str) -> "pa.Schema":
    """The one Arrow schema of a table, for writing and for reading.

    Units and meanings travel in the field metadata. No column is nullable: a number that does not exist is NaN.
    """
    import pyarrow as pa

    fields = [
        pa.field(c.name, pa.type_for_alias(c.kind), nullable=False, metadata={"unit": c.unit, "meaning": c.meaning})
        for c in TABLES[table]
    ]
    return pa.schema(fields, metadata={"table": table, "meaning": table_meaning(table), "schema": schema_version()})
