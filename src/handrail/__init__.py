"""Handrail gives AI agents write access that a business can trust.

An agent is a Temporal workflow whose steps (read, decide, write, notify) are retried and
resumed across crashes. Every write goes through one door, where guardrails let it pass,
hold it for a human, or refuse it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handrail.actions import (
        Action,
        Decision,
        Effect,
        Event,
        NoEvidence,
        Outcome,
        Receipt,
        Usage,
    )
    from handrail.agent import (
        AgentWorkflow,
        HandsTo,
        PlannedCall,
        Prompt,
        ToolPlan,
        decide,
        notify,
        outcome,
        read,
        secret,
        spent,
        write,
    )
    from handrail.exceptions import (
        CaseError,
        ConfigurationError,
        Expired,
        Failed,
        Final,
        HandrailError,
        InDoubt,
        LedgerUnavailable,
        NotDone,
        NotTaken,
        NotWritten,
        PolicyError,
        Refused,
        Rejected,
        ServerUnavailable,
        StepError,
    )
    from handrail.guardrails import check, current_effect
    from handrail.ledger import Ledger
    from handrail.marks import Classified, FreeText, From, Personal, Request, Untrusted
    from handrail.oversight import GateView, Keyring, Trust
    from handrail.runtime import Agent, Fleet, Form, Schedule, System
    from handrail.states import State

__all__ = [
    "Action",
    "Agent",
    "AgentWorkflow",
    "CaseError",
    "Classified",
    "ConfigurationError",
    "Decision",
    "Effect",
    "Event",
    "Expired",
    "Failed",
    "Final",
    "Fleet",
    "Form",
    "FreeText",
    "From",
    "GateView",
    "HandrailError",
    "HandsTo",
    "InDoubt",
    "Keyring",
    "Ledger",
    "LedgerUnavailable",
    "NoEvidence",
    "NotDone",
    "NotTaken",
    "NotWritten",
    "Outcome",
    "Personal",
    "PlannedCall",
    "PolicyError",
    "Prompt",
    "Receipt",
    "Refused",
    "Rejected",
    "Request",
    "Schedule",
    "ServerUnavailable",
    "State",
    "StepError",
    "System",
    "ToolPlan",
    "Trust",
    "Untrusted",
    "Usage",
    "check",
    "current_effect",
    "decide",
    "notify",
    "outcome",
    "read",
    "secret",
    "spent",
    "write",
]

if not TYPE_CHECKING:  # type checkers take the imports above, and know no other name
    _HOMES = {
        "actions": "Action Decision Effect Event NoEvidence Outcome Receipt Usage",
        "agent": (
            "AgentWorkflow HandsTo PlannedCall Prompt ToolPlan decide notify outcome read secret "
            "spent write"
        ),
        "exceptions": (
            "CaseError ConfigurationError Expired Failed Final HandrailError InDoubt "
            "LedgerUnavailable NotDone NotTaken NotWritten PolicyError Refused Rejected "
            "ServerUnavailable StepError"
        ),
        "guardrails": "check current_effect",
        "ledger": "Ledger",
        "marks": "Classified FreeText From Personal Request Untrusted",
        "oversight": "GateView Keyring Trust",
        "runtime": "Agent Fleet Form Schedule System",
        "states": "State",
    }

    def __getattr__(name: str) -> Any:
        """Import a name when it is first used: all of them cost a second, `--help` needs none."""
        home = next((home for home, names in _HOMES.items() if name in names.split()), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"handrail.{home}"), name)
        globals()[name] = found
        return found
