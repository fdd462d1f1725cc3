"""Policies: every version of a policy file that was loaded, and which one is in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from handrail.exceptions import HandrailError
from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import policies as _policies


@dataclass(frozen=True)
class PolicyRow:
    """One version of a policy file: its text, and when it was loaded first and last."""

    agent: str
    version: int
    sha: str
    label: str
    text: str
    first: datetime
    loaded: datetime


class CutShort(HandrailError):
    """A policy file is but the beginning of the one in force: it was not written to its end."""

    def __init__(self, label: str, in_force: str) -> None:
        """Name what was loaded, and what is `in_force`."""
        super().__init__(
            f"the policy {label} breaks off: it is only the beginning of {in_force}, which is in "
            "force; nothing is written; fix: write the file to its end, or, if it shall end "
            "there, give it a higher version"
        )


class Policies(Database):
    """The policies of a ledger."""

    async def loaded(self, agent: str, version: int, sha: str, label: str, text: str) -> PolicyRow:
        """Say that a policy file was loaded. Returns the one that is in force then.

        Raises:
            CutShort: if it is but the beginning of the one in force; that stays in force. What
                breaks off between two lines may be a sound policy, with fewer rules.
        """
        now = datetime.now(UTC).timestamp()
        row = {"agent": agent, "version": version, "sha": sha, "label": label, "text": text}

        def transaction(connection: sa.Connection) -> PolicyRow:
            before = in_force(connection, agent)
            if before is not None and before.version == version and _begins(text, before.text):
                raise CutShort(label, before.label)
            if not _insert(connection, row | {"first": now, "loaded": now}):
                which = {"b_agent": agent, "b_sha": sha, "b_now": now}
                connection.execute(_LOADED, which)
            found = in_force(connection, agent)
            assert found is not None  # noqa: S101  # it was just inserted
            return found

        return await self._run(transaction)

    async def policies(self, agent: str) -> list[PolicyRow]:
        """Every version that was ever loaded, the one in force first."""
        query = {"b_agent": agent}
        return await self._run(
            lambda connection: [_row(r) for r in connection.execute(_ALL, query).mappings()]
        )


def in_force(connection: sa.Connection, agent: str) -> PolicyRow | None:
    """The policy in force: of the highest version, and of equal ones the last loaded.

    A file that changed without another version is in force when a worker has loaded it; a
    worker with an older version can never bring that back.
    """
    found = connection.execute(latest, {"b_agent": agent}).mappings().one_or_none()
    return None if found is None else _row(found)


def _begins(text: str, whole: str) -> bool:
    text, whole = text.rstrip(), whole.rstrip()
    return len(text) < len(whole) and whole.startswith(text)


def _row(found: Any) -> PolicyRow:
    return PolicyRow(
        agent=found["agent"],
        version=found["version"],
        sha=found["sha"],
        label=found["label"],
        text=found["text"],
        first=datetime.fromtimestamp(found["first"], UTC),
        loaded=datetime.fromtimestamp(found["loaded"], UTC),
    )


_insert = Insert(_policies)
_ALL = (
    sa.select(_policies)
    .where(_policies.c.agent == sa.bindparam("b_agent"))
    .order_by(_policies.c.version.desc(), _policies.c.loaded.desc(), _policies.c.sha)
)
latest = _ALL.limit(1)
"""The policy in force of the agent `b_agent`."""

_LOADED = (
    sa.update(_policies)
    .where(_policies.c.agent == sa.bindparam("b_agent"), _policies.c.sha == sa.bindparam("b_sha"))
    .values(loaded=sa.bindparam("b_now"))
)
