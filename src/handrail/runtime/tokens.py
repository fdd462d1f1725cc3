"""Bearer tokens: which programs may send events and read, of which agents, and for which person.

A file holds their names and digests, never a token. It is read at each request, so that one that
is taken out of it is refused at once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from handrail.actions import Wire, person
from handrail.exceptions import ConfigurationError, InvalidRequest

ALL = "*"
"""Every agent."""


class ApiToken(Wire):
    """A token: the name of who has it, which is who asks; its SHA-256; and the agents it is for.

    `reads`: it is also for reading their cases and questions, by MCP and the HTTP API.
    `person`: whose it is. With one of a person's they read and rule as that person; with one of
    a program's nobody rules.
    """

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s:][^\n]*$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    agents: tuple[str, ...] = (ALL,)
    reads: bool = False
    person: str = ""

    @property
    def asker(self) -> str:
        """Who asks for what is sent with it, and so may not approve it."""
        return self.person or self.name

    def is_for(self, agent: str) -> bool:
        """Whether it is for an agent."""
        return ALL in self.agents or agent in self.agents


_TOKENS = TypeAdapter(tuple[ApiToken, ...])


class TokenFile:
    """The tokens of a file; without it there are none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tokens(self) -> tuple[ApiToken, ...]:
        """All of them.

        Raises:
            ConfigurationError: if the file cannot be used.
        """
        try:
            return _TOKENS.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            raise ConfigurationError(
                f"{self.path} cannot be used: {error}; fix: `handrail tokens new` writes it"
            ) from error

    def of(self, bearer: str) -> ApiToken | None:
        """The one whose holder sent this; all are compared, whichever it is."""
        digest = _digest(bearer)
        found = [each for each in self.tokens() if hmac.compare_digest(each.sha256, digest)]
        return found[0] if found and bearer else None

    def new(
        self, name: str, agents: tuple[str, ...], *, reads: bool = False, whose: str = ""
    ) -> str:
        """Make a token, and keep its digest. It is said this once.

        Raises:
            InvalidRequest: if there is one of the name, or it can be no name.
            ConfigurationError: if the file cannot be used.
        """
        known = self.tokens()
        if any(each.name == name for each in known):
            raise InvalidRequest(f"there is a token of {name} already; `tokens revoke` ends it")
        made = f"hr_{secrets.token_urlsafe(32)}"
        try:
            token = ApiToken(
                name=name,
                sha256=_digest(made),
                agents=agents or (ALL,),
                reads=reads,
                person=person(whose),
            )
        except ValidationError as error:
            raise InvalidRequest(f"{name!r} can be no name of a token", "name") from error
        self._write((*known, token))
        return made

    def revoke(self, name: str) -> None:
        """Take a token out: it is refused from the next request on.

        Raises:
            InvalidRequest: if there is none of that name.
            ConfigurationError: if the file cannot be used.
        """
        known = self.tokens()
        kept = tuple(each for each in known if each.name != name)
        if len(kept) == len(known):
            raise InvalidRequest(f"there is no token of {name}", "name")
        self._write(kept)

    def _write(self, tokens: tuple[ApiToken, ...]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                file.write(json.dumps(_TOKENS.dump_python(tokens, mode="json"), indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(self.path)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error}") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
