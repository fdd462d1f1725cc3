"""Triggers: events by webhook, HTTP, file and mail, which start cases once each.

What is declared beside an agent, in `Agent(triggers=[...])`. `handrail serve` runs it.
"""

from handrail.integrations.triggers.folder import Folder
from handrail.integrations.triggers.mail import IncomingMail, Mail
from handrail.integrations.triggers.source import RawEvent
from handrail.integrations.triggers.webhook import HmacHeader, Webhook

__all__ = ["Folder", "HmacHeader", "IncomingMail", "Mail", "RawEvent", "Webhook"]
