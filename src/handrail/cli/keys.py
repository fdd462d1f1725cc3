"""`handrail keys`: the private keys of this machine, and the public ones that are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError
from rich.text import Text

from handrail.actions import person as one_spelling
from handrail.cli.context import settings, text_of
from handrail.cli.output import PLAIN, Output, moment, plain
from handrail.exceptions import InvalidRequest
from handrail.oversight import Keyring, SigningKey, TrustedKey, private_keys
from handrail.text import first_fault

if TYPE_CHECKING:
    from handrail.runtime import Settings


Person = Annotated[str | None, Parameter(help="Whose key: an address, as the policy knows it.")]
Inbox = Annotated[
    bool, Parameter(negative=(), help="The inbox's key: it signs for whoever has signed in there.")
]
Kid = Annotated[str, Parameter(help="The key's name, or how it begins.")]


def new(
    *,
    person: Person = None,
    inbox: Inbox = False,
    trust: Annotated[
        bool, Parameter(negative=(), help="Add its public half to the keyring as well.")
    ] = False,
    out: Output = PLAIN,
) -> None:
    """Make a key. The private half is a file here that only you can read."""
    if inbox == (person is not None):
        raise InvalidRequest("say whose key it is: --person ana@example.com, or --inbox")
    given = settings()
    key, path = _made(given, person)
    trusted = trust and Keyring(given.keyring).trust(key.public())
    out.show(Text(f"made the key {key.kid} of {plain(key.owner)}", "green"))
    out.show(f"  private  {path} (keep it to yourself; it never goes to a worker)")
    if trusted:
        out.show(f"  public   added to {given.keyring}")
    else:
        out.show(
            f"  public   `handrail keys public {key.kid}`: send it to whoever keeps the keyring"
        )
    out.data(_document(key.public()) | {"private": str(path), "trusted": trusted})


def _made(given: Settings, person: str | None) -> tuple[SigningKey, Path]:
    key = SigningKey.new(person, datetime.now(UTC))
    path = given.key_dir / f"{key.kid}.json"
    key.save(path)
    return key, path


def listing(*, out: Output = PLAIN) -> None:
    """List the keys that are trusted, and those whose private half is here."""
    given, now = settings(), datetime.now(UTC)
    trusted = Keyring(given.keyring).current()
    here = {key.kid: (path, key) for path, key in private_keys(given.key_dir).items()}
    only_here = [key.public() for kid, (_, key) in here.items() if kid not in trusted]
    rows = [_row(key, trusted, here, now) for key in (*_ordered(trusted.values()), *only_here)]
    out.data({"keyring": str(given.keyring), "keys": rows})
    if not rows:
        out.show(f"no keys in {given.keyring}; fix: `handrail keys new --person YOU --trust`")
    for row in rows:
        out.show(_line(row))


def _ordered(keys: Iterable[TrustedKey]) -> list[TrustedKey]:
    return sorted(keys, key=lambda key: (key.person or "", key.made))


def _row(
    key: TrustedKey,
    trusted: Mapping[str, TrustedKey],
    here: Mapping[str, tuple[Path, SigningKey]],
    now: datetime,
) -> dict[str, Any]:
    state = _state(key, now) if key.kid in trusted else "not trusted"
    private = str(here[key.kid][0]) if key.kid in here else None
    return _document(key) | {"state": state, "private": private}


def _state(key: TrustedKey, now: datetime) -> str:
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.over(now) else "trusted"


_COLOURS = {"trusted": "green", "revoked": "red", "expired": "dim", "not trusted": "yellow"}


def _line(row: Mapping[str, Any]) -> Text:
    since = row.get("revoked") or row.get("expires")
    at = moment(datetime.fromisoformat(since)) if since else ""
    until = f"  {'since' if row['state'] != 'trusted' else 'until'} {at}" if since else ""
    why = f": {plain(row['why'])}" if row.get("why") else ""
    private = f"  private half: {row['private']}" if row["private"] else ""
    return Text.assemble(
        f"{row['kid']}  {plain(row.get('person') or 'the inbox'):<32} ",
        (f"{row['state']:<11}", _COLOURS[row["state"]]),
        f"{until}{why}{private}",
    )


def trust(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    person: Annotated[str | None, Parameter(help="Only if it is this person's.")] = None,
    inbox: Annotated[bool, Parameter(negative=(), help="It may sign for everybody.")] = False,
    out: Output = PLAIN,
) -> None:
    """Add a public key to the keyring: what it signs counts from then on.

    Parameters
    ----------
    file
        What `handrail keys public` printed for whoever made the key; - for stdin.
    """
    key = _public(file)
    if (key.kind == "inbox") != inbox:
        raise InvalidRequest(
            f"this is a key of {key.owner}; "
            + ("say --inbox if it may sign for everybody" if not inbox else "leave out --inbox")
        )
    if person is not None and key.person != one_spelling(person):
        raise InvalidRequest(f"this is a key of {key.owner}, not of {person}; nothing was trusted")
    given = settings()
    added = Keyring(given.keyring).trust(key)
    what = "trusted from now on" if added else "was trusted already"
    out.show(Text(f"the key {key.kid} of {plain(key.owner)}: {what}", "green"))
    if added:
        out.show("  have them read you these 16 digits by another way than the file came")
    out.data(_document(key) | {"added": added})


def _public(file: str) -> TrustedKey:
    text = text_of(file if file == "-" else f"@{file}")
    try:
        key = TrustedKey.model_validate_json(text)
    except ValidationError as error:
        fix = "have them send what `handrail keys public` prints"
        if '"d"' in text or '"private"' in text:
            fix = "it holds a private key, which nobody else may see: have them rotate it"
        raise InvalidRequest(f"{file} is no public key: {first_fault(error)}; fix: {fix}") from None
    # Whoever sends a key says nothing about how long it is trusted.
    return key.model_copy(update={"expires": None, "revoked": None, "why": ""})


def public(kid: Kid, *, out: Output = PLAIN) -> None:
    """Print the public half of a key as JSON, to be sent to whoever keeps the keyring."""
    del out
    given = settings()
    known = dict(Keyring(given.keyring).current())
    known |= {key.kid: key.public() for key in private_keys(given.key_dir).values()}
    # For people too: it is what they send.
    Output(json=True).data(_document(known[_kid(known, kid)]))


def revoke(
    kid: Kid,
    *,
    why: Annotated[str, Parameter(help="The reason, for the record and for whoever used it.")],
    out: Output = PLAIN,
) -> None:
    """Let nothing that a key signed count any more: it is lost, or its person has left."""
    keyring = Keyring(settings().keyring)
    key = keyring.revoke(_kid(keyring.current(), kid), datetime.now(UTC), why)
    out.show(Text(f"revoked the key {key.kid} of {plain(key.owner)}", "green"))
    out.show("  what it signed and is not written yet is asked again")
    out.data(_document(key))


def rotate(
    *,
    person: Person = None,
    inbox: Inbox = False,
    at: Annotated[
        datetime | None, Parameter(help="When the old key ends, such as 2026-12-01; now.")
    ] = None,
    why: Annotated[str, Parameter(help="The reason, for the record.")] = "rotated",
    out: Output = PLAIN,
) -> None:
    """Make a new key, trust it, and let the one before it expire; what that signed counts on."""
    if inbox == (person is not None):
        raise InvalidRequest("say whose key it is: --person ana@example.com, or --inbox")
    given, now = settings(), datetime.now(UTC)
    keyring = Keyring(given.keyring)
    owner = None if person is None else one_spelling(person)
    before = [k for k in keyring.current().values() if k.person == owner and not k.over(now)]
    if not before:
        raise InvalidRequest(
            f"{given.keyring} holds no key of {owner or 'the inbox'} that is in use; "
            "fix: `handrail keys new`, then `handrail keys trust` where the keyring is"
        )
    expires = _aware(at, now)
    key, path = _made(given, person)
    keyring.trust(key.public())
    expired = [keyring.expire(old.kid, expires, why) for old in before]
    out.show(Text(f"made the key {key.kid} of {plain(key.owner)}", "green"))
    out.show(f"  private  {path}")
    for old in expired:
        out.show(f"  {old.kid} signs nothing from {moment(expires)} on")
    _say_leftovers(out, given, expired)
    document = {"private": str(path), "expired": [_document(old) for old in expired]}
    out.data(_document(key.public()) | document)


def _aware(at: datetime | None, now: datetime) -> datetime:
    if at is None:
        return now
    at = at.astimezone(UTC)
    if at < now:
        raise InvalidRequest("--at must be a time to come; what was signed before it still counts")
    return at


def _say_leftovers(out: Output, given: Settings, expired: Iterable[TrustedKey]) -> None:
    old = {key.kid for key in expired}
    for path, key in private_keys(given.key_dir).items():
        if key.kid in old:
            out.say(f"delete {path} then: whoever finds it could date a ruling back")


def _kid(keys: Mapping[str, TrustedKey], named: str) -> str:
    """The whole name of a key of which the beginning was typed.

    Raises:
        InvalidRequest: if there is none, or several.
    """
    found = [kid for kid in keys if named and kid.startswith(named.lower())]
    if len(found) != 1:
        many = f"is the beginning of {len(found)} keys" if found else "is no key here"
        raise InvalidRequest(f"{named} {many}; `handrail keys list` shows them")
    return found[0]


def _document(key: TrustedKey) -> dict[str, Any]:
    """A public key for programs. Of a private one nothing is ever printed."""
    return key.model_dump(mode="json", exclude_none=True, exclude=None if key.why else {"why"})
