"""OpenID Connect: the authorization code with PKCE, state and nonce, by Authlib.

Everything but the issuer and the client is discovered. What the provider says of a person is
believed when its token is signed with a public key of its own, was made for this client and this
very sign-in, and the address in it is verified.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from httpx2 import HTTPError
from joserfc.errors import JoseError

from handrail.actions import person
from handrail.exceptions import HandrailError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from handrail.runtime import Settings

_ASYMMETRIC = {
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
}  # fmt: skip
_TIMEOUT = 10.0
_ERROR = re.compile("[a-z_]{1,40}")
"""What a provider may call an error, as far as it is shown."""


class NotSignedIn(HandrailError):
    """The provider did not sign this person in, or not in a way that can be believed."""


class OidcProvider:
    """One provider."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer.rstrip("/")
        self._trusting = settings.oidc_email == "as given"
        secret = settings.oidc_client_secret
        registry: Any = OAuth()
        self._client: Any = registry.register(
            "provider",
            client_id=settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid email",
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT,
                "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
            },
        )

    async def begin(self, request: Request, back: str) -> Response:
        """Send somebody to the provider, to come back to the address `back`.

        Raises:
            NotSignedIn: if the provider cannot be reached.
        """
        try:
            await self._discover()
            answer: Response = await self._client.authorize_redirect(request, back)
        except (HTTPError, OSError, ValueError, AuthlibBaseError) as error:
            raise NotSignedIn(f"the sign-in provider does not answer ({_kind(error)})") from error
        return answer

    async def end(self, request: Request) -> str:
        """The address of the person who came back.

        Raises:
            NotSignedIn: if anything about it is not as it must be, with what.
        """
        try:
            await self._discover()
            token: Any = await self._client.authorize_access_token(request)
        except (HTTPError, OSError, ValueError, JoseError, AuthlibBaseError) as error:
            raise NotSignedIn(f"the sign-in was not completed ({_kind(error)})") from error
        claims: Any = token.get("userinfo")
        if not claims:
            raise NotSignedIn("the provider did not say who signed in (no ID token)")
        return self._address(claims)

    async def _discover(self) -> None:
        metadata: Any = await self._client.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != self._issuer:
            raise NotSignedIn("the provider calls itself by another name than HANDRAIL_OIDC_ISSUER")
        offered: Any = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        # With a shared secret, or with none, anybody could sign.
        metadata["id_token_signing_alg_values_supported"] = [
            each for each in offered if each in _ASYMMETRIC
        ]

    def _address(self, claims: Any) -> str:
        address: Any = claims.get("email")
        if not isinstance(address, str) or "@" not in address:
            raise NotSignedIn("the provider did not give your mail address; ask for scope `email`")
        if claims.get("email_verified") is not True and not self._trusting:
            raise NotSignedIn(
                "the provider does not say that your address is verified; see HANDRAIL_OIDC_EMAIL"
            )
        return person(address)


def _kind(error: Exception) -> str:
    """Which kind of error, without what it may quote of secrets."""
    said: Any = getattr(error, "error", None)
    # Whoever makes a link to us can put words of their own there.
    plain = isinstance(said, str) and _ERROR.fullmatch(said)
    return said if plain else type(error).__name__
