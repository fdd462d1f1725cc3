"""Gates as people look at them before they rule: found by their ids, and seen as they are now."""

from __future__ import annotations

from typing import Any, cast

from handrail.client import gates
from handrail.client.base import OperatorBase
from handrail.client.gate_lists import GateFilter, GateList, counted
from handrail.client.permissions import Rights, rights
from handrail.exceptions import CaseError, NotFound
from handrail.oversight import CaseView, GateKind, GateView


class GateActs(OperatorBase):
    """Looking at gates."""

    async def gates(
        self, *, limit: int | None = None, offset: int = 0, **wanted: str | None
    ) -> GateList:
        """The open gates that a `GateFilter` of these fields finds, the first to expire first.

        Beside them how many there are of what, what their amounts come to, the cases whose gates
        cannot be read, and those that are paused in Temporal.

        Raises:
            ImpossibleName: if there can be no such role.
            InvalidRequest: if there is no such order.
        """
        chosen = GateFilter(**{name: each for name, each in wanted.items() if each is not None})
        found = await gates.waiting(await self.temporal(), chosen.role)
        mine = chosen.select(found.gates)
        page = tuple(mine[offset:][:limit])
        return found.model_copy(update={"gates": page, **counted(mine)})

    async def find(self, named: str) -> GateView:
        """The open gate of that id, of an id that begins so, or the only one of a case.

        Raises:
            CaseError: if there is none.
            NotFound: if there are several.
        """
        client = await self.temporal()
        if ":" in named:
            found = await gates.memo_gates(await gates.existing_case(client, named))
            lacking = f"{named} waits for nobody"
        else:
            begins = named.strip().lower()
            listed = (await gates.waiting(client)).gates if begins else ()
            found = [gate for gate in listed if gate.gate.startswith(begins)]
            lacking = f"no open gate {named}"
        if len(found) > 1:
            ids = ", ".join(f"{gate.gate} ({gate.case})" for gate in found[:5])
            raise NotFound(f"{named} is not one gate but {len(found)}: {ids}")
        if not found:
            raise CaseError(
                f"{lacking}: it may have been answered, or its time is over. "
                "`handrail inbox` lists what is open, `handrail show CASE` what became of one"
            )
        return found[0]

    async def gate(self, case: str, gate_id: str) -> GateView:
        """One open gate as its case sees it now, or as its memo has it without a worker.

        Raises:
            CaseError: if there is no such case, the gate is not open, or it shows what it is not.
        """
        client = await self.temporal()
        answered = await gates.query_case(client, case, "gates")
        if answered is None:
            views = await gates.gates_of(await gates.existing_case(client, case))
        else:
            views = gates.views_of(case, answered)
        found = next((each for each in views if each.gate == gate_id), None)
        if found is None:
            raise gates.closed(case, gate_id)
        return found

    async def case_gates(self, case: str) -> tuple[GateView, ...] | None:
        """The open gates of a case as it sees them now; None when no worker answers.

        Raises:
            CaseError: if there is no such case, or one shows what it is not.
        """
        answered = await gates.query_case(await self.temporal(), case, "gates")
        return None if answered is None else tuple(gates.views_of(case, answered))

    async def form(self, shown: GateView) -> dict[str, Any] | None:
        """The JSON Schema of what a gate takes: an amended action, an answer, a result.

        None where it takes nothing, or no worker answers.
        """
        if shown.kind in {GateKind.UNDO, GateKind.UNDECIDED, GateKind.READ}:
            return None
        answer = await gates.query_case(await self.temporal(), shown.case, "form", shown.gate)
        return cast("dict[str, Any]", answer) if isinstance(answer, dict) else None

    async def case_view(self, case: str) -> CaseView | None:
        """A case as it sees itself, with the gates that have closed.

        None when no worker answers, or what answers is no agent.

        Raises:
            CaseError: if there is no such case.
        """
        return await gates.case_view(await self.temporal(), case)

    def rights(self, shown: GateView) -> Rights:
        """What whoever acts may do at a gate, as far as it shows that."""
        return rights(shown, self._who())

    async def _as_shown(self, named: GateView | str, digest: str | None) -> tuple[GateView, bool]:
        """A gate as it is now, asking what was shown or named; and whether a worker answers."""
        client = await self.temporal()
        shown = await self.find(named) if isinstance(named, str) else named
        answered = await gates.fresh(client, shown)
        now = answered or await self.gate(shown.case, shown.gate)
        gates.require_digest(now, shown.digest)
        gates.require_digest(now, digest)
        return now, answered is not None
