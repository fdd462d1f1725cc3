"""The claim check: payloads too large for a history are kept in files.

Each file is named by the SHA-256 of what is in it, so that the same payload is one file,
and what comes back is what was stored. Every worker must see the same directory.

A claim carries a signature by a key that lies in the same directory. What has none is not a
claim of ours but what somebody sent, and stays what it is: were it looked for in vain, a
forged signal would wedge its case.

It is a payload codec, not Temporal's external storage: that one is experimental, and
makes a new converter for every payload of a workflow task, a twentieth of a case's CPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec
from typing_extensions import override

from handrail.actions import Wire
from handrail.exceptions import HandrailError

THRESHOLD = 64 * 1024
"""Bytes from which a payload is kept outside the history."""

CLAIM = b"json/handrail-claim"
"""The encoding of what stands in a history for a payload that is kept elsewhere."""


class PayloadLost(HandrailError):
    """A payload that a history refers to is not in the store, or is not what was stored."""


class _Claim(Wire):
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: int
    mac: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ClaimCheck(PayloadCodec):
    """Keeps large payloads as files in one directory, and a claim on them in the history."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def seal(self) -> bytes:
        """A key for what workers put into the ledger, made of the key of the claims."""
        return hmac.new(self._key(), b"handrail intents", "sha256").digest()

    @override
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Write large payloads to files, durably, and put claims in their places."""
        if all(len(payload.data) < THRESHOLD for payload in payloads):
            return list(payloads)
        return await asyncio.to_thread(lambda: [self._store(p) for p in payloads])

    @override
    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Read back what claims stand for.

        Raises:
            PayloadLost: if a file is missing or has been changed.
        """
        if not any(payload.metadata.get("encoding") == CLAIM for payload in payloads):
            return list(payloads)
        return await asyncio.to_thread(lambda: [self._retrieve(p) for p in payloads])

    async def keep(self, data: bytes) -> str:
        """Keep anything, large or not, and return the claim on it."""
        payload = Payload(data=data)
        return (await asyncio.to_thread(self._store, payload, 0)).data.decode()

    async def kept(self, claim: str) -> bytes:
        """What a claim of `keep` stands for.

        Raises:
            PayloadLost: as `decode`; or if it is no claim of ours.
        """
        payload = Payload(metadata={"encoding": CLAIM}, data=claim.encode())
        found = await asyncio.to_thread(self._retrieve, payload)
        if found is payload:
            raise PayloadLost("this is no claim on anything that was kept here")
        return found.data

    def _store(self, payload: Payload, threshold: int = THRESHOLD) -> Payload:
        if len(payload.data) < threshold:
            return payload
        data = payload.SerializeToString(deterministic=True)
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if not path.exists():
            self._make(path.parent)
            # Written aside and renamed: a crash leaves no half of a payload under its name.
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                self._share(file.fileno())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        claim = _Claim(sha256=digest, bytes=len(data), mac=self._mac(digest))
        return Payload(metadata={"encoding": CLAIM}, data=claim.model_dump_json().encode())

    def _retrieve(self, payload: Payload) -> Payload:
        digest, mac = _claimed(payload)
        if not hmac.compare_digest(mac, self._mac(digest)):
            return payload
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

    def _mac(self, digest: str) -> str:
        return hmac.new(self._key(), digest.encode(), "sha256").hexdigest()

    def _key(self) -> bytes:
        path = self.directory / "key"
        if not path.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.directory) as file:
                self._share(file.fileno())
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
                # Of several processes that make the key at once, the first one's counts.
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, path)
        return path.read_bytes()

    def _make(self, folder: Path) -> None:
        """Make a folder within the directory, for whom the directory is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            wanted = 0o700 | self._shared()
            # Under systemd's RestrictSUIDSGID only the umask can let it be so.
            if stat.S_IMODE(folder.stat().st_mode) != wanted:
                folder.chmod(wanted)

    def _share(self, file: int) -> None:
        os.fchmod(file, 0o600 | (self._shared() & 0o060))

    def _shared(self) -> int:
        """What the group may, where the directory is set-group-id, and so meant for a group.

        The inbox reads the same payloads, and has a user of its own.
        """
        mode = self.directory.stat().st_mode
        return mode & (stat.S_ISGID | 0o070) if mode & stat.S_ISGID else 0

    def _path(self, digest: str) -> Path:
        return self.directory / digest[:2] / digest


def _claimed(payload: Payload) -> tuple[str, str]:
    """The digest that a claim names, and its signature; empty if it is no claim."""
    try:
        claim = _Claim.model_validate_json(payload.data)
    except ValidationError:
        return "", ""
    return claim.sha256, claim.mac
