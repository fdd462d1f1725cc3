"""Proven rulings: the record for those who look later, and each one's single use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.actions import Ruling
from handrail.exceptions import HandrailError
from handrail.ledger.database import Database, Insert
from handrail.ledger.tables import rulings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class RulingRow:
    """One proven ruling. Make it with `RulingRow.of`.

    `text` is the ruling as JSON, with its proof: whoever has the public keys can prove it
    again. `at`: when it was signed. `digest`: of the action that its gate asked about, whole.
    `planted`: whether that action was a bad one, put there to see whether people look; None
    where nobody said. `effect`: the key of the write that used it.
    """

    jti: str
    case: str
    gate: str
    by: str
    stands_for: str | None
    verb: str
    kid: str
    via: str
    looked: float | None
    at: datetime
    digest: str
    agent: str
    step: str
    text: str
    effect: str | None = None
    planted: bool | None = None

    @classmethod
    def of(
        cls,
        ruling: Ruling,
        *,
        verb: str,
        case: str,
        step: str,
        digest: str,
        by: str,
        jti: str,
        kid: str,
        at: datetime,
        stands_for: str | None = None,
        planted: bool | None = None,
    ) -> RulingRow:
        """The row of a ruling that was found proven: `by`, `jti`, `kid`, `at` by its proof."""
        return cls(
            jti=jti,
            case=case,
            gate=ruling.gate,
            by=by,
            stands_for=stands_for,
            verb=verb,
            kid=kid,
            via=ruling.via,
            looked=ruling.looked,
            at=at,
            digest=digest,
            agent=case.partition(":")[0],
            step=step,
            text=ruling.model_dump_json(),
            planted=planted,
        )

    @property
    def ruling(self) -> Ruling:
        """The ruling as it was sent, with its proof.

        Raises:
            ValidationError: if it is none, because somebody altered the row.
        """
        return Ruling.model_validate_json(self.text)


class RulingUsed(HandrailError):  # says what happened, and is caught by the door
    """A ruling may be used once, for one write; nothing was recorded."""

    def __init__(self, jti: str, key: str | None) -> None:
        """Name the ruling, and the `key` of the write that used it; None: it is not recorded."""
        self.jti = jti
        self.key = key
        why = f"was used for {key}" if key else "is not in the ledger"
        super().__init__(f"the ruling {jti} {why}; ask again")


class Rulings(Database):
    """The rulings of a ledger."""

    async def record_rulings(self, rows: Iterable[RulingRow]) -> None:
        """Keep proven rulings. One that is there already stays as it is."""
        values = [_values(row) for row in rows]

        def transaction(connection: sa.Connection) -> None:
            for each in values:
                _insert(connection, each)

        if values:
            await self._run(transaction)

    async def use_rulings(self, jtis: Sequence[str], key: str) -> None:
        """Mark rulings as used under `key`, beside any intent: answers to a doubt.

        Raises:
            RulingUsed: if one was used under another key, or was never recorded.
        """
        await self._run(lambda connection: use(connection, jtis, key))

    async def rulings(
        self,
        *,
        since: datetime | None = None,
        by: str | None = None,
        case: str | None = None,
        limit: int | None = None,
    ) -> list[RulingRow]:
        """Proven rulings, the newest first. `by`: in the spelling of `gate.person`."""
        query = sa.select(rulings).order_by(rulings.c.at.desc(), rulings.c.jti).limit(limit)
        if since is not None:
            query = query.where(rulings.c.at >= since.timestamp())
        if by is not None:
            query = query.where(rulings.c.by == by)
        if case is not None:
            query = query.where(rulings.c.case_id == case)
        return await self._run(lambda c: [_row(found) for found in c.execute(query).mappings()])


def use(connection: sa.Connection, jtis: Sequence[str], key: str) -> None:
    """Mark rulings as used by the write `key`, in the transaction of its intent.

    Raises:
        RulingUsed: if another write has used one, or it was never recorded.
    """
    wanted = sorted(set(jtis))
    locked = connection.execute(_LOCK, {"b_jtis": wanted})
    users = {row.jti: row.effect for row in locked}
    for jti in wanted:
        if users.get(jti, "") not in {None, key}:
            raise RulingUsed(jti, users.get(jti))
    connection.execute(_MARK, {"b_jtis": wanted, "b_key": key})


_insert = Insert(rulings)
_wanted = rulings.c.jti.in_(sa.bindparam("b_jtis", expanding=True))
_LOCK = (
    sa.select(rulings.c.jti, rulings.c.effect)
    .where(_wanted)
    # In one order, so that two writes which bring the same ones cannot lock each other out.
    .order_by(rulings.c.jti)
    .with_for_update()
)
_MARK = (
    sa.update(rulings)
    .where(_wanted, rulings.c.effect.is_(None))
    .values(effect=sa.bindparam("b_key"))
)


def _values(row: RulingRow) -> dict[str, Any]:
    return {
        "jti": row.jti,
        "case_id": row.case,
        "gate": row.gate,
        "by": row.by,
        "stands_for": row.stands_for,
        "verb": row.verb,
        "kid": row.kid,
        "via": row.via,
        "looked": row.looked,
        "at": row.at.timestamp(),
        "digest": row.digest,
        "agent": row.agent,
        "step": row.step,
        "ruling": row.text,
        # Only a write's own transaction says that a ruling is used.
        "effect": None,
        "planted": row.planted,
    }


def _row(found: Any) -> RulingRow:
    return RulingRow(
        jti=found["jti"],
        case=found["case_id"],
        gate=found["gate"],
        by=found["by"],
        stands_for=found["stands_for"],
        verb=found["verb"],
        kid=found["kid"],
        via=found["via"],
        looked=found["looked"],
        at=datetime.fromtimestamp(found["at"], UTC),
        digest=found["digest"],
        agent=found["agent"],
        step=found["step"],
        text=found["ruling"],
        effect=found["effect"],
        planted=found["planted"],
    )
