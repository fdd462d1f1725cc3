"""What may be used once, or not any more: sign-in links, and sessions that were ended.

In a file, because a link that was used must stay used when the inbox is started again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Self

from handrail.exceptions import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Once:
    """Ids that were spent, each kept until it could not be used anyway."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if there is none.

        Raises:
            ConfigurationError: if it cannot be used.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("pragma journal_mode = wal")
            self._file.execute(
                "create table if not exists spent (id text primary key, until real not null)"
            )
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"{path} cannot be used by the inbox: {error}") from error

    def spend(self, what: str, until: datetime, now: datetime) -> bool:
        """Use it. False if it was used before."""
        self._file.execute("delete from spent where until < ?", (now.timestamp(),))
        done = self._file.execute(
            "insert or ignore into spent values (?, ?)", (what, until.timestamp())
        )
        return done.rowcount == 1

    def spent(self, what: str) -> bool:
        """Whether it was used."""
        found = self._file.execute("select 1 from spent where id = ?", (what,))
        return found.fetchone() is not None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()
