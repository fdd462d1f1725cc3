"""Scripted people, who rule on what they were shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handrail.actions import DIGEST_PREFIX, Ruling, RulingRecord
from handrail.oversight import sign_ruling

if TYPE_CHECKING:
    from handrail.oversight import GateView, SigningKey
    from handrail.testing.stage import CaseHandle


@dataclass(frozen=True)
class Human:
    """Somebody with an address, who rules on gates.

    A human looks first, and rules on what they saw: the ruling carries the gate and the
    digest that were shown. Without `seen` they look now, and wait for a gate to open.

    - slow, or late: `seen = await case.gate()`, let time pass, then rule on `seen`;
    - double: rule twice on the same `seen`;
    - forged: give any field of the ruling as it should not be, such as `digest="0" * 12`
      or `by="boss@example.com"`.

    With a `key` each ruling is signed as it goes out, so that it can be proven.

    Every verb returns the record that the case keeps of the ruling, accepted or not.
    """

    address: str
    key: SigningKey | None = None

    async def approve(
        self, case: CaseHandle, seen: GateView | None = None, **forged: Any
    ) -> RulingRecord:
        """Let the write happen."""
        return await self._rule("approve", case, seen, forged)

    async def reject(
        self, case: CaseHandle, seen: GateView | None = None, **forged: Any
    ) -> RulingRecord:
        """Do not let the write happen."""
        return await self._rule("reject", case, seen, forged)

    async def amend(
        self, case: CaseHandle, changes: dict[str, Any], seen: GateView | None = None, **forged: Any
    ) -> RulingRecord:
        """Do what was shown with these fields changed."""
        seen = seen or await case.gate()
        return await self._rule("amend", case, seen, {"action": seen.action | changes} | forged)

    async def answer(
        self,
        case: CaseHandle,
        answer: str | None = None,
        seen: GateView | None = None,
        **forged: Any,
    ) -> RulingRecord:
        """Say what became of a write in doubt: `happened`, `do it` or `drop`.

        `result=` is what it returned, if it happened; or, without `answer`, the typed answer
        that an agent asked for. `question=` is the question of an approver that it answers.
        """
        return await self._rule("answer", case, seen, {"answer": answer} | forged)

    async def ask(
        self, case: CaseHandle, question: str, to: str, seen: GateView | None = None, **forged: Any
    ) -> RulingRecord:
        """Ask the agent (`to` agent) or a colleague something."""
        return await self._rule("ask", case, seen, {"why": question, "to": to} | forged)

    async def delegate(
        self, case: CaseHandle, to: str, seen: GateView | None = None, **forged: Any
    ) -> RulingRecord:
        """Let somebody else rule."""
        return await self._rule("delegate", case, seen, {"to": to} | forged)

    async def revoke(
        self, case: CaseHandle, seen: GateView | None = None, **forged: Any
    ) -> RulingRecord:
        """Take back what was given, as long as it is not used."""
        return await self._rule("revoke", case, seen, forged)

    def signed(self, verb: str, case: str, ruling: dict[str, Any]) -> dict[str, Any]:
        """The JSON of a ruling with its proof; as it is without a key."""
        if self.key is None:
            return ruling
        now = datetime.now(UTC)
        return sign_ruling(Ruling.model_validate(ruling), verb, case, self.key, now).model_dump(
            mode="json", exclude_defaults=True
        )

    def ruling(self, seen: GateView, **forged: Any) -> dict[str, Any]:
        """The JSON that this human sends about what they saw."""
        digest = seen.digest if self.key else seen.digest[:DIGEST_PREFIX]
        ruling = {"gate": seen.gate, "digest": digest, "by": self.address}
        return ruling | forged

    async def _rule(
        self, verb: str, case: CaseHandle, seen: GateView | None, forged: dict[str, Any]
    ) -> RulingRecord:
        seen = seen or await case.gate()
        before = len((await case.view()).rulings)
        await case.send(verb, self.signed(verb, case.id, self.ruling(seen, **forged)))
        # The server hands a query to the worker together with the signals before it.
        after = await case.until(lambda view: len(view.rulings) > before)
        return after.rulings[before]
