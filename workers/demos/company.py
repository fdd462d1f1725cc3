"""All demonstrations at once, on one server: what a company's fleet looks like."""

from __future__ import annotations

import os

from handrail.cli.output import Output
from workers.demos import invoices, maintenance, onboarding, routes, shipments, support
from workers.show import show

_DEMOS = (shipments, support, invoices, onboarding, maintenance, routes)


async def demo(out: Output, *, once: bool) -> int:
    """Play all agents, with refunds handed on to the books; with `once` until nothing moves."""
    os.environ.setdefault("SUPPORT_REFUNDS_BY", "refunds")
    shown = (each.shown() for each in _DEMOS)
    return await show(out, *shown, once=once, fleet="workers.fleets.company:fleet")
