"""Proof of who ruled: a signature over one ruling, on one gate of one case, by one person.

It is a compact JWS by Ed25519 (RFC 7515, 8037, 9864). Besides the case, the gate, the digest,
the verb and the person, it covers the ruling as a whole, so that no field of it can be
changed, left out or added. What may be in it is exactly what `sign_ruling` puts there: a header, a
claim or a spelling that `sign_ruling` does not use is refused, known to the standards or not.

That somebody signed does not mean that they may: that is the policy's to say.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model

from handrail.actions import Ruling, person
from handrail.exceptions import RequestError
from handrail.oversight.jwk import PublicJwk
from handrail.oversight.keys import SigningKey, TrustedKey
from handrail.oversight.signals import strict_json
from handrail.text import moment_in_words

ALGORITHM = "Ed25519"
"""The one algorithm there is (RFC 9864: what `EdDSA` was, with its curve said)."""

LASTS = timedelta(days=7)
"""How long a ruling is good for, unless whoever signs it says otherwise."""

LASTS_MOST = timedelta(days=31)
"""No ruling is good for longer, whatever it says: so long can an expired key do harm."""

SKEW = timedelta(seconds=60)
"""How far the clock of whoever signs may be ahead of the server's."""

BY_KEY = "key"
"""The channel of a ruling that a person signed with a key of their own."""

BY_NAME = "name"
"""The channel of a ruling by whoever only said who they are: the inbox signed it, for anybody."""

BY_INBOX = frozenset({"inbox", "mail", "slack", BY_NAME})
"""The channels of a ruling that the inbox signed for a person."""

MAX_PROOF = 8_000
"""Characters of the longest proof of a ruling."""

MAX_MANDATE = 64_000
"""Characters of the longest signed mandate."""

_RULING = "handrail-ruling+jwt"
_NO_JSON = "something in it cannot be written as JSON"
_LATEST = 1 << 33  # the year 2242: what is beyond is no time, and no datetime on some systems


class NotProven(RequestError):
    """A ruling, a mandate or an order is not proven. The message says why, for whoever sent it."""


@dataclass(frozen=True)
class VerifiedRuling:
    """Who ruled: `by` in the gate's spelling, under which single-use id, key and times."""

    by: str
    jti: str
    kid: str
    at: datetime
    until: datetime


class _Strict(BaseModel):
    """What was signed: each field of its own type, and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class _Header(_Strict):
    alg: Literal["Ed25519"]
    kid: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    typ: str


_Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Once = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
_Moment = Annotated[int, Field(ge=0, lt=_LATEST)]


class _Claims(_Strict):
    sub: str
    iat: _Moment
    jti: _Once


class _RulingClaims(_Claims):
    case: str
    gate: str
    digest: _Hex
    verb: str
    said: _Hex
    exp: _Moment


_C = TypeVar("_C", bound=_Strict)


def sign_ruling(
    ruling: Ruling,
    verb: str,
    case: str,
    key: SigningKey,
    now: datetime,
    *,
    lasts: timedelta = LASTS,
) -> Ruling:
    """The ruling with its proof. A personal key sets `via` to `key`, as nothing else is true.

    Raises:
        NotProven: if this key cannot prove this ruling: it is somebody else's, the digest is
            not the whole one, the channel is not the key's, or something in it is no JSON.
    """
    if key.kind == "person":
        ruling = ruling.model_copy(update={"via": BY_KEY})
    ruling = ruling.model_copy(update={"proof": None})
    iat = int(now.timestamp())
    claims = {
        "case": case,
        "gate": ruling.gate,
        "digest": ruling.digest,
        "verb": str(verb),
        "sub": ruling.by,
        "said": _said(ruling, verb, case),
        "iat": iat,
        "exp": iat + int(lasts.total_seconds()),
        "jti": uuid4().hex,
    }
    signed = ruling.model_copy(update={"proof": _signed(_RULING, claims, key)})
    # What does not prove itself here would not do so at the door, hours later.
    verify_ruling(signed, verb, case, {key.kid: key.public()}, now)
    return signed


def verify_ruling(
    ruling: Ruling,
    verb: str,
    case: str,
    keys: Mapping[str, TrustedKey],
    now: datetime,
    *,
    arriving: bool = False,
) -> VerifiedRuling:
    """Who made this ruling, with this verb, on this case, as `keys` have it at `now`.

    `arriving`: nobody has seen it before, so that a key which has expired meanwhile may have
    dated it back.

    Raises:
        NotProven: if nobody can be shown to have, with why in words.
    """
    if ruling.proof is None:
        raise NotProven("it is not signed; rule in the inbox, or by `handrail` with your key")
    key, claims = _opened(ruling.proof, _RULING, _RulingClaims, keys, MAX_PROOF)
    _require_times(key, claims.iat, now)
    if arriving and key.over(now):
        raise NotProven(f"its key {key.kid} has expired; rule again with the one in its place")
    if not claims.iat < claims.exp <= claims.iat + LASTS_MOST.total_seconds():
        raise NotProven(f"it must be good for {LASTS_MOST.days} days at most, and is not")
    if claims.exp <= now.timestamp():
        raise NotProven(f"it was good until {_words(claims.exp)} only; rule again")
    _require_same(ruling, verb, case, claims)
    _require_own(key, claims.sub, ruling.via)
    return VerifiedRuling(
        by=person(claims.sub),
        jti=claims.jti,
        kid=key.kid,
        at=_moment(claims.iat),
        until=_moment(claims.exp),
    )


@dataclass(frozen=True)
class StatementType:
    """A type of signed statement: its body is a claim of that `name`, in a JWS of its own type.

    The field `by` of the body names whose statement it is. `whose`: what it is called in a
    refusal; `again`: what whoever must state it anew is told. `outlives`: for how long it counts
    after the key that signed it has expired; for ever if None.
    """

    name: str
    whose: str
    again: str
    most: int = MAX_PROOF
    outlives: timedelta | None = None

    @property
    def typ(self) -> str:
        """The `typ` of its JWS: a promise, as ledgers keep what was signed."""
        return f"handrail-{self.name}+jwt"

    def sign(
        self, body: BaseModel, key: SigningKey, now: datetime, *, by_name: bool = False
    ) -> str:
        """The body, signed. `by_name`: for whoever only said who they are, which it then says.

        Raises:
            NotProven: if this key cannot sign it: it is somebody else's, or the body is no JSON.
        """
        payload: dict[str, Any] = body.model_dump(mode="json")
        about = {"sub": payload.get("by"), "iat": int(now.timestamp()), "jti": uuid4().hex}
        about |= {"how": BY_NAME} if by_name else {}
        text = _signed(self.typ, {self.name: payload, **about}, key)
        self.verify(text, {key.kid: key.public()}, now)
        return text

    def verify(
        self, text: str, keys: Mapping[str, TrustedKey], now: datetime, *, arriving: bool = False
    ) -> tuple[dict[str, JsonValue], str, str]:
        """What was stated, by whom in the gate's spelling, and with which key.

        `arriving`: nobody has seen it before: it must be of the last days, and its key must not
        have expired, or it may have been dated back. Later what a key signed in its time counts
        until that key is revoked, or has been over for longer than the statement `outlives` it.

        Raises:
            NotProven: if nobody can be shown to have stated it, with why in words.
        """
        key, claims = _opened(text, self.typ, self._claims, keys, self.most)
        _require_times(key, claims.iat, now)
        if arriving and key.over(now):
            raise NotProven(
                f"its key {key.kid} has expired; {self.again} with the one in its place"
            )
        if arriving and claims.iat <= (now - LASTS).timestamp():
            raise NotProven(f"it was signed at {_words(claims.iat)}, too long ago; {self.again}")
        # What bears its own date could be stated for ever with a key that leaked since.
        if self.outlives is not None and key.over(now - self.outlives):
            raise NotProven(
                f"its key {key.kid} expired more than {self.outlives.days} days ago; {self.again}"
            )
        body: dict[str, JsonValue] = getattr(claims, self.name)
        if body.get("by") != claims.sub:
            raise NotProven(f"whoever signed it is not whose {self.whose} it is")
        _require_owner(key, claims.sub)
        return body, person(claims.sub), key.kid

    @functools.cached_property
    def _claims(self) -> type[_Claims]:
        body: Any = (dict[str, JsonValue], ...)
        how: Any = (Literal["name"] | None, None)
        return create_model("_StatementClaims", __base__=_Claims, how=how, **{self.name: body})


def stated_by_name(text: str) -> bool:
    """Whether a verified statement is of somebody who only said who they are."""
    try:
        claims: Any = strict_json(_decoded(text.split(".")[1]))
    except (ValueError, IndexError, NotProven):
        return False
    return isinstance(claims, dict) and cast("dict[str, Any]", claims).get("how") == BY_NAME


MANDATE_STATEMENT = StatementType("mandate", "statement", "give it again", MAX_MANDATE, LASTS_MOST)
"""A standing approval or a delegation (`oversight.mandates.Mandate`).

Whether it has begun, is over or was revoked is said in it, and in the ledger. It counts for 31
days after the end of its key, the longest that a mandate is in force.
"""

ORDER_STATEMENT = StatementType("order", "order", "order again")
"""A stop, its lifting or a level (`oversight.orders.Order`)."""

REVIEW_STATEMENT = StatementType("review", "answer", "answer again")
"""What a reviewer says of a write (`oversight.reviews.Opinion`): a record."""


def _signed(typ: str, claims: Mapping[str, Any], key: SigningKey) -> str:
    from joserfc import jws  # noqa: PLC0415  # most commands sign nothing

    header = {"alg": ALGORITHM, "kid": key.kid, "typ": typ}
    return jws.serialize_compact(
        header, _plain(claims), key.private.opened(), algorithms=[ALGORITHM]
    )


def _said(ruling: Ruling, verb: str, case: str) -> str:
    """The SHA-256, in hex, of all that is said."""
    # A field at its default says nothing: one that is added later undoes no old signature.
    try:
        fields = ruling.model_dump(mode="json", exclude={"proof"}, exclude_defaults=True)
    except ValueError:
        raise NotProven(_NO_JSON) from None
    whole = {"case": case, "verb": str(verb), "ruling": fields}
    return hashlib.sha256(_plain(whole)).hexdigest()


def _plain(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode()
    # A number without a value or end, half a character, a thing nested without end.
    except (ValueError, TypeError, RecursionError):
        raise NotProven(_NO_JSON) from None


def _opened(
    text: str, typ: str, model: type[_C], keys: Mapping[str, TrustedKey], most: int
) -> tuple[TrustedKey, _C]:
    """What was signed, by a key that is trusted. Nothing in it is believed before."""
    if len(text) > most or not text.isascii():
        raise NotProven("its proof is too long, or no proof at all")
    try:
        head, body, signature = text.split(".")
    except ValueError:
        raise NotProven("its proof is no compact JWS of three parts") from None
    header_bytes, payload, _ = (_decoded(part) for part in (head, body, signature))
    header = _read(header_bytes, _Header, "header")
    if header.typ != typ:
        raise NotProven(f"its proof is of the type {header.typ[:40]!r}, not {typ}")
    key = keys.get(header.kid)
    if key is None:
        raise NotProven(f"its key {header.kid} is not in the keyring; see `handrail keys trust`")
    if key.revoked is not None:
        raise NotProven(f"its key {key.kid} was revoked: {key.why or 'no reason is given'}")
    _require_signature(text, key)
    return key, _read(payload, model, "content")


def _decoded(part: str) -> bytes:
    """Of all spellings of the same bytes, the one that is written without slack."""
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotProven("its proof is not in base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise NotProven("its proof is not in the one spelling that base64url allows")
    return decoded


def _read(content: bytes, model: type[_C], what: str) -> _C:
    try:
        return model.model_validate(strict_json(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise NotProven(
            f"the {what} of its proof is wrong: {where[:60]!r}: {first['msg']}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise NotProven(f"the {what} of its proof is no plain JSON: {error}") from None


def _require_signature(text: str, key: TrustedKey) -> None:
    from joserfc.errors import JoseError  # noqa: PLC0415  # nor do they verify

    try:
        _require_signed(text, key.public.x)
    except (JoseError, ValueError) as error:
        raise NotProven(f"its signature is not by the key {key.kid} of {key.owner}") from error


# A page of evidence rests on thousands, and is opened again. What one key has signed it has signed
# for ever, whoever trusts it; what it has not is not kept, or anybody could fill the memory.
@functools.lru_cache(maxsize=16_384)
def _require_signed(text: str, public: str) -> None:
    from joserfc import jws  # noqa: PLC0415

    jws.deserialize_compact(text, PublicJwk(x=public).opened(), algorithms=[ALGORITHM])


def _require_times(key: TrustedKey, iat: int, now: datetime) -> None:
    if iat > (now + SKEW).timestamp():
        raise NotProven(
            f"it says that it was signed at {_words(iat)}, which is not yet: set the clock of the "
            "machine that signed it, and rule again"
        )
    if key.expires is not None and key.expires.timestamp() <= iat:
        raise NotProven(f"its key {key.kid} expired at {_words(key.expires.timestamp())}")


def _require_same(ruling: Ruling, verb: str, case: str, claims: _RulingClaims) -> None:
    """That what was signed is what was sent: nothing more, less or else."""
    here = {
        "case": case,
        "gate": ruling.gate,
        "digest": ruling.digest,
        "verb": str(verb),
        "sub": ruling.by,
    }
    for name, value in here.items():
        if getattr(claims, name) != value:
            what = "person" if name == "sub" else name
            raise NotProven(f"its proof is for another {what} than the ruling")
    if claims.said != _said(ruling, verb, case):
        raise NotProven("the ruling was changed after it was signed")


def _require_own(key: TrustedKey, sub: str, via: str) -> None:
    _require_owner(key, sub)
    channels = frozenset({BY_KEY}) if key.kind == "person" else BY_INBOX
    if via not in channels:
        wanted = " or ".join(sorted(channels))
        raise NotProven(f"the key of {key.owner} signs what comes by {wanted}, not by {via!r}")


def _require_owner(key: TrustedKey, sub: str) -> None:
    if key.kind == "person" and key.person != person(sub):
        raise NotProven(f"its key is that of {key.person}, who cannot sign for {sub[:200]!r}")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _words(seconds: float) -> str:
    return moment_in_words(_moment(seconds))
