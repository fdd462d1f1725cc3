"""Data checks of the alerts agent: fresh looks at the desk and at what rings."""

from activities.alerts import look
from activities.alerts_facts import CloseIssue, OpenIssue
from handrail import check


@check
async def cause_has_no_issue(action: OpenIssue) -> str | None:
    """A cause has one issue."""
    had = (await look(action.site, action.cause)).issue
    return f"{action.cause} has an issue already" if had else None


@check
async def nothing_rings(action: CloseIssue) -> str | None:
    """No issue is closed while an alarm of it rings."""
    now = await look(action.site, action.cause)
    if not now.issue:
        return f"{action.cause} has no issue"
    return f"{now.active} alarms of it ring again" if now.active else None
