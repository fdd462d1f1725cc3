"""The process of the inbox: the web pages, and what tells people that something waits."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
import uvicorn
from typing_extensions import override

from handrail.exceptions import ConfigurationError
from handrail.inbox.channels import slack_actions
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.people import PeopleFile
from handrail.inbox.channels.slack import CHANNEL, Slack
from handrail.inbox.web.app import build, is_loopback
from handrail.inbox.web.directory import PolicyDirectory
from handrail.inbox.web.oidc import OidcProvider
from handrail.inbox.web.site import Site
from handrail.inbox.web.tokens import OneTimeTokens, Sessions, seals_of
from handrail.oversight import Keyring, SigningKey, signing_key
from handrail.runtime import SmtpServer

if TYPE_CHECKING:
    from email.message import EmailMessage

    from starlette.routing import Route
    from starlette.types import ASGIApp
    from temporalio.client import Client

    from handrail.inbox.web.site import Post
    from handrail.ledger import Ledger
    from handrail.runtime import Agent, Settings

log = structlog.get_logger("handrail.inbox")


def address_of(settings: Settings) -> str:
    """Where people find the inbox, as browsers spell it: forms must come from exactly there.

    Raises:
        ConfigurationError: if no browser can have that address.
    """
    url = settings.inbox_url or f"http://localhost:{settings.inbox_port}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = f"[{host}]" if ":" in host else host.encode("idna").decode()
    except ValueError as error:
        raise ConfigurationError(f"HANDRAIL_INBOX_URL={url}: {error}") from error
    own = port in {None, {"http": 80, "https": 443}.get(parts.scheme)}
    return f"{parts.scheme}://{host}{'' if own else f':{port}'}"


def key_of(settings: Settings) -> SigningKey:
    """The inbox's key, made on its first start. On one machine it is trusted at once.

    Raises:
        KeyringError: if a key or the keyring cannot be used.
        ConfigurationError: if the key is not trusted, with what to do.
    """
    keyring, now = Keyring(settings.keyring), datetime.now(UTC)
    trusted = keyring.current()
    key = signing_key(settings.key_dir, None, trusted, now)
    if key is None:
        key = SigningKey.new(None, now)
        key.save(settings.key_dir / f"{key.kid}.json")
        log.info("made the inbox's key", kid=key.kid, directory=str(settings.key_dir))
    if key.kid not in trusted:
        _trust(settings, keyring, key)
    return key


def _trust(settings: Settings, keyring: Keyring, key: SigningKey) -> None:
    """Trust a key where the keyring and the key are both of this machine's home."""
    home = settings.home.absolute()
    ours = (settings.keyring.absolute(), settings.key_dir.absolute())
    if settings.inbox_dev and all(path.is_relative_to(home) for path in ours):
        keyring.trust(key.public())
        log.info("the inbox's key is trusted on this machine", keyring=str(settings.keyring))
        return
    log.warning(
        "the inbox's key is not in the keyring seen here: workers that do not have it refuse every "
        "ruling of this inbox",
        kid=key.kid,
        fix=f"`handrail keys public {key.kid}` here, `handrail keys trust FILE --inbox` there",
    )


def require_sign_in(settings: Settings) -> bool:
    """Whether anybody may sign in as anybody.

    Raises:
        ConfigurationError: if nobody could sign in at all, or everybody from elsewhere.
    """
    dev = settings.inbox_dev
    if dev and not is_loopback(settings.inbox_host):
        raise ConfigurationError(
            f"HANDRAIL_INBOX_DEV lets anybody sign in as anybody, and HANDRAIL_INBOX_HOST is "
            f"{settings.inbox_host}; fix: listen on 127.0.0.1, or unset HANDRAIL_INBOX_DEV"
        )
    where = urlsplit(address_of(settings)).hostname or ""
    if dev and not is_loopback(where):
        raise ConfigurationError(
            f"HANDRAIL_INBOX_DEV lets anybody sign in as anybody, and HANDRAIL_INBOX_URL says "
            f"that people come by {where}; fix: unset one of the two"
        )
    mail = settings.smtp_url is not None and settings.mail_from
    if not (dev or mail or (settings.oidc_issuer and settings.oidc_client_id)):
        raise ConfigurationError(
            "nobody could sign in to the inbox; fix: set HANDRAIL_OIDC_ISSUER and "
            "HANDRAIL_OIDC_CLIENT_ID, or HANDRAIL_SMTP_URL and HANDRAIL_MAIL_FROM for links by "
            "mail; on one machine `handrail dev` runs an inbox that lets you in"
        )
    return dev


def _post(settings: Settings) -> Post | None:
    if settings.smtp_url is None or not settings.mail_from:
        return None
    mailer = Mailer(
        SmtpServer.of(settings.smtp_url.get_secret_value(), "HANDRAIL_SMTP_URL"), settings.mail_from
    )

    async def post(message: EmailMessage, to: str) -> None:
        await mailer.deliver(message, settings.mail_from, to)

    return post


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, client: Client, ledger: Ledger, agents: Mapping[str, Agent] | None = None
) -> AsyncGenerator[Site]:
    """Everything that the pages work with, from the settings. `agents`: which can be asked here.

    Raises:
        ConfigurationError: if the settings do not let anybody use it.
    """
    dev = require_sign_in(settings)
    seals = seals_of(settings)
    with OneTimeTokens(settings.home / "inbox.db") as once:
        yield Site(
            settings=settings,
            base=address_of(settings),
            client=client,
            ledger=ledger,
            key=key_of(settings),
            seals=seals,
            once=once,
            directory=PolicyDirectory(
                settings.inbox_policies, settings.people, settings.inbox_domains
            ),
            sessions=Sessions(seals, once),
            provider=OidcProvider(settings) if settings.oidc_issuer else None,
            post=_post(settings),
            dev=dev,
            agents=agents or {},
        )


def signed(site: Site) -> list[Route]:
    """What Slack calls, where an app of theirs is set up: its requests are signed by Slack."""
    secret = site.settings.slack_signing_secret
    if secret is None:
        return []
    slack = Slack.of(site.settings)
    if slack is None:
        raise ConfigurationError(
            "HANDRAIL_SLACK_SIGNING_SECRET is set, and HANDRAIL_SLACK_TOKEN is not; set both"
        )

    handler = slack_actions.SlackActionHandler(
        functools.partial(site.operator, via=CHANNEL),
        slack,
        PeopleFile(site.settings.people),
        site.links,
    )
    return slack_actions.routes(handler, secret.get_secret_value())


class _UvicornServer(uvicorn.Server):
    """Signals are ours: whoever runs this says when it ends. `up`: it takes requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextlib.asynccontextmanager
async def serving(
    site: Site, listener: socket.socket, signed: Sequence[Route] = ()
) -> AsyncGenerator[None]:
    """Serve the pages on a socket while in this context. `signed`: see `build`."""
    async with on(build(site, signed), listener):
        yield


@contextlib.asynccontextmanager
async def on(app: ASGIApp, listener: socket.socket) -> AsyncGenerator[None]:
    """Serve an application on a socket while in this context."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        lifespan="off",
    )
    # An answer's head and its body go out at once each: asyncio's own loop sets it only of sockets
    # that name their protocol, and a page would wait 40 ms for the browser's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = _UvicornServer(config)
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        up = asyncio.ensure_future(server.up.wait())
        await asyncio.wait({up, task}, return_when="FIRST_COMPLETED")
        if not up.done():
            up.cancel()
            task.result()
        yield
    finally:
        server.should_exit = True
        await task


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on.

    Raises:
        ConfigurationError: if it cannot be had, with why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        raise ConfigurationError(
            f"the inbox cannot listen on {host} port {port}: {error.strerror}; fix: set "
            "HANDRAIL_INBOX_PORT (or --port) to a free one"
        ) from error
