"""The fleet of the plant's tests, which workers of their own load too."""

from __future__ import annotations

from handrail import Fleet
from workers.fleets import maintenance, routes


def plant_fleet() -> Fleet:
    """Maintenance, the stores, and the vans that bring spares."""
    plant = (maintenance.maintenance(elsewhere=False), maintenance.stores)
    return Fleet(*plant, *routes.fleet.agents.values())
