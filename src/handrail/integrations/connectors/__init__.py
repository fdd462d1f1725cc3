"""Connectors: steps made of what an outside system says of itself.

    from handrail.integrations.connectors import SQL, OpenAPI

Each needs the libraries of its own extra, and is imported when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from handrail.exceptions import ConfigurationError

if TYPE_CHECKING:
    from handrail.integrations.connectors.chat import ChatMessage, SlackChat
    from handrail.integrations.connectors.files import Files, FileVersion
    from handrail.integrations.connectors.listings import TextLines
    from handrail.integrations.connectors.live import LiveMCP
    from handrail.integrations.connectors.mcp import MCP, list_tools
    from handrail.integrations.connectors.openapi import OpenAPI
    from handrail.integrations.connectors.outgoing import OutgoingWebhook
    from handrail.integrations.connectors.requests import HTTP
    from handrail.integrations.connectors.smtp import SMTP
    from handrail.integrations.connectors.sql import SQL

__all__ = [
    "HTTP",
    "MCP",
    "SMTP",
    "SQL",
    "ChatMessage",
    "FileVersion",
    "Files",
    "LiveMCP",
    "OpenAPI",
    "OutgoingWebhook",
    "SlackChat",
    "TextLines",
    "list_tools",
]

if not TYPE_CHECKING:  # type checkers take the imports above, and know no other name
    _HOMES = {
        "ChatMessage": ("chat", "http"),
        "SlackChat": ("chat", "http"),
        "FileVersion": ("files", "http"),
        "Files": ("files", "http"),
        "HTTP": ("requests", "http"),
        "MCP": ("mcp", "mcp"),
        "TextLines": ("listings", "mcp"),
        "LiveMCP": ("live", "mcp"),
        "OpenAPI": ("openapi", "http"),
        "OutgoingWebhook": ("outgoing", "http"),
        "SMTP": ("smtp", "messages"),
        "SQL": ("sql", "postgres"),
        "list_tools": ("mcp", "mcp"),
    }

    def __getattr__(name: str) -> Any:
        """Import a connector when it is first used, and say which extra it lacks."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home, extra = _HOMES[name]
        try:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("handrail"):
                raise
            raise ConfigurationError(
                f"{name} needs {error.name}; fix: pip install 'handrail[{extra}]'"
            ) from error
