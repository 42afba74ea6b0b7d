"""Prices that budgets and reports of costs rest on."""

from manage_api.domains.doctor.configuration import listed, served_models
from manage_api.domains.doctor.findings import Finding, ok, warning
from manage_api.domains.doctor.installation import Installation
from shared.periods import day_of
from shared.store.engine import Engine
from shared.store.prices import find_price

__all__ = ("check_prices",)


def check_prices(installation: Installation) -> Finding:
    """Report models whose cost nobody can say; that matters where somebody has a budget."""
    store, day = installation.store, day_of(installation.clock.now_ms())
    without = [
        f"{model} at {upstream.name}"
        for upstream in installation.snapshot.upstreams
        for model in served_models(upstream)
        if not find_price(store, upstream=upstream.name, host=upstream.host, model=model, day=day)
    ]
    if not without:
        return ok("prices", "Every model that is named has a price.")
    if not _has_budgets(store):
        return ok("prices", f"No price is known of {listed(without)}: reports show no cost of it.")
    return warning(
        "prices",
        f"No price is known of {listed(without)}: callers with a budget in money can't use it.",
        "Set one on the page Upstreams, under Prices.",
    )


def _has_budgets(store: Engine) -> bool:
    rows = store.read(
        """
        SELECT 1 FROM users WHERE quota_cost_micros IS NOT NULL
        UNION ALL SELECT 1 FROM virtual_keys WHERE quota_cost_micros IS NOT NULL LIMIT 1
        """
    )
    return bool(rows)
