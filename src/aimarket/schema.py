"""Every recorded column: type, unit and meaning. The writer, the reader and the data dictionary all start here."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

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


_KEYS = (
    Column("run_id", "string", "", "hash of the resolved settings; joins to runs/<run_id>.json"),
    Column("replication", "int32", "1", "replication within the run, from 0"),
    Column("step", "int32", "step", "step of the market, from 1; state at the end of the step"),
    Column("year", "float64", "year", "years since the start of the run at the end of the step"),
)
_PROVIDER = Column("provider", "string", "", "name of the provider in the roster")
_USE = _numbers(
    ("tasks", "tasks/month", "tasks users carried out or wanted to"),
    ("tokens_wanted", "Mtok/month", "tokens users wanted at the posted prices"),
    ("tokens_served", "Mtok/month", "tokens delivered"),
    ("tokens_per_task", "Mtok/task", "tokens wanted per task: the intensive margin"),
    ("spend", "USD/month", "payments by users for tokens served"),
)
_BASE = _numbers(
    ("potential_users", "users", "everyone who could ever use AI inference"),
    ("adopted_users", "users", "users aware of the product, attached or not"),
    ("attached_users", "users", "users with a provider"),
    ("outside_share", "1", "adopted users without a provider, as a share of adopted users"),
    ("reviews", "users/month", "users who reviewed their choice, first choices included"),
    ("switches", "users/month", "attached users who left for another provider or for none, exits included"),
    ("churn", "1/month", "switches over users attached at the start of the step"),
    ("depth", "1", "mean workflow depth of attached users (1 = one workflow)"),
    ("tenure", "months", "mean tenure of attached users with their provider"),
    ("switching_cost", "utils", "mean cost of leaving among attached users"),
)

_COSTS = tuple(
    (f"cost_{name}", "log points", f"cumulated contribution of {words} to the log of unit cost")
    for name, words in (
        ("capital", "depreciation, hosting and rented GPUs"),
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
            ("price_index", "1", "matched-model chained Törnqvist index of posted prices, 1 in the first step"),
            ("quality_adjusted_price", "USD/Mtok", "revenue per token deflated by the value of quality in price terms"),
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
            ("utilisation", "1", "GPU-hours used over GPU-hours installed, in reference GPUs"),
            ("training_gpu_hours", "GPU-hours/month", "reference-GPU-hours that training outlays pay for"),
            ("inference_gpu_hours", "GPU-hours/month", "reference-GPU-hours worked to serve tokens"),
            ("wait", "s", "mean queueing delay, weighted by tokens served"),
            ("unserved_share", "1", "tokens unserved over tokens wanted"),
            ("consumer_surplus", "USD/month", "log-sum over the outside option, in money, on the research panel"),
            ("producer_surplus", "USD/month", "revenue less the cash cost of serving"),
            ("training", "USD/month", "training outlays"),
            ("net_income", "USD/month", "net income of all providers"),
            ("taxes", "USD/month", "taxes paid by providers"),
            ("capex", "USD/month", "payments for GPUs ordered"),
            ("welfare", "USD/month", "consumer surplus + net income + taxes"),
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
            ("utilisation", "1", "GPU-hours used over GPU-hours installed, in reference GPUs"),
            ("peak_utilisation", "1", "highest hourly utilisation in any region"),
            ("wait", "s", "mean queueing delay"),
            ("training_gpu_hours", "GPU-hours/month", "reference-GPU-hours that training outlays pay for"),
            ("inference_gpu_hours", "GPU-hours/month", "reference-GPU-hours worked to serve tokens"),
            ("inference_cash", "USD/month", "revenue less the cash cost of serving; training is apart"),
            ("retention", "1/month", "share of users attached at the start of the step who stayed"),
            ("continuation_value", "USD/user", "value of keeping one more user beyond this step, as the rule sees it"),
            ("revenue", "USD/month", "payments by users"),
            ("rental_income", "USD/month", "GPU-hours rented out"),
            ("energy", "USD/month", "electricity"),
            ("hosting", "USD/month", "space, network and maintenance"),
            ("wholesale", "USD/month", "capacity bought by the token"),
            ("rental", "USD/month", "GPU-hours rented"),
            ("overhead", "USD/month", "fixed operating cost"),
            ("training", "USD/month", "training outlays, expensed"),
            ("depreciation", "USD/month", "straight-line depreciation of GPUs"),
            ("interest", "USD/month", "interest paid"),
            ("tax", "USD/month", "tax paid on profit"),
            ("write_off", "USD/month", "book value of GPUs lost less debt forgiven on exit"),
            ("net_income", "USD/month", "revenue less every expense"),
            ("capex", "USD/month", "payments for GPUs ordered"),
            ("borrowing", "USD/month", "debt drawn less debt repaid"),
            ("cash", "USD", "cash at the end of the step"),
            ("orders", "USD", "prepaid GPU orders at cost"),
            ("book_value", "USD", "GPUs at cost less accumulated depreciation"),
            ("debt", "USD", "debt outstanding"),
            ("equity", "USD", "paid-in capital and retained earnings"),
            *_COSTS,
        ),
    ),
    "offers": (
        *_KEYS,
        _PROVIDER,
        Column("offer", "string", "", "name of the offer within its provider"),
        Column("model", "string", "", "model served, as in the table of list prices; empty if none"),
        Column("active", "bool", "", "on sale at the end of the step"),
        *_numbers(
            ("price", "USD/Mtok", "posted price of the reference token mix"),
            ("input_price", "USD/Mtok", "posted price of input tokens"),
            ("cached_price", "USD/Mtok", "posted price of cached input tokens"),
            ("output_price", "USD/Mtok", "posted price of output tokens"),
            ("marginal_cost", "USD/Mtok", "long-run marginal cost of the reference token mix"),
            ("short_run_cost", "USD/Mtok", "energy cost of serving the reference token mix on the oldest GPUs in use"),
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
        Column("amount", "float64", "USD/month", "amount received (+) or given (-) by the provider in the step"),
    ),
    "events": (
        *_KEYS,
        Column("kind", "string", "", "generation_released, model_launched, outage, price_change, delivery or exit"),
        Column("provider", "string", "", "name of the provider; empty for events of the whole market"),
        Column("subject", "string", "", "offer, generation or other subject of the event"),
        Column("value", "float64", "", "size of the event in its own unit: log price change, quality, GPUs, share"),
    ),
}

_TABLE_MEANINGS = {
    "market": "the whole market: one row a step",
    "providers": "one row a provider and step",
    "offers": "one row an offer and step",
    "segments": "one row a user segment and step",
    "ledger": "one row a provider, account, counterparty and step: every movement of money",
    "events": "one row an event: what happened, to whom, when",
}
_ARROW = {"int32": pa.int32(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}


def table_meaning(table: str) -> str:
    """What one row of the table stands for."""
    return _TABLE_MEANINGS[table]


def schema_version() -> str:
    """A digest of every table, column, type and unit: it changes by itself whenever the recorded shape does.

    Meanings are left out, so that better wording does not part old results from new ones.
    """
    shape = [(table, [(c.name, c.kind, c.unit) for c in columns]) for table, columns in TABLES.items()]
    return hashlib.sha256(repr(shape).encode()).hexdigest()[:12]


def arrow_schema(table: str) -> pa.Schema:
    """The one Arrow schema of a table, for writing and for reading.

    Units and meanings travel in the field metadata. No column is nullable: a number that does not exist is NaN.
    """
    fields = [
        pa.field(c.name, _ARROW[c.kind], nullable=False, metadata={"unit": c.unit, "meaning": c.meaning})
        for c in TABLES[table]
    ]
    return pa.schema(fields, metadata={"table": table, "meaning": table_meaning(table), "schema": schema_version()})
