"""All demonstrations at once, on one server: what a company's fleet looks like."""

from __future__ import annotations

import os

from handrail.cli.output import Output
from workers.demos import (
    inspection,
    invoices,
    leads,
    maintenance,
    onboarding,
    reconciliation,
    routes,
    shipments,
    support,
)
from workers.show import show

_DEMOS = (shipments, support, invoices, onboarding, maintenance, inspection, routes, leads)


async def demo(out: Output, *, once: bool) -> int:
    """Play all agents, who hand work to each other; with `once` until nothing moves."""
    os.environ.setdefault("SUPPORT_REFUNDS_BY", "refunds")
    os.environ.setdefault("MAINTENANCE_SPARES_BY", "routes")
    os.environ.setdefault("MAINTENANCE_DISPATCH_URL", routes.url())
    shown = (each.shown() for each in _DEMOS)
    books = reconciliation.shown()
    return await show(out, *shown, *books, once=once, fleet="workers.fleets.company:fleet")
