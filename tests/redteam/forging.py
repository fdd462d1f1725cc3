"""How rulings are forged: proofs by hand, with whatever header, claims and key.

Nothing of `oversight.signatures` is used to make them: what checks a proof must not be what a
forger is kept from using.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handrail.oversight import SigningKey

TYPE = "handrail-ruling+jwt"


def header(key: SigningKey, **changes: Any) -> dict[str, Any]:
    """The header of a proof by this key; None takes a member out."""
    return _without_none({"alg": "Ed25519", "kid": key.kid, "typ": TYPE} | changes)


def claims(
    ruling: Mapping[str, Any],
    verb: str,
    case: str,
    now: datetime,
    *,
    lasts: timedelta = timedelta(days=1),
    **changes: Any,
) -> dict[str, Any]:
    """What a proof of this ruling says; None takes a claim out."""
    iat = int(now.timestamp())
    right = {
        "case": case,
        "gate": ruling.get("gate"),
        "digest": ruling.get("digest"),
        "verb": verb,
        "sub": ruling.get("by"),
        "said": said(ruling, verb, case),
        "iat": iat,
        "exp": iat + int(lasts.total_seconds()),
        "jti": uuid.uuid4().hex,
    }
    return _without_none(right | changes)


def said(ruling: Mapping[str, Any], verb: str, case: str) -> str:
    """The SHA-256 of all that a ruling says."""
    fields = {name: value for name, value in ruling.items() if name != "proof"}
    whole = {"case": case, "verb": verb, "ruling": fields}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def signed(head: Mapping[str, Any], body: Mapping[str, Any] | str, key: SigningKey) -> str:
    """A compact JWS by a private key. `body` may be JSON as it shall stand there."""
    text = _signing_input(head, body)
    secret = Ed25519PrivateKey.from_private_bytes(unb64(key.private.d))
    return f"{text}.{b64(secret.sign(text.encode()))}"


def with_hmac(head: Mapping[str, Any], body: Mapping[str, Any], secret: bytes) -> str:
    """A compact JWS by a shared secret: such as a public key, which everybody has."""
    text = _signing_input(head, body)
    return f"{text}.{b64(hmac.new(secret, text.encode(), 'sha256').digest())}"


def unsigned(head: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A compact JWS without a signature."""
    return f"{_signing_input(head, body)}."


def reworded(proof: str, **changes: Any) -> str:
    """A proof whose claims were changed after it was signed; None takes one out."""
    head, body, signature = proof.split(".")
    told = _without_none(json.loads(unb64(body)) | changes)
    return f"{head}.{_json64(told)}.{signature}"


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of base64url, padded or not."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signing_input(head: Mapping[str, Any], body: Mapping[str, Any] | str) -> str:
    told = b64(body.encode()) if isinstance(body, str) else _json64(body)
    return f"{_json64(head)}.{told}"


def _json64(value: Mapping[str, Any]) -> str:
    return b64(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
