"""All agents of this repository as one fleet, as a company would run them."""

from handrail import Fleet
from workers import fleet as freight
from workers.fleets import invoices, maintenance, onboarding, refunds, routes
from workers.fleets.inspection import inspection
from workers.fleets.support import support

_OTHERS = (freight, invoices, refunds, onboarding, maintenance, routes)

fleet = Fleet(
    support(elsewhere=False),
    inspection,
    *(agent for each in _OTHERS for agent in each.fleet.agents.values()),
)
