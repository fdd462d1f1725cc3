"""What `handrail demo` plays when no agent is named: the shipments agent."""

from workers.demos.shipments import demo

__all__ = ["demo"]
