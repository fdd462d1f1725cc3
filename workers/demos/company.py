"""All demonstrations at once, on one server: what a company's fleet looks like."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from activities.maintenance_systems import where
from handrail.cli.output import Output
from workers.demos import (
    inspection,
    invoices,
    leads,
    maintenance,
    onboarding,
    reconciliation,
    routes,
    sales,
    shipments,
    support,
)
from workers.show import show

_DEMOS = (shipments, support, invoices, onboarding, maintenance, inspection, routes, leads, sales)


async def demo(out: Output, *, once: bool) -> int:
    """Play all agents, who hand work to each other; with `once` until nothing moves."""
    os.environ.setdefault("SUPPORT_REFUNDS_BY", "refunds")
    os.environ.setdefault("MAINTENANCE_SPARES_BY", "routes")
    os.environ.setdefault("MAINTENANCE_DISPATCH_URL", routes.url())
    # One calendar server has the plant's windows and the sellers' tasks.
    calendar = urlsplit(where("CALENDAR"))
    sales_at = f"http://sales:sales@{calendar.hostname}:{calendar.port}/sales/"
    os.environ.setdefault("SALES_CALENDAR_URL", sales_at)
    shown = (each.shown() for each in _DEMOS)
    books = reconciliation.shown()
    return await show(out, *shown, *books, once=once, fleet="workers.fleets.company:fleet")
