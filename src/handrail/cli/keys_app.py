"""`handrail keys`: its commands, options and help. What they do is in `cli/keys.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.common import LOOK, PLAIN, Common, do

keys = App(name="keys", group=LOOK, help="Make, trust, list, replace and revoke keys.")

Person = Annotated[str | None, Parameter(help="Whose key: an address, as the policy knows it.")]
Inbox = Annotated[
    bool, Parameter(negative=(), help="The inbox's key: it signs for whoever has signed in there.")
]
Kid = Annotated[str, Parameter(help="The key's name, or how it begins.")]


@keys.command
def new(
    *,
    person: Person = None,
    inbox: Inbox = False,
    trust: Annotated[
        bool, Parameter(negative=(), help="Add its public half to the keyring as well.")
    ] = False,
    common: Common = PLAIN,
) -> int:
    """Make a key. The private half is a file here that only you can read."""
    from handrail.cli import keys as does  # noqa: PLC0415

    return do(common, lambda out: does.new(out, person, inbox=inbox, trust=trust))


@keys.command(name="list")
def listing(*, common: Common = PLAIN) -> int:
    """List the keys that are trusted, and those whose private half is here."""
    from handrail.cli import keys as does  # noqa: PLC0415

    return do(common, does.listing)


@keys.command
def trust(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    person: Annotated[str | None, Parameter(help="Only if it is this person's.")] = None,
    inbox: Annotated[bool, Parameter(negative=(), help="It may sign for everybody.")] = False,
    common: Common = PLAIN,
) -> int:
    """Add a public key to the keyring: what it signs counts from then on.

    Parameters
    ----------
    file
        What `handrail keys public` printed for whoever made the key; - for stdin.
    """
    from handrail.cli import keys as does  # noqa: PLC0415

    return do(common, lambda out: does.trust(out, file, person, inbox=inbox))


@keys.command
def public(kid: Kid, *, common: Common = PLAIN) -> int:
    """Print the public half of a key as JSON, to be sent to whoever keeps the keyring."""
    from handrail.cli import keys as does  # noqa: PLC0415

    return do(common, lambda out: does.public(out, kid))


@keys.command
def revoke(
    kid: Kid,
    *,
    why: Annotated[str, Parameter(help="The reason, for the record and for whoever used it.")],
    common: Common = PLAIN,
) -> int:
    """Let nothing that a key signed count any more: it is lost, or its person has left."""
    from handrail.cli import keys as does  # noqa: PLC0415

    return do(common, lambda out: does.revoke(out, kid, why))


@keys.command
def rotate(
    *,
    person: Person = None,
    inbox: Inbox = False,
    at: Annotated[
        datetime | None, Parameter(help="When the old key ends, such as 2026-12-01; now.")
    ] = None,
    why: Annotated[str, Parameter(help="The reason, for the record.")] = "rotated",
    common: Common = PLAIN,
) -> int:
    """Make a new key, trust it, and let the one before it expire; what that signed counts on."""
    from handrail.cli import keys as does  # noqa: PLC0415

    return do(common, lambda out: does.rotate(out, person, inbox=inbox, at=at, why=why))
