"""The claim check: payloads too large for a history are kept in files.

Each file is named by the SHA-256 of what is in it, so that the same payload is one file,
and what comes back is what was stored. Every worker must see the same directory; where
they do not share one, give the plugin another driver.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)
from typing_extensions import override

from handrail.exceptions import HandrailError

THRESHOLD = 64 * 1024
"""Bytes from which a payload is kept outside the history."""


class PayloadLost(HandrailError):
    """A payload that a history refers to is not in the store, or is not what was stored."""


class PayloadFiles(StorageDriver):
    """Keeps payloads as files in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @override
    def name(self) -> str:
        """The name under which histories refer to this store."""
        return "handrail-files"

    @override
    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Write each payload to its file, durably, and return what finds it again."""
        del context
        return await asyncio.to_thread(lambda: [self._store(p) for p in payloads])

    @override
    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Read the payloads back.

        Raises:
            PayloadLost: if a file is missing or has been changed.
        """
        del context
        return await asyncio.to_thread(lambda: [self._retrieve(c) for c in claims])

    def _store(self, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString(deterministic=True)
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written aside and renamed: a crash leaves no half of a payload under its name.
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        return StorageDriverClaim({"sha256": digest})

    def _retrieve(self, claim: StorageDriverClaim) -> Payload:
        digest = claim.claim_data["sha256"]
        try:
            data = self._path(digest).read_bytes()
        except OSError as error:
            raise PayloadLost(
                f"the payload {digest[:12]} is not in {self.directory}: {error}; "
                "give HANDRAIL_PAYLOAD_DIR the directory that all workers share"
            ) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise PayloadLost(f"the payload {digest[:12]} in {self.directory} has been changed")
        return Payload.FromString(data)

    def _path(self, digest: str) -> Path:
        return self.directory / digest[:2] / digest


def claim_check(directory: Path) -> ExternalStorage:
    """External storage for a data converter, in files under `directory`."""
    return ExternalStorage(drivers=[PayloadFiles(directory)], payload_size_threshold=THRESHOLD)
