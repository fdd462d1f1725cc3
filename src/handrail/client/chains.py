"""Chains of hand-offs: who handed work to whom, as the server knows it without a worker."""

from __future__ import annotations

import itertools

from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import describe_execution, handed_from, handed_to
from handrail.client.cases import CaseActs, case_summary
from handrail.client.gates import existing_case
from handrail.client.views import CaseChain, ChainedCase

MOST = 200
"""Cases of one chain that are looked at."""


class ChainActs(CaseActs):
    """Looking at what cases handed to each other."""

    async def chain(self, case: str) -> CaseChain:
        """The cases that a case comes from, and all that they handed on, the first one first.

        Raises:
            CaseError: if there is none of that id.
        """
        client = await self.temporal()
        found = await existing_case(client, case)
        line = (*(await handed_from(found)).chain, case)
        known, after = {case: found}, dict(itertools.pairwise(line))
        waiting: list[tuple[str, str | None, int]] = [(line[0], None, 0)]
        cases = list[ChainedCase]()
        while waiting and len(cases) < MOST:
            name, parent, depth = waiting.pop(0)
            try:
                each = known.get(name) or await describe_execution(client, name)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                each = None
            cases.append(
                ChainedCase(
                    case=name,
                    agent=name.partition(":")[0],
                    state=None if each is None else case_summary(each).state,
                    parent=parent,
                    depth=depth,
                )
            )
            seen = {shown.case for shown in cases} | {later for later, _, _ in waiting}
            handed = () if each is None else await handed_to(each)
            children = dict.fromkeys([*filter(None, [after.get(name)]), *handed])
            # Depth first, as people read it.
            waiting[:0] = [(child, name, depth + 1) for child in children if child not in seen]
        return CaseChain(cases=tuple(cases))
