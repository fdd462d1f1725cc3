"""Acts of people that must end the same wherever they are done, as data.

The client runs them in `tests/integration/client`; the command line, the inbox and Slack must
answer each alike. `says` is part of what whoever acts is told; empty where it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ANA, BO, CY, DEE, EVE, BOSS = (
    f"{name}@example.com" for name in ("ana", "bo", "cy", "dee", "eve", "boss")
)
"""Ana and Bo are leads, Dee is their deputy, Cy is of operations, Eve is nobody."""

EXPIRED, REVOKED, KEYLESS = (f"{name}@example.com" for name in ("ex", "rex", "kim"))
"""Three more leads: a key that has expired, one that was revoked, none at all."""

POLICY: dict[str, Any] = {
    "agent": "refunds",
    "version": 1,
    "owner": BOSS,
    "proof": "required",
    "drafter": "may not approve",
    "actions": {
        "refund": {
            "autonomy": "full",
            "hold": [{"when": "action.amount > 50", "why": "more than 50 EUR", "for": "lead"}],
        }
    },
    "roles": {
        "lead": {
            "people": [ANA, BO, EXPIRED, REVOKED, KEYLESS],
            "deputies": [DEE],
            "deadline": {"after": "8h", "then": "escalate", "to": "operations"},
        },
        "operations": {"people": [CY], "deadline": {"after": "24h", "then": "refuse"}},
    },
}


@dataclass(frozen=True)
class Situation:
    """One act on a gate, as `who`. The amount asked about is 84.00, the step can be undone.

    `fields`: what is said with it. `requester`: who asked for the case. `shows`: what the case
    shows otherwise. `via`: how they came. `before`: an act of somebody else before it.
    """

    name: str
    act: str
    who: str = ANA
    says: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    requester: str | None = None
    shows: Mapping[str, Any] = field(default_factory=dict[str, Any])
    via: str = ""
    before: Situation | None = None


_COVERED: dict[str, Any] = {"up_to": {"amount": "100"}, "uses": 5, "hours": 8}
_NOT_ASKED = "is not among the people of any role asked"

RULINGS = (
    Situation("who may approves", "approve"),
    Situation("who may rejects", "reject", fields={"why": "too much"}),
    Situation("somebody else's own request", "approve", BO, requester=ANA),
    Situation("their own request", "approve", says="may not approve", requester=ANA),
    Situation("of another role", "approve", CY, "holds none of the roles asked"),
    Situation("of no role", "approve", EVE, "holds none of the roles asked"),
    Situation("no reason to reject", "reject", says="say why"),
    Situation("a reason of blanks", "reject", says="say why", fields={"why": "  "}),
    Situation("no question", "ask", says="write your question", fields={"to": "agent"}),
    Situation("asked of nobody", "ask", says="say whom", fields={"question": "why?"}),
    Situation("delegated to nobody", "delegate", says="say whom"),
    Situation("another action", "approve", says="another action", fields={"digest": "0" * 12}),
    Situation("too little of it", "approve", says="first 12 digits", fields={"digest": "0"}),
    Situation("no key", "approve", KEYLESS, f"holds no key of {KEYLESS}"),
    Situation("an expired key", "approve", EXPIRED, "has expired"),
    Situation("a revoked key", "approve", REVOKED, "was revoked"),
    Situation("nothing amended", "amend", says="changes nothing", fields={"parcels": 2}),
    Situation("no such field", "amend", says="did you mean amount?", fields={"amonut": "1.00"}),
    Situation("not a write in doubt", "answer", says="does not take", fields={"answer": "drop"}),
    Situation("nothing to revoke", "revoke", says="nothing that could be revoked"),
    Situation(
        "a closed gate",
        "approve",
        BO,
        "has closed",
        before=Situation("closes it", "reject", fields={"why": "no"}),
    ),
)

ALLOWED = (
    Situation("covered", "allow", fields=_COVERED),
    Situation(
        "its own action is not covered",
        "allow",
        says="would not be covered: amount",
        fields=_COVERED | {"up_to": {"amount": "50"}},
    ),
    Situation("unknown risk", "allow", says="not known to be", fields=_COVERED, shows={"risk": ""}),
    Situation(
        "irreversible",
        "allow",
        says="cannot be undone",
        fields=_COVERED,
        shows={"risk": "irreversible"},
    ),
    Situation(
        "such as their own request",
        "allow",
        says="may not approve it, so not such as this",
        fields=_COVERED,
        requester=ANA,
    ),
    Situation("allowed by the next role", "allow", CY, fields=_COVERED),
    Situation("allowed by no role", "allow", EVE, _NOT_ASKED, _COVERED),
    Situation(
        "nothing is bound", "allow", says="at least one field", fields=_COVERED | {"up_to": {}}
    ),
    Situation(
        "no such field is bound",
        "allow",
        says="has no field much",
        fields=_COVERED | {"up_to": {"much": "1"}},
    ),
    Situation("no use", "allow", says="uses", fields=_COVERED | {"uses": 0}),
    Situation("too many uses", "allow", says="uses", fields=_COVERED | {"uses": 1_001}),
    Situation("too long", "allow", says="31 days at most", fields=_COVERED | {"hours": 32 * 24}),
    Situation(
        "over before it begins", "allow", says="a time to come", fields=_COVERED | {"hours": -1}
    ),
    Situation("by a link in a mail", "allow", says="sign in", fields=_COVERED, via="mail"),
    Situation("allowed without a key", "allow", KEYLESS, f"holds no key of {KEYLESS}", _COVERED),
    Situation(
        "not a write",
        "allow",
        says="only what a gate asks to be written",
        fields=_COVERED,
        shows={"kind": "undo_failed"},
    ),
)

SITUATIONS = (*RULINGS, *ALLOWED)
