"""All agents of this repository as one fleet, as a company would run them."""

from handrail import Fleet
from workers import fleet as freight
from workers.fleets import (
    alerts,
    invoices,
    leads,
    onboarding,
    reconciliation,
    refunds,
    research,
    routes,
    sales,
)
from workers.fleets.inspection import inspection
from workers.fleets.maintenance import maintenance, stores
from workers.fleets.support import support

_OTHERS = (
    freight,
    invoices,
    refunds,
    onboarding,
    routes,
    leads,
    reconciliation,
    sales,
    alerts,
    research,
)

fleet = Fleet(
    support(elsewhere=False),
    inspection,
    maintenance(elsewhere=False),
    stores,
    *(agent for each in _OTHERS for agent in each.fleet.agents.values()),
)
