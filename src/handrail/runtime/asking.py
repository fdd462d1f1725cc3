"""What whoever asks the server needs, and runs nothing: it reads what workers wrote, and signs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from handrail.actions import person
from handrail.exceptions import InvalidRequest
from handrail.oversight import Keyring, SigningKey, signing_key
from handrail.runtime.payload_codec import ClaimCheck
from handrail.runtime.settings import Settings


def converter(payload_dir: Path) -> DataConverter:
    """What reads the payloads of workers, those too that are in a file of `payload_dir`."""
    return dataclasses.replace(pydantic_data_converter, payload_codec=ClaimCheck(payload_dir))


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
