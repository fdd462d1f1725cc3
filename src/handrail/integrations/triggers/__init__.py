"""Triggers: events by webhook, HTTP, file and mail, which start cases once each."""
