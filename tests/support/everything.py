"""One market in which every mechanism is on, and something of each happens within ten steps."""

from typing import Any

from compositions import changed, composed, option

from aimarket.configuration import documented

CONTRACT = {"term": 3.0, "discount": 0.2, "commitment": 0.9}
FIRMS = ("+provider@providers.zeta=open_weights_host", "+provider@providers.eta=frontier_lab",
         "+provider@providers.theta=reseller", "+provider@providers.zoe=neocloud",
         "+provider/offer@providers.beta.offers.small=entrant", "+provider/offer@providers.alpha.offers.small=neocloud",
         "+provider/offer@providers.eta.offers.small=open_weights_host")  # fmt: skip
RULES = (
    "pricing@providers.alpha.pricing=customer_recognition",
    "pricing@providers.beta.pricing=sticky",
    "pricing@providers.beta.pricing.rule=forward_looking",
    "pricing@providers.gamma.pricing=q_learning",
    "pricing@providers.delta.pricing=undercut",
    "pricing@providers.epsilon.pricing=follow_leader",
    "pricing@providers.zeta.pricing=cost_plus",
    "capacity@providers.alpha.capacity=newsvendor",
    "capacity@providers.beta.capacity=follow_demand",
    "training@providers.alpha.training=race",
    "entry=free_entry",
)
SMALL = ("users.size=600", "run.panel=150", "run.steps=10")
VALUES: dict[str, Any] = {
    "users.segments.developer.contract": CONTRACT,
    "users.segments.consumer.multihoming": 0.2,
    "users.segments.developer.multihoming": 0.3,
    "users.segments.enterprise.multihoming": 0.3,
    "users.segments.consumer.free": {"share": 0.6, "conversion": 0.1},
    "users.segments.developer.free": {"share": 0.3, "conversion": 0.05},
    "users.foresight": {"weight": 0.6, "horizon": 12.0},
    "users.difficulty": {"ceiling": 12.0, "thinking": 0.4},
    "technology.learning": 0.3,
    "technology.ageing": 0.3,
    "technology.spillover": 1.0,
    "technology.open_weights_lag": 2,
    "hardware.supply": 60000.0,  # scarce
    "hardware.lead_time": 2,
    "hardware.new_site_lead_time": 4,
    "hardware.headroom": 0.2,
    "entry.interval": 2,
    "entry.required_return": 0.08,
    "providers.zeta.active": False,
    "providers.zoe.active": False,
    "providers.zoe.offers": {},
    "providers.zeta.pricing.markup": 0.1,
    "hardware.hosting": 900.0,
    "finance.equity.interval": 2.0,
    "finance.equity.trigger": 40.0,
    "finance.equity.round": 60.0,
    "providers.eta.cash": 1.6e10,
    "providers.eta.overhead": 2e9,  # burns cash, so its patience ends
    "providers.eta.pricing.runway": 24,
    "providers.epsilon.cash": 1e6,  # cannot last
    "providers.epsilon.overhead": 3e9,
}


def renumbered(config: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Values at dotted keys; a documented number keeps its unit, by which amounts of money are known."""
    units = documented(config)
    return changed(config, {f"{key}.value" if key in units else key: value for key, value in values.items()})


def everything(*overrides: str, **values: Any) -> dict[str, Any]:
    """A configuration in which every mechanism is on and something of each happens within ten steps."""
    config = composed("roster=oligopoly", *FIRMS, *RULES, *SMALL, *overrides)
    periods = {f"providers.{name}.training.period": 3 for name in ("alpha", "beta", "eta")}
    config = renumbered(config, VALUES | periods)
    config["policy"] = {
        **option("policy", "none"),
        **{name: option("policy", file)[name] for file, name in POLICIES.items()},
        "start": 3,
        "export_limit": ["asia"],
        "open_weights_release": True,
        "merger": {"acquirer": "eta", "target": "delta"},
        "break_up": {"provider": "beta", "offers": ["small"], "into": "zoe"},
    }
    config["policy"]["price_cap"]["value"] = 1.5
    config["shock"] = {
        **option("shock", "gpu_shortage"), "demand": option("shock", "demand_surge")["demand"], "start": 4, "months": 3,
    }  # fmt: skip
    return renumbered(config, {key.replace("__", "."): value for key, value in values.items()})


POLICIES = {
    "portability": "portability",
    "multihoming": "multihoming",
    "windfall_tax": "tax_rate",
    "price_cap": "price_cap",
    "compute_subsidy": "compute_subsidy",
}
