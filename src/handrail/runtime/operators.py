"""An operator from the settings: with a client, a ledger and a key of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from handrail.client import Operator
from handrail.guardrails import audit_review
from handrail.ledger import Ledger
from handrail.oversight import Keyring, SigningKey
from handrail.runtime.asking import converter, key_of
from handrail.runtime.connection import connect
from handrail.runtime.settings import Settings

if TYPE_CHECKING:
    from handrail.runtime.fleet import Fleet


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
    client = await connect(given, data_converter=converter(given.payload_dir))
    async with Ledger(given.ledger_url.get_secret_value()) as ledger:
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
