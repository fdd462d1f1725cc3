"""Settings of a process, from its environment, and the connection to Temporal they describe.

``HANDRAIL_*`` is ours. Where the Temporal server is, and how to prove who we are to it, is said
as Temporal itself defines it: ``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``,
``TEMPORAL_TLS*``, or a profile file (``TEMPORAL_CONFIG_FILE``, ``TEMPORAL_PROFILE``). So the same
worker runs on a laptop, against a cluster, and against Temporal Cloud.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from google.protobuf.duration_pb2 import Duration
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client, Plugin
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import SECRET_PREFIX, SECRETS_DIRECTORY
from handrail.exceptions import ConfigurationError, ServerUnavailable

SEARCH_ATTRIBUTES: Mapping[str, IndexedValueType.ValueType] = {
    "HandrailAgent": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailState": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailRisk": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailProblem": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailReason": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "HandrailWaitingFor": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    "HandrailDeadline": IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}
"""What saved views of the Web UI filter on. The names are promises."""

_PREFIX = "HANDRAIL_"
_LEDGER_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_POLL = timedelta(milliseconds=250)
_ATTEMPT = timedelta(seconds=10)
# What the SDK's one kind of error says when asking again is of no use.
_HOPELESS = (
    "Unauthenticated",
    "PermissionDenied",
    "Unimplemented",
    "invalid peer certificate",
    "InvalidMessage",  # TLS spoken to a server without it
)


def _to_url(value: object) -> object:
    """Read a ledger's URL, and say what was meant where the driver is missing."""
    if not isinstance(value, str):
        return value
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError(
            "is not a database URL, such as sqlite:////var/lib/handrail/ledger.db or "
            "postgresql+psycopg://user:password@host/database"
        ) from None
    if url.drivername not in _LEDGER_DRIVERS.values():
        wanted = _LEDGER_DRIVERS.get(url.get_backend_name(), "postgresql+psycopg")
        raise ValueError(f"names the driver {url.drivername!r}; write {wanted}:// instead")
    return url


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(word.strip().casefold() for word in value.split(",") if word.strip())


def _secret_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("is not a mail server, such as smtp://localhost:25 or smtps://host")
    return SecretStr(value)


SmtpUrl = Annotated[SecretStr, BeforeValidator(_secret_url)]
"""A mail server with its credentials."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseModel):
    """What a process is told by its environment: ``HANDRAIL_`` and the field's name in capitals.

    Relative paths are relative to the working directory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    home: Path = Path(".handrail")
    """The files of one machine: Temporal's database, the ledger, payloads, keys."""

    ledger_url: Annotated[URL, BeforeValidator(_to_url)] = Field(
        default_factory=lambda data: URL.create("sqlite", database=str(data["home"] / "ledger.db"))
    )
    """Where the ledger is: ``sqlite`` or ``postgresql+psycopg``. Its ``repr`` hides
    the password, its ``render_as_string(hide_password=False)`` does not."""

    payload_dir: Path = Field(default_factory=lambda data: data["home"] / "payloads")
    """Where payloads too large for a history are kept. Every worker must see the same one."""

    keyring: Path = Field(default_factory=lambda data: data["home"] / "keys" / "trusted.json")
    """The public keys of those whose rulings count. Every worker reads it; it holds no secret."""

    key_dir: Path = Field(default_factory=lambda data: data["home"] / "keys" / "private")
    """The private keys of the people, or of the inbox, of this machine; never a worker's."""

    key: Path | None = None
    """The private key that commands sign with; of `key_dir` the person's own when unset."""

    secret_dir: Path | None = None
    """Where a step's secret is the file of its name; or it is ``HANDRAIL_SECRET_`` and its name."""

    proof: Literal["required", "unproven"] = "required"
    """Whether a worker takes a ruling only with proof of who made it, where the policy does not
    say. ``handrail dev`` and ``handrail demo`` ask for none, unless this is set."""

    temporal_port: Port = 7233
    """Of the embedded server; and of the server looked for when Temporal's own settings name
    none."""

    ui_port: Port = 8233
    """Of the embedded server's Web UI."""

    ui_url: str = Field(
        default_factory=lambda data: f"http://localhost:{data['ui_port']}",
        pattern=r"^https?://[^/\s]+\S*$",
    )
    """Where people find Temporal's Web UI; links begin with it. No slash at the end."""

    fleet: str = Field(default="workers.fleet:fleet", pattern=r"^[\w.]+:\w+$")
    """Which agents a worker runs: ``module:variable``."""

    sandbox: Literal["on", "off"] = "on"
    """Whether cases run in Temporal's workflow sandbox. ``off`` takes less CPU of a worker, which
    loads each workflow in the sandbox once, at its start; see docs/operating.md."""

    metrics_port: Port | None = None
    """Where a worker shows its metrics to Prometheus; none when unset."""
    inbox_metrics_port: Port | None = None
    """Where `handrail inbox serve` shows what is open, held up and in force; none when unset."""

    otel: bool = False
    """Whether traces are sent by OpenTelemetry, which has settings of its own: ``OTEL_*``."""

    log_format: Literal["console", "json"] = "console"
    """How log lines are written to stderr."""

    log_personal: Literal["masked", "clear"] = "masked"
    """Whether personal data in log lines are masked. Secrets always are."""

    log_key: SecretStr | None = Field(default=None, min_length=32)
    """What pseudonyms in log lines are made with, 32 characters or more: the same on all
    machines whose lines shall be joined. Of each machine its own (``keys/pseudonyms`` in the
    home) when unset."""

    tokens: Path = Field(default_factory=lambda data: data["home"] / "keys" / "tokens.json")
    """The names and digests of the tokens by which programs send events to ``handrail serve``."""

    inbox_host: str = "127.0.0.1"
    """Which address the inbox listens on."""

    inbox_port: Port = 8480
    """Which port the inbox listens on."""

    inbox_url: str = Field(default="", pattern=r"^(https?://[^/\s?#]+/?)?$")
    """Where people find the inbox, without a path; links in messages begin with it, and only
    there it answers. A worker that knows none lets nobody be told by message."""

    inbox_secret: SecretStr | None = Field(default=None, min_length=32)
    """What sessions and links are signed with, 32 characters or more; made in the home
    directory when unset. Replacing it signs everybody out."""

    inbox_dev: bool = False
    """Whether anybody may sign in as anybody. Only where the inbox listens on loopback."""

    inbox_domains: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    """Mail domains, with commas, of which everybody may sign in; beside those whom a policy or
    the people file names."""

    inbox_policies: Path = Path("guardrails")
    """Where the policy files are from which the inbox reads who is somebody. It runs none."""

    people: Path = Field(default_factory=lambda data: data["home"] / "people.yaml")
    """How each person wants to be told. It may be absent."""

    smtp_url: SmtpUrl | None = None
    """The mail server: ``smtp://localhost:25``, ``smtp://user:password@host:587`` or
    ``smtps://user:password@host``."""

    mail_from: str = Field(default="", pattern=r"^([^@\s<>]+@[^@\s<>]+)?$")
    """From which address mail is sent."""

    bounce_port: Port | None = None
    """Where the inbox takes mail that comes back, and `handrail serve` mail to agents; nowhere when
    unset. Have the mail server for ``bounce_domain`` and theirs bring it there."""

    bounce_domain: str = Field(default="", pattern=r"^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)?$")
    """The domain that mail comes back to; that of ``mail_from`` when unset."""

    slack_token: SecretStr | None = None
    """The bot token of the Slack app (``xoxb-...``; scopes chat:write, im:write, im:history)."""

    slack_signing_secret: SecretStr | None = None
    """What Slack signs its requests with; without it no button in Slack does anything."""

    slack_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://\S+/$")
    """Where Slack's Web API is."""

    webhook_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where the inbox sends that a gate has opened or closed and that a case has ended."""

    webhook_secret: SecretStr | None = None
    """What it is signed with (Standard Webhooks): ``whsec_`` and 24 bytes or more in base64."""

    oidc_issuer: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Whose OpenID Connect sign-in the inbox offers; the rest is discovered there."""

    oidc_client_id: str = ""
    """As which client the inbox is registered there."""

    oidc_client_secret: SecretStr | None = None
    """Its secret, if it has one."""

    oidc_email: Literal["verified", "as given"] = "verified"
    """Whether the provider must say that it has verified a person's address. ``as given`` only
    for a provider whose users cannot choose their own (Entra ID with one tenant, say)."""

    @field_validator("ui_url", "inbox_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator(
        "home",
        "payload_dir",
        "keyring",
        "key_dir",
        "key",
        "secret_dir",
        "tokens",
        "inbox_policies",
        "people",
        mode="before",
    )
    @classmethod
    def _expand_user(cls, value: object) -> object:
        return Path(value).expanduser() if isinstance(value, str) else value

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; a variable that is set but empty counts as unset.

        Raises:
            ConfigurationError: an unknown ``HANDRAIL_`` variable, or a bad value. All of them
                are named at once.
        """
        given = {
            key.removeprefix(_PREFIX).lower(): value
            for key, value in environ.items()
            if key.startswith(_PREFIX) and value and not _is_secret(key)
        }
        faults = [cls._unknown(name) for name in given if name not in cls.model_fields]
        if faults:
            raise ConfigurationError("\n".join(faults))
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """Return the names of all environment variables that are read."""
        return tuple(f"{_PREFIX}{name.upper()}" for name in cls.model_fields)

    @classmethod
    def _unknown(cls, name: str) -> str:
        variable = f"{_PREFIX}{name.upper()}"
        near = difflib.get_close_matches(name, cls.model_fields, n=1)
        fix = (
            f"did you mean {_PREFIX}{near[0].upper()}?"
            if near
            else f"known are {', '.join(cls.variables())}."
        )
        return f"{variable} is not a setting: {fix}"


def _is_secret(variable: str) -> bool:
    """Whether it holds what only one step may see."""
    return variable.startswith(SECRET_PREFIX) and variable != SECRETS_DIRECTORY


def _explain(error: ValidationError) -> str:
    """Say each fault with its variable; never the value, which may hold a password."""
    return "\n".join(
        f"{_PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_input=False, include_url=False)
        if fault["type"] != "default_factory_not_called"
    )


async def connect(
    settings: Settings,
    *,
    plugins: Sequence[Plugin] = (),
    address: str | None = None,
    runtime: Runtime | None = None,
    patience: timedelta = timedelta(seconds=30),
) -> Client:
    """Connect to Temporal as the environment describes it, else to this machine's server.

    ``address`` overrules the environment and its credentials: for the embedded server.
    ``runtime`` carries a worker's metrics. A server that is not up yet is asked again until
    ``patience`` is over.

    Raises:
        ConfigurationError: Temporal's own settings are wrong, the server does not accept the
            credentials, or the namespace does not exist.
        ServerUnavailable: no server answers within ``patience``.
    """
    target = ClientConnectConfig(target_host=address) if address else connection(settings)
    server, last = target.get("target_host", ""), "none at all"
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while True:
                # The SDK does not retry its first connection. And a black hole would otherwise
                # eat the whole patience in one attempt.
                try:
                    async with asyncio.timeout(_ATTEMPT.total_seconds()):
                        client = await Client.connect(
                            server,
                            namespace=target.get("namespace", "default"),
                            api_key=target.get("api_key"),
                            tls=target.get("tls"),
                            rpc_metadata=target.get("rpc_metadata", {}),
                            plugins=plugins,
                            runtime=runtime,
                        )
                    break
                except TimeoutError:
                    last = f"none within {_ATTEMPT}"
                except RuntimeError as error:
                    last = _worth_asking_again(server, error)
                await asyncio.sleep(_POLL.total_seconds())
            await _require_namespace(client)
            return client
    except TimeoutError:
        raise ServerUnavailable(
            f"No Temporal server answers at {server} (tried for {patience}). Start one "
            "with `handrail dev`, or set TEMPORAL_ADDRESS to the one you mean. "
            f"The last answer was: {last}"
        ) from None


def connection(settings: Settings) -> ClientConnectConfig:
    """Return the arguments for ``Client.connect``, as Temporal's own settings describe them.

    Raises:
        ConfigurationError: a profile or a file that they name does not exist or is wrong.
    """
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise ConfigurationError(f"TEMPORAL_CONFIG_FILE names {file}, which does not exist.")
    try:
        found = ClientConfig.load_client_connect_config()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"Temporal's own settings (TEMPORAL_*, or its profile file) are wrong: {error}"
        ) from error
    found.setdefault("target_host", f"localhost:{settings.temporal_port}")
    return found


def _worth_asking_again(server: str, error: RuntimeError) -> str:
    """What the server said, unless asking again is of no use."""
    said = str(error).removeprefix("Failed client connect: ")
    if any(word in said for word in _HOPELESS):
        raise ConfigurationError(
            f"The Temporal server at {server} does not accept this connection: "
            f"{said}. See TEMPORAL_API_KEY and TEMPORAL_TLS*."
        ) from error
    system = re.search('message: "([^"]+)"', said)
    return system[1] if system else said


async def _require_namespace(client: Client) -> None:
    """Raise for a namespace that does not exist; one that we may not describe is let pass."""
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConfigurationError(
                f"The Temporal server has no namespace {client.namespace!r}. Create it "
                f"(`temporal operator namespace create -n {client.namespace}`), or set "
                "TEMPORAL_NAMESPACE to the one you mean."
            ) from error


# What a server must know


async def set_retention(client: Client, retention: timedelta) -> None:
    """Keep closed cases for ``retention``, instead of the one day that is the default."""
    duration = Duration()
    duration.FromTimedelta(retention)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=duration),
        )
    )


async def register_search_attributes(client: Client) -> None:
    """Make the server know :data:`SEARCH_ATTRIBUTES`; harmless when it does already.

    Raises:
        ConfigurationError: they exist with another type, or may not be registered by this
            client; the message holds the commands for somebody who may.
        ServerUnavailable: the server does not answer.
    """
    try:
        missing = await _missing_attributes(client)
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        await _explain_refusal(client, error)


async def _explain_refusal(client: Client, error: RPCError) -> None:
    """Raise what a person can act on; return when somebody else registered them meanwhile."""
    if error.status in {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}:
        raise ServerUnavailable(f"The Temporal server does not answer: {error}") from error
    if error.status is RPCStatusCode.ALREADY_EXISTS and not await _missing_attributes(client):
        return
    raise ConfigurationError(
        f"The search attributes could not be registered in {client.namespace!r} ({error}). "
        f"Have somebody who may do so run:\n{_commands(client.namespace)}"
    ) from error


async def _missing_attributes(client: Client) -> dict[str, IndexedValueType.ValueType]:
    response = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    known = response.custom_attributes
    wrong = [name for name, kind in SEARCH_ATTRIBUTES.items() if known.get(name, kind) != kind]
    if wrong:
        raise ConfigurationError(
            f"Search attributes of another type are in the way in {client.namespace!r}: "
            f"{', '.join(wrong)}. Remove them, then run:\n{_commands(client.namespace)}"
        )
    return {name: kind for name, kind in SEARCH_ATTRIBUTES.items() if name not in known}


def _commands(namespace: str) -> str:
    return "\n".join(
        f"  temporal operator search-attribute create --namespace {namespace} "
        f"--name {name} --type {_type_name(kind)}"
        for name, kind in SEARCH_ATTRIBUTES.items()
    )


def _type_name(kind: IndexedValueType.ValueType) -> str:
    """Return the name that the command line uses: ``KEYWORD_LIST`` is ``KeywordList``."""
    words = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)
