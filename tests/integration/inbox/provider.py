"""An OpenID provider: a real HTTP server that signs people in, and can be made to misbehave."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from handrail.inbox.web import server

CLIENT, SECRET = "inbox", "the-secret-of-the-client-of-some-length"


@dataclass
class Provider:
    """Signs in `email`. `claims` are changed in its tokens; `alg` and `key` sign them."""

    issuer: str
    email: str = "ana@example.com"
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    alg: str = "RS256"
    offers: tuple[str, ...] = ("RS256",)
    calls_itself: str = ""
    own: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    key: Any = None
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.metadata),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/jwks", self.jwks),
            ]
        )

    async def metadata(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.calls_itself or self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "id_token_signing_alg_values_supported": list(self.offers),
            }
        )

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        code = secrets.token_urlsafe(12)
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}")

    async def token(self, request: Request) -> Response:
        form = await request.form()
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(str(form.get("code")), None)
        verifier = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        right = request.headers.get("authorization") == f"Basic {basic}"
        if asked is None or asked["code_challenge"] != challenge or not right:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        return JSONResponse(
            {
                "access_token": "opaque",
                "token_type": "Bearer",
                "id_token": self.signed(asked["nonce"]),
            }
        )

    def signed(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "u-1",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": self.email,
            "email_verified": True,
        } | self.claims
        header = {"alg": self.alg, "kid": "one"}
        if self.alg == "none":
            return _unsigned(claims)
        if self.alg == "HS256":
            shared = OctKey.import_key(self.own.as_pem(private=False))
            registry = JWSRegistry(algorithms=["HS256"])
            return jwt.encode(header, claims, shared, registry=registry)
        return jwt.encode(header, claims, self.key or self.own)

    async def jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.own.as_dict(private=False)]})


def _unsigned(claims: dict[str, Any]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}."


@contextlib.asynccontextmanager
async def provider() -> AsyncGenerator[Provider]:
    """A provider that runs on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Provider(f"http://localhost:{listener.getsockname()[1]}")
    async with server.on(found.app(), listener):
        yield found
