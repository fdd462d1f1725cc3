"""Tryton's database, made once by its own program: ``python -m world.tryton.database``."""

import fcntl
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

NAME = "erp"
MODULES = ("party", "sale_opportunity")
_CONFIGURATION = """\
[database]
uri = sqlite://
path = {path}
[web]
listen = {listen}
"""


def template() -> Path:
    """Where the database stands that all copies are made of, whether or not it is made yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    made_of = "-".join((version("trytond"), *MODULES))
    return Path(os.environ.get("TRYTON_TEMPLATE") or Path(base, "handrail-world", made_of))


def made() -> Path:
    """The template's file; made now if it is not there, by one process at a time.

    Raises:
        subprocess.CalledProcessError: Tryton's own program failed; its errors are on stderr.
    """
    place = template()
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{NAME}.sqlite"
    with _alone(place / "lock"):
        if not file.exists():
            # In the same directory, so that it is there as a whole or not at all.
            with tempfile.TemporaryDirectory(dir=place) as work:
                _make(Path(work))
                (Path(work) / file.name).rename(file)
    return file


def placed(directory: Path, *, listen: str, key: str) -> Path:
    """Put a database into `directory` unless there is one; the configuration that serves it.

    `key` opens its REST interface from now on, and no other does.

    Raises:
        subprocess.CalledProcessError: as `made` says.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{NAME}.sqlite"
    if not file.exists():
        _copy(made(), file)
    with closing(sqlite3.connect(file, timeout=30)) as database, database:
        database.execute("delete from res_user_application")
        database.execute(
            "insert into res_user_application (application, key, state, user, create_uid) "
            "select 'rest', ?, 'validated', id, id from res_user where login = 'admin'",
            (key,),
        )
    return _configured(directory, listen)


def program(name: str) -> str:
    """The path of one of Tryton's programs: they are beside this Python."""
    return str(Path(sys.executable).with_name(name))


def main() -> None:
    """Make the template, and say where it is."""
    print(f"tryton's database is {made()}", flush=True)  # noqa: T201


def _make(work: Path) -> None:
    configuration = _configured(work, "127.0.0.1:0")
    (work / f"{NAME}.sqlite").touch()
    password = work / "password"
    password.write_text(secrets.token_urlsafe(24))  # nobody signs in with it
    admin = [program("trytond-admin"), "-c", str(configuration), "-d", NAME]
    for options in (("--all", "--email", "a@example.com"), ("-u", *MODULES)):
        more = ("--activate-dependencies",) if options[0] == "-u" else ()
        subprocess.run(  # noqa: S603 - its program is ours to choose
            [*admin, *options, *more],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"TRYTONPASSFILE": str(password)},
        )
    with closing(sqlite3.connect(work / f"{NAME}.sqlite")) as database:
        database.execute("pragma wal_checkpoint(truncate)")


def _copy(of: Path, to: Path) -> None:
    part = to.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(of)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.rename(to)


def _configured(directory: Path, listen: str) -> Path:
    file = directory / "trytond.conf"
    file.write_text(_CONFIGURATION.format(path=directory.absolute(), listen=listen))
    return file


@contextmanager
def _alone(path: Path) -> Generator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
