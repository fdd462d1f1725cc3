"""Runtime: the processes: fleet, worker, settings, embedded Temporal server, logs, telemetry."""

from typing import TYPE_CHECKING

from handrail.faces import on_demand

if TYPE_CHECKING:
    from handrail.runtime.agent import Agent
    from handrail.runtime.agent_faults import import_faults, sandbox_faults
    from handrail.runtime.asking import converter, key_of
    from handrail.runtime.builds import worker_build
    from handrail.runtime.connection import (
        SEARCH_ATTRIBUTES,
        connect,
        register_search_attributes,
    )
    from handrail.runtime.dev import (
        INBOX_READY,
        READY,
        UNFIT,
        Child,
        ChildFailed,
        LocalProcesses,
        System,
        inbox_url,
        running_locally,
    )
    from handrail.runtime.fleet import GRACE, STICKY, Fleet
    from handrail.runtime.logging import Lines, configure_logging, mask_with
    from handrail.runtime.operators import operator
    from handrail.runtime.payload_codec import ClaimCheck
    from handrail.runtime.process import core_logs, run
    from handrail.runtime.rebuild import RebuiltRecords, rebuild_records, recorded
    from handrail.runtime.replays import ReplayedCase
    from handrail.runtime.sandbox import ContextFreeSandbox
    from handrail.runtime.schedules import keep_in_step
    from handrail.runtime.settings import Settings
    from handrail.runtime.slots import BoundedSlots
    from handrail.runtime.smtp import SmtpServer, mail_address
    from handrail.runtime.temporal_server import EmbeddedServer, find_binary, prepare_directory
    from handrail.runtime.tokens import ApiToken, TokenFile
    from handrail.runtime.triggers import Form, Schedule, Trigger
    from handrail.runtime.worker import (
        UnreplayableCases,
        contract_faults,
        open_ledger,
        serve_fleet,
        stop_on_signals,
        temporal_runtime,
    )
else:
    __getattr__ = on_demand(__name__)

__all__ = [
    "GRACE",
    "INBOX_READY",
    "READY",
    "SEARCH_ATTRIBUTES",
    "STICKY",
    "UNFIT",
    "Agent",
    "ApiToken",
    "BoundedSlots",
    "Child",
    "ChildFailed",
    "ClaimCheck",
    "ContextFreeSandbox",
    "EmbeddedServer",
    "Fleet",
    "Form",
    "Lines",
    "LocalProcesses",
    "RebuiltRecords",
    "ReplayedCase",
    "Schedule",
    "Settings",
    "SmtpServer",
    "System",
    "TokenFile",
    "Trigger",
    "UnreplayableCases",
    "configure_logging",
    "connect",
    "contract_faults",
    "converter",
    "core_logs",
    "find_binary",
    "import_faults",
    "inbox_url",
    "keep_in_step",
    "key_of",
    "mail_address",
    "mask_with",
    "open_ledger",
    "operator",
    "prepare_directory",
    "rebuild_records",
    "recorded",
    "register_search_attributes",
    "run",
    "running_locally",
    "sandbox_faults",
    "serve_fleet",
    "stop_on_signals",
    "temporal_runtime",
    "worker_build",
]
