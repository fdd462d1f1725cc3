"""Files as steps: of a folder, or of a server that takes PUT (WebDAV, object stores).

A file is made whole or not at all, and only where there is none: by a link in a folder, by
`If-None-Match: *` at a server. So a write may be run again under its key: where the file is there
with this very content it was done, and where it has another it is refused. Nothing is overwritten
but by a write that names the version that it replaces (`If-Match`), and finds it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from handrail.actions import Action, Effect, Wire
from handrail.agent import Read, Write, read, secret, write
from handrail.exceptions import Final, NotDone
from handrail.integrations.connectors.declare import as_function, require_fields
from handrail.integrations.connectors.http import LARGEST, STRONG, Unanswered
from handrail.marks import Untrusted

A = TypeVar("A", bound=Action)

_TIMEOUT = timedelta(seconds=30)
_SECONDS = 25.0
_LONGEST = 500
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class FileVersion(Wire):
    """A file as it was read. `etag`: what a write that replaces it must name."""

    etag: str
    text: Untrusted


@dataclass(frozen=True)
class Files:
    """The files below a folder, or below a URL. `auth`: the secret that is its Authorization."""

    root: Path | str
    auth: str = ""

    def read(self, name: str) -> Read[[str], Untrusted]:
        """A read of a file's text by its path; what is not there, or is no text, is `Final`."""

        async def step(path: str) -> Untrusted:
            return _text(path, await self._get(_below(path)))

        doc = f"The text of a file of {self.root}"
        fn = as_function(step, name, doc, {"path": (str, ...)}, Untrusted)
        return read(timeout=_TIMEOUT, secrets=self._secrets())(fn)

    def current(self, name: str) -> Read[[str], FileVersion]:
        """A read of a file's text with its ETag, by its path; `Final` as of `read`."""

        async def step(path: str) -> FileVersion:
            found, tag = await self._tagged(_below(path))
            text = _text(path, found)
            if not STRONG.fullmatch(tag):
                raise Final(f"{path} has no ETag by which it could be replaced, but {tag!r}")
            return FileVersion(etag=tag, text=text)

        doc = f"A file of {self.root}, and its version"
        fn = as_function(step, name, doc, {"path": (str, ...)}, FileVersion)
        return read(timeout=_TIMEOUT, secrets=self._secrets())(fn)

    def replace(
        self,
        name: str,
        action: type[A],
        *,
        path: str = "path",
        content: str = "content",
        etag: str = "etag",
    ) -> Write[A, str]:
        """A write that replaces a file where it still is the version that `current` gave.

        There is no undo: what it had is not kept.

        Raises:
            StepError: if the action has no such fields.
        """
        require_fields(name, action, path, content, etag)

        async def step(act: Any, effect: Effect) -> str:
            where, data = _below(getattr(act, path)), str(getattr(act, content)).encode()
            tag = str(getattr(act, etag))
            if not STRONG.fullmatch(tag):
                raise Final(f"{tag!r} is no ETag; fix: the one that `current` gives")
            if await self._swap(where, data, tag) or await self._get(where) == data:
                return str(where)
            why = f"{where} is another than was read: nothing is overwritten"
            # An earlier attempt may have replaced it, and somebody else that, since then.
            raise Unanswered(why) if effect.attempt > 1 else Final(why)

        doc = (action.__doc__ or name).strip()
        taken = {"action": (action, ...), "effect": (Effect, ...)}
        fn = as_function(step, name, doc, taken, str)
        given: dict[str, Any] = {"timeout": _TIMEOUT, "secrets": self._secrets()}
        made: Write[A, str] = write(idempotent=True, **given)(fn)
        return made

    def write(
        self, name: str, action: type[A], *, path: str = "path", content: str = "content"
    ) -> Write[A, str]:
        """A write that makes a file of two fields of an action; its undo takes the file away.

        Raises:
            StepError: if the action has no such fields.
        """
        require_fields(name, action, path, content)

        async def step(act: Any, effect: Effect) -> str:
            del effect
            where, data = _below(getattr(act, path)), str(getattr(act, content)).encode()
            if not await self._make(where, data) and await self._get(where) != data:
                raise Final(f"{where} is there already, with another content")
            return str(where)

        async def take_away(act: Any, effect: Effect) -> None:
            del effect
            await self._remove(_below(getattr(act, path)), str(getattr(act, content)).encode())

        doc = (action.__doc__ or name).strip()
        taken = {"action": (action, ...), "effect": (Effect, ...)}
        given: dict[str, Any] = {"timeout": _TIMEOUT, "secrets": self._secrets()}
        undo = as_function(take_away, f"undo_{name}", f"Undo: {doc}", taken, type(None))
        back = write(idempotent=True, **given)(undo)
        fn = as_function(step, name, doc, taken, str)
        made: Write[A, str] = write(undo=back, idempotent=True, **given)(fn)
        return made

    def _secrets(self) -> tuple[str, ...]:
        return (self.auth,) if self.auth else ()

    async def _get(self, where: PurePosixPath) -> bytes | None:
        if isinstance(self.root, Path):
            return await asyncio.to_thread(_content, self._inside(where))
        return (await self._asked("GET", where))[1]

    async def _tagged(self, where: PurePosixPath) -> tuple[bytes | None, str]:
        if isinstance(self.root, Path):
            found = await asyncio.to_thread(_content, self._inside(where))
            return found, _tag(found or b"")
        return (await self._asked("GET", where))[1:]

    async def _swap(self, where: PurePosixPath, data: bytes, tag: str) -> bool:
        """Whether it was replaced; False where it is another, or is not there."""
        if isinstance(self.root, Path):
            return await asyncio.to_thread(_replaced, self._inside(where), data, tag)
        status, _, _ = await self._asked("PUT", where, data, {"If-Match": tag})
        return status != HTTPStatus.PRECONDITION_FAILED

    async def _make(self, where: PurePosixPath, data: bytes) -> bool:
        """Whether it was made; False where there is one."""
        if isinstance(self.root, Path):
            return await asyncio.to_thread(_linked, self._inside(where), data)
        status, _, _ = await self._asked("PUT", where, data, {"If-None-Match": "*"})
        return status != HTTPStatus.PRECONDITION_FAILED

    async def _remove(self, where: PurePosixPath, data: bytes) -> None:
        if isinstance(self.root, Path):
            await asyncio.to_thread(_unlinked, self._inside(where), data)
            return
        _, found, tag = await self._asked("GET", where)
        if found == data:
            await self._asked("DELETE", where, headers={"If-Match": tag} if tag else {})

    def _inside(self, where: PurePosixPath) -> Path:
        assert isinstance(self.root, Path)  # noqa: S101  # its callers have looked
        root = self.root.resolve()
        path = (root / where).resolve()
        if not path.is_relative_to(root):
            raise Final(f"{where} leads out of the folder")
        return path

    async def _asked(
        self,
        method: str,
        where: PurePosixPath,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes | None, str]:
        """The status, the content (None: there is none), and the ETag.

        Raises:
            NotDone: if it was not sent.
            Unanswered: if nobody knows.
            Final: if it is refused.
        """
        own = {"Authorization": secret(self.auth).get_secret_value()} if self.auth else {}
        url = f"{str(self.root).rstrip('/')}/{quote(str(where))}"
        try:
            async with httpx2.AsyncClient(timeout=_SECONDS) as client:
                said = await client.request(
                    method, url, content=data, headers={**own, **(headers or {})}
                )
        except _NOT_SENT as error:
            raise NotDone(f"{method} {url} cannot be reached: {error}") from error
        except httpx2.HTTPError as error:
            raise Unanswered(f"{method} {url}: {error or type(error).__name__}") from error
        if said.status_code == HTTPStatus.NOT_FOUND and method != "PUT":
            return 404, None, ""
        if said.status_code == HTTPStatus.PRECONDITION_FAILED or said.is_success:
            if len(said.content) > LARGEST:
                raise Final(f"{url} has more than {LARGEST} bytes")
            return said.status_code, said.content, said.headers.get("etag", "")
        text = f"{method} {url} answered {said.status_code}"
        if said.is_server_error or said.status_code in {408, 425, 429}:
            raise Unanswered(text)
        raise Final(text)


def _below(path: str) -> PurePosixPath:
    """A path that stays below where it begins.

    Raises:
        Final: if it does not.
    """
    found = PurePosixPath(path)
    bad = {"..", "."} & set(path.split("/")) or "\\" in path or not path.isprintable()
    if bad or found.is_absolute() or not found.name or len(path) > _LONGEST:
        raise Final(f"{path!r} is no path below the files of this step")
    return found


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    if len(data) > LARGEST:
        raise Final(f"{path.name} has more than {LARGEST} bytes")
    return data


def _written(folder: Path, data: bytes) -> Path:
    """A whole file of no name that anybody knows."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return Path(file.name)


def _linked(path: Path, data: bytes) -> bool:
    """Make a file whole, where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = _written(path.parent, data)
    try:
        path.hardlink_to(made)
    except FileExistsError:
        return False
    finally:
        made.unlink()
    return True


def _replaced(path: Path, data: bytes, tag: str) -> bool:
    """Replace a file whole where it has this content. One process of ours at a time."""
    if not path.parent.is_dir():
        return False
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        found = _content(path)
        if found is None or _tag(found) != tag:
            return False
        _written(path.parent, data).replace(path)
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'


def _text(path: str, found: bytes | None) -> Untrusted:
    if found is None:
        raise Final(f"there is no file {path}")
    try:
        return Untrusted(untrusted=found.decode())
    except UnicodeDecodeError:
        raise Final(f"{path} is no text in UTF-8") from None


def _unlinked(path: Path, data: bytes) -> None:
    if _content(path) == data:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
