"""What the roster and the policy must agree on: who starts, who waits, and whom a merger or a break-up names."""

from collections.abc import Iterable

from aimarket import settings as config


def check_roster(settings: config.Settings) -> None:
    """Names must exist, and somebody has to be in business.

    raises : ValueError naming the key
    """
    providers, policy = settings.providers, settings.policy
    if not any(p.active for p in providers.values()):
        raise ValueError("providers: at least one must be active from the start (got none)")
    for name, p in providers.items():
        if p.active and not p.offers:
            raise ValueError(f"providers.{name}.offers: at least one is needed (got none)")
    if policy.merger:
        _known(policy.merger.acquirer, providers, "policy.merger.acquirer")
        others = [name for name in providers if name != policy.merger.acquirer]
        _known(policy.merger.target, others, "policy.merger.target")
    if policy.break_up:
        _known(policy.break_up.provider, providers, "policy.break_up.provider")
        _known(policy.break_up.into, [n for n, p in providers.items() if not p.active], "policy.break_up.into")
        own = providers[policy.break_up.provider].offers
        for offer in policy.break_up.offers:
            _known(offer, own, "policy.break_up.offers")
        if not 0 < len(set(policy.break_up.offers)) < len(own):
            got = ", ".join(policy.break_up.offers) or "none"
            raise ValueError(
                f"policy.break_up.offers: some and not all are needed (got {got}); allowed: {', '.join(own)}"
            )


def _known(name: str, allowed: Iterable[str], key: str) -> None:
    names = list(allowed)
    if name not in names:
        raise ValueError(f"{key}: unknown (got {name!r}); allowed: {', '.join(names) or 'nothing'}")
