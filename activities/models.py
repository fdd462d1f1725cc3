"""Models that agents decide by: each version kept under its digest, and which one is in use.

They are in a database of their own (`AGENT_MODELS`, an SQLAlchemy URL), so that all workers of an
agent go by one. Without it each process learns for itself, and nothing is ever put into use.
What a model is as bytes is its agent's own business.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from handrail import Final

META = sa.MetaData()
VERSIONS = sa.Table(
    "versions",
    META,
    sa.Column("agent", sa.String(80), primary_key=True),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
USES = sa.Table(
    "uses",
    META,
    sa.Column("agent", sa.String(80), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(700), nullable=False, unique=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("since", sa.Date, nullable=False),
)
"""One row each time that a version was put into use: an agent's last one is in use."""
DECLINED = sa.Table(
    "declined",
    META,
    sa.Column("key", sa.String(700), primary_key=True),
    sa.Column("agent", sa.String(80), nullable=False, index=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("replaces", sa.String(64), nullable=False),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("lead", sa.Integer, nullable=False),
    sa.Column("wrong", sa.Integer, nullable=False),
)
"""What people did not want used, with what spoke for it: so it is not proposed night by night."""

_tried: ContextVar[Mapping[str, str]] = ContextVar("tried", default={})  # noqa: B039 - never changed


class Use(NamedTuple):
    """A version that is in use, and since when. `number`: how many were before it."""

    version: str
    since: date
    number: int


class Declined(NamedTuple):
    """A version that people did not want in the place of `replaces`.

    `lead`: by how many decisions more it was as people; `wrong`: how many it had wrong.
    """

    version: str
    replaces: str
    since: date
    lead: int
    wrong: int


@dataclass(frozen=True)
class Shelf:
    """The versions of every agent's model."""

    engine: sa.Engine

    def keep(self, agent: str, body: bytes) -> str:
        """Keep a model; its version, the digest of what it is. The same again is the same."""
        version = hashlib.sha256(body).hexdigest()[:16]
        with contextlib.suppress(exc.IntegrityError), self.engine.begin() as db:
            db.execute(VERSIONS.insert().values(agent=agent, version=version, body=body))
        return version

    def body(self, agent: str, version: str) -> bytes:
        """A model.

        Raises:
            Final: it is not there, or is another than its version says.
        """
        where = (VERSIONS.c.agent == agent) & (VERSIONS.c.version == version)
        with self.engine.connect() as db:
            found = db.execute(sa.select(VERSIONS.c.body).where(where)).scalar()
        if found is None or hashlib.sha256(found).hexdigest()[:16] != version:
            raise Final(f"there is no model {version} of {agent} that is what it was")
        return found

    def discard(self, agent: str, version: str) -> None:
        """Take a version away that never was in use."""
        never = sa.select(USES.c.version).where(USES.c.agent == agent)
        where = (VERSIONS.c.agent == agent) & (VERSIONS.c.version == version)
        with self.engine.begin() as db:
            db.execute(VERSIONS.delete().where(where & VERSIONS.c.version.not_in(never)))

    def versions(self, agent: str) -> list[str]:
        """All versions of an agent's model."""
        found = sa.select(VERSIONS.c.version).where(VERSIONS.c.agent == agent)
        with self.engine.connect() as db:
            return list(db.execute(found).scalars())

    def use(self, agent: str) -> Use | None:
        """Which version is in use; none before the first."""
        with self.engine.connect() as db:
            return _last(db, agent)

    def decline(self, agent: str, what: Declined, key: str) -> None:
        """Keep that people did not want a version used; the same again is once."""
        row = {"agent": agent, "key": key} | what._asdict()
        with contextlib.suppress(exc.IntegrityError), self.engine.begin() as db:
            db.execute(DECLINED.insert().values(row))

    def forget(self, key: str) -> None:
        """Have nothing be declined under a key any more."""
        with self.engine.begin() as db:
            db.execute(DECLINED.delete().where(DECLINED.c.key == key))

    def declined(self, agent: str, replaces: str) -> Declined | None:
        """What people did not want last in the place of a version."""
        c = DECLINED.c
        query = sa.select(*(c[name] for name in Declined._fields))
        query = query.where((c.agent == agent) & (c.replaces == replaces))
        with self.engine.connect() as db:
            row = db.execute(query.order_by(c.since.desc(), c.lead.desc()).limit(1)).first()
        return None if row is None else Declined(*row)

    def put(self, agent: str, version: str, since: date, key: str, *, before: str | None) -> bool:
        """Put a version into use under a key, where `before` still is; the same again is once.

        Whether it did, now or before. Of two that come at once one has the number, or the key.
        """
        row = {"agent": agent, "version": version, "since": since, "key": key}
        with contextlib.suppress(exc.IntegrityError), self.engine.begin() as db:
            now = _last(db, agent)
            if (now.version if now else None) == before:
                number = now.number + 1 if now else 0
                db.execute(USES.insert().values(row | {"number": number}))
        with self.engine.connect() as db:
            return db.execute(sa.select(USES.c.key).where(USES.c.key == key)).scalar() is not None


def _last(db: sa.Connection, agent: str) -> Use | None:
    last = USES.select().where(USES.c.agent == agent).order_by(USES.c.number.desc()).limit(1)
    row = db.execute(last).first()
    return None if row is None else Use(row.version, row.since, row.number)


def shelf() -> Shelf | None:
    """The shelf, if there is one."""
    url = os.environ.get("AGENT_MODELS")
    return _opened(url) if url else None


@functools.cache
def _opened(url: str) -> Shelf:
    engine = sa.create_engine(url)
    META.create_all(engine)
    return Shelf(engine)


def chosen(agent: str, learn: Callable[[], bytes]) -> tuple[str, bytes] | None:
    """The version that an agent decides by, and its bytes; None without a shelf.

    It is the one that is tried (`trying`, or `AGENT_MODEL_SUPPORT=VERSION` in the environment),
    or the one in use. Where there is none yet, the first one is learnt now, and is in use.
    """
    has = shelf()
    if has is None:
        return None
    version = _tried.get().get(agent) or os.environ.get(f"AGENT_MODEL_{agent.upper()}")
    if version is None:
        now = has.use(agent)
        if now is None:
            first = has.keep(agent, learn())
            has.put(agent, first, date.min, f"first/{agent}", before=None)
            now = has.use(agent)
        version = now.version if now else ""
    return version, _body(has, agent, version)


@functools.lru_cache(maxsize=8)
def _body(has: Shelf, agent: str, version: str) -> bytes:
    return has.body(agent, version)


@contextlib.contextmanager
def trying(agent: str, version: str) -> Generator[None]:
    """Have an agent's steps decide by another version, in this context alone."""
    token = _tried.set({**_tried.get(), agent: version})
    try:
        yield
    finally:
        _tried.reset(token)
