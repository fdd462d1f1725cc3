"""Triggers: events by webhook, HTTP and file, which start cases once each.

What is declared beside an agent, in `Agent(triggers=[...])`. `handrail serve` runs it.
"""

from handrail.integrations.triggers.folder import Folder
from handrail.integrations.triggers.webhook import HmacHeader, RawEvent, Webhook

__all__ = ["Folder", "HmacHeader", "RawEvent", "Webhook"]
