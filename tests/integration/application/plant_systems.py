"""The plant's outside systems, at work."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from handrail.testing import free_ports
from tests.integration.application.systems import started
from world.maintenance.stores import Stores


def plant_at_work(stack: ExitStack, home: Path, environ: pytest.MonkeyPatch) -> Stores:
    """The plant, its stores and its calendar, where the agents look; the books of the stores."""
    db = home / "stores.db"
    plant = started(stack, "maintenance.service", "--db", str(home / "plant.db"), "--port", "0")
    store = started(stack, "maintenance.stores", "--db", str(db), "--port", "0")
    place = ("--dir", str(home / "cal"), "--port", str(free_ports()[0]))
    calendar = started(stack, "maintenance.calendar_server", *place)
    collection = calendar.replace("//", "//plant:plant@") + "/plant/maintenance/"
    environ.setenv("MAINTENANCE_PLANT_URL", plant)
    environ.setenv("MAINTENANCE_STORES_URL", store)
    environ.setenv("MAINTENANCE_CALENDAR_URL", collection)
    environ.setenv("MAINTENANCE_MODEL", str(home / "model"))
    return Stores(db)
