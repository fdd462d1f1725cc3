"""What the client answers about audits and erasures."""

from __future__ import annotations

from handrail.client.views import Document, Moment
from handrail.evidence import AuditEntry


class AuditReport(Document):
    """The audit of one agent from `since` until before `until`. `head`: the last entry's hash."""

    agent: str
    since: Moment
    until: Moment
    head: str
    entries: tuple[AuditEntry, ...]
    sealed: bool = False


class AuditCheck(Document):
    """What a check of an audit found. It is sound where there are no `faults`.

    `sealed`: by whom its head was put into Temporal; None where it was not. `unseen`: cases of
    which Temporal keeps no history any more, so that only the chain and signatures speak for them.
    `erased`: entries whose content was erased; of these only the chain speaks.
    """

    agent: str
    since: Moment
    until: Moment
    head: str
    entries: int
    cases: int
    sealed: str | None
    faults: tuple[str, ...]
    unseen: tuple[str, ...]
    erased: int = 0


class ErasedCase(Document):
    """What was erased of a case: rows that audits name, and how many runs Temporal knew."""

    case: str
    rows: int
    histories: int
    at: Moment
