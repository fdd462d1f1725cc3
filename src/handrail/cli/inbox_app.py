"""`handrail inbox`: what waits, as a list here or as a page for everybody."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.common import PLAIN, RULE, Common, do

inbox = App(name="inbox", group=RULE, help="Show what waits for a human, here or as a page.")


@inbox.default
def listing(
    *,
    role: Annotated[str | None, Parameter(help="What waits for this role only.")] = None,
    person: Annotated[str | None, Parameter(help="What this person may answer only.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the first to expire.")] = 20,
    common: Common = PLAIN,
) -> int:
    """Show what waits for a human: what would be done, why it is held, until when."""
    from handrail.cli import inbox as does  # noqa: PLC0415

    return do(common, lambda out: does.inbox(out, role=role, person=person, limit=limit))


@inbox.command
def serve(
    *,
    host: Annotated[str | None, Parameter(help="Listen there; HANDRAIL_INBOX_HOST.")] = None,
    port: Annotated[int | None, Parameter(help="On this port; HANDRAIL_INBOX_PORT.")] = None,
    common: Common = PLAIN,
) -> int:
    """Run the page where people rule, and tell them by message, until SIGTERM."""
    from handrail.cli import serving as does  # noqa: PLC0415

    return do(common, lambda out: does.serve(out, host=host, port=port))
