"""Data checks of the leads agent: fresh looks at the CRM, right before a write."""

from activities.leads import code_of, namesakes
from activities.leads_facts import MendRecord, OpenLead
from activities.leads_quality import Record, clean_mail, likeliest
from handrail import check


@check
async def nobody_is_a_lead_twice(action: OpenLead) -> str | None:
    """Nobody in the CRM by now is surely the same person, but the lead itself."""
    lead = Record(code=code_of(action.mail), name=action.name, mail=action.mail, city=action.city)
    others = [each for each in await namesakes(action.name) if each.code != lead.code]
    kind, code = likeliest(lead, others)
    return f"{code} is the same person by now" if kind == "sure" else None


@check
async def mail_is_an_address(action: OpenLead) -> str | None:
    """No lead is opened under what is no mail address."""
    return None if clean_mail(action.mail) == action.mail else f"{action.mail!r} is no mail address"


@check
async def record_gets_better(action: MendRecord) -> str | None:
    """A mail address that is one is never taken away, and a name never changed."""
    was, now = action.was, action.now
    if (was.code, was.name) != (now.code, now.name):
        return "a mend changes mail address and city alone"
    return (
        "it would take away a good mail address" if clean_mail(was.mail) and not now.mail else None
    )
