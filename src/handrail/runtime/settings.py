"""Settings of a process, from its environment: what ``HANDRAIL_*`` says."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from handrail.agent import SECRET_PREFIX, SECRETS_DIRECTORY
from handrail.exceptions import ConfigurationError

_PREFIX = "HANDRAIL_"
_LEDGER_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def _ledger_url(value: object) -> object:
    """Look at a ledger's URL, and say what was meant where the driver is missing."""
    if not isinstance(value, str):
        return value
    # Commands that open no ledger are spared what only a URL that was given needs.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

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
    return SecretStr(value)


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

    ledger_url: Annotated[SecretStr, BeforeValidator(_ledger_url)] = Field(
        default_factory=lambda data: SecretStr(f"sqlite:///{data['home'] / 'ledger.db'}")
    )
    """Where the ledger is: ``sqlite`` or ``postgresql+psycopg``. `ledger_shown` has no password."""

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
    """Whether cases run in Temporal's workflow sandbox. With ``off`` a worker loads each workflow
    in the sandbox once, at its start; see docs/operating.md."""

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

    @field_validator("home")
    @classmethod
    def _a_directory(cls, value: Path) -> Path:
        if value.exists() and not value.is_dir():
            raise ValueError(
                f"{value} is a file; name a directory, which is made if it is not there"
            )
        return value

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

    @property
    def ledger_file(self) -> Path | None:
        """The file of the ledger; None of one that is on a server."""
        kind, _, path = self.ledger_url.get_secret_value().partition(":///")
        return Path(path.partition("?")[0]) if kind == "sqlite" and path else None

    @property
    def ledger_shown(self) -> str:
        """The URL of the ledger as people may see it."""
        text = self.ledger_url.get_secret_value()
        if self.ledger_file is not None:
            return text
        from sqlalchemy.engine import make_url  # noqa: PLC0415  # as above

        return make_url(text).render_as_string(hide_password=True)

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
