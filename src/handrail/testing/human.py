"""Scripted people, who rule on what they were shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handrail.actions import DIGEST_PREFIX, Ruled

if TYPE_CHECKING:
    from handrail.details import GateView
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

    Every verb returns the record that the case keeps of the ruling, accepted or not.
    """

    address: str

    async def approve(self, case: CaseHandle, seen: GateView | None = None, **forged: Any) -> Ruled:
        """Let the write happen."""
        return await self._rule("approve", case, seen, forged)

    async def reject(self, case: CaseHandle, seen: GateView | None = None, **forged: Any) -> Ruled:
        """Do not let the write happen."""
        return await self._rule("reject", case, seen, forged)

    async def amend(
        self, case: CaseHandle, changes: dict[str, Any], seen: GateView | None = None, **forged: Any
    ) -> Ruled:
        """Do what was shown with these fields changed."""
        seen = seen or await case.gate()
        return await self._rule("amend", case, seen, {"action": seen.action | changes} | forged)

    async def answer(
        self,
        case: CaseHandle,
        answer: str,
        seen: GateView | None = None,
        **forged: Any,
    ) -> Ruled:
        """Say what became of a write in doubt: `happened`, `do it` or `drop`.

        `result=` is what it returned, if it happened.
        """
        return await self._rule("answer", case, seen, {"answer": answer} | forged)

    def ruling(self, seen: GateView, **forged: Any) -> dict[str, Any]:
        """The JSON that this human sends about what they saw."""
        ruling = {"gate": seen.gate, "digest": seen.digest[:DIGEST_PREFIX], "by": self.address}
        return ruling | forged

    async def _rule(
        self, verb: str, case: CaseHandle, seen: GateView | None, forged: dict[str, Any]
    ) -> Ruled:
        seen = seen or await case.gate()
        before = len((await case.view()).rulings)
        await case.send(verb, self.ruling(seen, **forged))
        # The server hands a query to the worker together with the signals before it.
        after = await case.until(lambda view: len(view.rulings) > before)
        return after.rulings[before]
