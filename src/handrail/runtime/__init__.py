"""Runtime: the processes: fleet, worker, settings, embedded Temporal server, logs, telemetry."""

from handrail.runtime.agent_faults import sandbox_faults
from handrail.runtime.builds import worker_build
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
from handrail.runtime.engine_thread import run
from handrail.runtime.fleet import (
    GRACE,
    STICKY,
    Agent,
    Fleet,
)
from handrail.runtime.interceptors import ContextFreeSandbox
from handrail.runtime.logging import Lines, configure_logging, core_logs, mask_with
from handrail.runtime.operator import key_of, operator, plugin
from handrail.runtime.payload_codec import ClaimCheck
from handrail.runtime.rebuild import RebuiltRecords, rebuild_records, recorded
from handrail.runtime.replays import ReplayedCase
from handrail.runtime.schedules import Form, Schedule, Trigger, keep_in_step
from handrail.runtime.settings import (
    SEARCH_ATTRIBUTES,
    Settings,
    connect,
    register_search_attributes,
)
from handrail.runtime.smtp import SmtpServer, mail_address
from handrail.runtime.temporal_server import EmbeddedServer, find_binary, prepare_directory
from handrail.runtime.tokens import ApiToken, TokenFile
from handrail.runtime.worker import (
    UnreplayableCases,
    contract_faults,
    open_ledger,
    serve_fleet,
    stop_on_signals,
    temporal_runtime,
)

__all__ = [
    "GRACE",
    "INBOX_READY",
    "READY",
    "SEARCH_ATTRIBUTES",
    "STICKY",
    "UNFIT",
    "Agent",
    "ApiToken",
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
    "core_logs",
    "find_binary",
    "inbox_url",
    "keep_in_step",
    "key_of",
    "mail_address",
    "mask_with",
    "open_ledger",
    "operator",
    "plugin",
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
