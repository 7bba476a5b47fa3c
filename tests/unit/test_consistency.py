"""Settings that cannot be, alone or beside one another: told in a line that names the key, before any step."""

from typing import Any

import pytest
from compositions import composed, made

from aimarket.configuration import SettingsError

OFFER = "providers__alpha__offers__main__"
SEGMENT = "users__segments__consumer__"
REGIONS = composed("roster=duopoly")["geography"]["regions"]
EMPTY = {"fresh_input": 0.0, "cached_input": 0.0, "output": 0.0}
NO_PRICE = {OFFER + "input_price": None, OFFER + "model": None}
UNRATED = {OFFER + "quality": None, OFFER + "rating": None, OFFER + "model": None}

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"users__segments": {}}, "users.segments: at least one is needed"),
    ({"hardware__generations": {}}, "hardware.generations: at least one is needed"),
    ({"about__outcome": "hhii"}, "about.outcome: no such column of the table market (got 'hhii'); did you mean hhi"),
    ({"outputs": "a\0b"}, "outputs: should be the path of a folder"),
    ({"record__tables": ["events"]}, "record.tables: should name one or more besides events"),
    ({SEGMENT + "profile": "lunar"}, "users.segments.consumer.profile: unknown (got 'lunar'); allowed: "),
    ({SEGMENT + "tokens": EMPTY}, "users.segments.consumer.tokens: at least one share must be above 0"),
    ({"geography__profiles__office": [0.0] * 24}, "geography.profiles.office: 24 figures with a sum above 0"),
    ({f"geography__regions__{r}__users": 0.0 for r in REGIONS}, "geography.regions: at least one must have users"),
    ({"policy__export_limit": ["atlantis"]}, "policy.export_limit: unknown region (got atlantis); allowed: "),
    ({"providers__alpha__fleet__mix": {"H100": 0.0}}, "providers.alpha.fleet.mix: at least one weight must be above 0"),
    ({"providers__alpha__fleet__mix": {"Z80": 1.0}}, "providers.alpha.fleet.mix.Z80: unknown; allowed: "),
    ({"providers__alpha__fleet__regions": {"atlantis": 1.0}}, "providers.alpha.fleet.regions.atlantis: unknown"),
    ({OFFER + "throughput": 500.0}, "providers.alpha.offers.main: set exactly one of throughput, margin and wholesale"),
    ({OFFER + "margin": None}, "providers.alpha.offers.main: set exactly one of throughput, margin and wholesale"),
    (NO_PRICE, "providers.alpha.offers.main: input_price and output_price must be set, or model must name a row"),
    (UNRATED, "providers.alpha.offers.main: quality or rating must be set, or model must name a rated row"),
]  # fmt: skip

IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"users__price_metric": "cubic"}, "users.price_metric: should be one of log, linear (got 'cubic')"),
    ({"users__size": None}, "users.size: should be a whole number from 1 to 1,000,000,000 (got null)"),
    ({"users__sise": 3}, "users.sise: unknown key (got 3); did you mean users.size?"),
    ({"users__segments": [1]}, "users.segments: should be a mapping from names to population, "),
    ({"users__segments": {"a b": {}}}, "users.segments.a b: should be a name of letters, digits, _, . and -"),
    ({SEGMENT + "contract": 3}, "users.segments.consumer.contract: should be a mapping with term, discount"),
    ({"record__tables": "x"}, "record.tables: should be a list, each item one of market, providers, "),
    ({"providers__alpha__active": "perhaps"}, "providers.alpha.active: should be true or false (got 'perhaps')"),
    ({"providers__alpha__fleet__mix": {"H100": "x"}}, "fleet.mix.H100: should be a finite number, at least 0"),
    ({"providers__alpha__pricing": {"kind": "cost_plus"}}, "providers.alpha.pricing.markup: missing; should be a"),
    ({"providers__alpha__pricing": {"kind": "cost_minus"}}, "providers.alpha.pricing.kind: no such rule"),
    ({"providers__alpha__pricing": 3}, "providers.alpha.pricing.kind: missing (got 3); allowed: "),
]  # fmt: skip


@pytest.mark.parametrize(("values", "told"), IMPOSSIBLE + CONTRADICTIONS)
def test_what_cannot_be_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as error:
        made("roster=duopoly", **values)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_what_the_contradictions_start_from_is_none() -> None:
    assert set(made("roster=duopoly").providers) == {"alpha", "beta"}
