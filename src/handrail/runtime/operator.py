"""An operator from the settings: with a client, a ledger and a key of its own."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin

from handrail.actions import person
from handrail.client import Operator
from handrail.exceptions import InvalidRequest
from handrail.guardrails import audit_review
from handrail.ledger import Ledger
from handrail.oversight import Keyring, SigningKey, signing_key
from handrail.runtime.settings import Settings, connect

if TYPE_CHECKING:
    from handrail.runtime.fleet import Fleet

from handrail.runtime.payload_codec import ClaimCheck


def plugin(payload_dir: Path) -> SimplePlugin:
    """What a client needs that runs nothing: it reads what workers wrote."""

    def converter(_: DataConverter | None) -> DataConverter:
        return dataclasses.replace(pydantic_data_converter, payload_codec=ClaimCheck(payload_dir))

    return SimplePlugin("handrail-client", data_converter=converter)


def key_of(settings: Settings, by: str) -> SigningKey | None:
    """The key that a person signs with here: the one that is named, or their newest; if any.

    Raises:
        InvalidRequest: if the key that `HANDRAIL_KEY` names is another person's.
        KeyringError: if a key, or the keyring, cannot be used.
    """
    if settings.key is None:
        trusted = Keyring(settings.keyring).current()
        return signing_key(settings.key_dir, by, trusted, datetime.now(UTC))
    key = SigningKey.load(settings.key)
    if key.person != person(by):
        raise InvalidRequest(f"HANDRAIL_KEY names the key of {key.owner}, and you say --by {by}")
    return key


@contextlib.asynccontextmanager
async def operator(
    settings: Settings | None = None,
    by: str | None = None,
    *,
    key: SigningKey | None = None,
    fleet: Fleet | None = None,
) -> AsyncGenerator[Operator]:
    """An operator on the server and the ledger of the settings, those of the environment.

    `by`: who acts, with a `key`, or the one that this machine has of them. `fleet`: whose
    agents can be started by an event alone.

    Raises:
        ConfigurationError: if the settings, a key or the keyring are wrong.
        LedgerUnavailable: if the ledger cannot be used.
        ServerUnavailable: if no server answers.
    """
    given = settings or Settings.from_environment()
    keyring = Keyring(given.keyring)
    if key is None and by is not None:
        key = key_of(given, by)
    client = await connect(given, plugins=[plugin(given.payload_dir)])
    async with Ledger(given.ledger_url.render_as_string(hide_password=False)) as ledger:
        yield Operator(
            client,
            ledger,
            key,
            by=by,
            keyring=keyring,
            agents=fleet.agents if fleet else None,
            audit_review=audit_review,
            ui_url=given.ui_url,
        )
