"""A home of its own for a demonstration: on ports that nobody has, beside whatever else runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from handrail.testing import free_ports

_URLS: Mapping[str, str] = {
    "SHIPMENTS_BOOKINGS_URL": "http://127.0.0.1:{}",
    "SHIPMENTS_SMTP": "127.0.0.1:{}",
    "SUPPORT_SHOP_URL": "http://127.0.0.1:{}",
    "SUPPORT_DESK_URL": "http://127.0.0.1:{}",
    "SUPPORT_SMTP": "127.0.0.1:{}",
    "INVOICES_PAYABLES_URL": "http://127.0.0.1:{}",
    "MAINTENANCE_PLANT_URL": "http://127.0.0.1:{}",
    "MAINTENANCE_CALENDAR_URL": "http://plant:plant@127.0.0.1:{}/plant/maintenance/",
    "MAINTENANCE_STORES_URL": "http://127.0.0.1:{}",
    "INSPECTION_LINES_URL": "http://127.0.0.1:{}",
    "ROUTES_DISPATCH_URL": "http://127.0.0.1:{}",
    "LEADS_URL": "http://127.0.0.1:{}",
    "TRYTON_URL": "http://127.0.0.1:{}",
    "RECONCILIATION_BOOKS_URL": "http://127.0.0.1:{}",
    "NIGHTLY_SMTP": "127.0.0.1:{}",
    "SALES_SMTP": "127.0.0.1:{}",
    "ALERTS_URL": "http://127.0.0.1:{}",
    "HANDRAIL_TEMPORAL_PORT": "{}",
    "HANDRAIL_UI_PORT": "{}",
    "HANDRAIL_INBOX_PORT": "{}",
}


def environ(home: Path) -> dict[str, str]:
    """The environment of a demonstration in a home, on ports that nobody has."""
    given = {name: url.format(free_ports()[0]) for name, url in _URLS.items()}
    return given | {"HANDRAIL_HOME": str(home)}
