"""The two halves of an Ed25519 key, as RFC 8037 writes them."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from handrail.actions import Wire, canonical

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

_KID_DIGITS = 16
_Part = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{43}$")]


class PublicJwk(Wire):
    """The public half of an Ed25519 key, as RFC 8037 writes it, and nothing else."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: _Part

    @model_validator(mode="after")
    def _is_a_key(self) -> Self:
        _opened(self.x)
        return self

    @property
    def kid(self) -> str:
        """The name of the key: the first 16 hex digits of its thumbprint (RFC 7638)."""
        members = {"kty": self.kty, "crv": self.crv, "x": self.x}
        return hashlib.sha256(canonical(members).encode()).hexdigest()[:_KID_DIGITS]

    def opened(self) -> OKPKey:
        """The key, to verify with."""
        return _opened(self.x)


class PrivateJwk(Wire):
    """Both halves of an Ed25519 key. `d` is the secret: it is never shown."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: _Part
    d: _Part = Field(repr=False)

    @model_validator(mode="after")
    def _halves_fit(self) -> Self:
        secret = jwk().import_key({"kty": "OKP", "crv": "Ed25519", "x": self.x, "d": self.d})
        if _public_of(secret) != self.x:
            raise ValueError("the two halves of the key do not belong together")
        return self

    def opened(self) -> OKPKey:
        """The key, to sign with."""
        return jwk().import_key(self.model_dump())


def _public_of(secret: OKPKey) -> str:
    """The public half as the private one has it, whatever stands beside that."""
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415  # as `_jwk`

    raw = secret.private_key
    if not isinstance(raw, ed25519.Ed25519PrivateKey):
        raise ValueError("this is no private Ed25519 key")  # noqa: TRY004  # of a model
    return str(jwk().import_key(raw.public_key()).as_dict(private=False)["x"])


@functools.lru_cache(maxsize=1024)
def _opened(x: str) -> OKPKey:
    return jwk().import_key({"kty": "OKP", "crv": "Ed25519", "x": x})


def jwk() -> type[OKPKey]:
    """What reads and makes keys. Most commands do neither, and it is a twentieth of an import."""
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    return OKPKey
