"""A PostgreSQL of the tests' own: a server in a temporary folder, reached by a socket there, and empty databases."""

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from serving.storage.database import sqlite_url

SYSTEM_USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root
OPTIONS = (
    "-c listen_addresses='' -c fsync=off -c synchronous_commit=on -c max_connections=300 -c shared_buffers=32MB "
    "-c max_wal_size=200MB -c autovacuum=off -c log_min_messages=fatal"
)


@dataclass(frozen=True)
class PostgresServer:
    programs: Path  # the folder of initdb and pg_ctl
    folder: Path  # of the data and of the socket

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://parley@/{database}?host={self.folder}"

    def control(self, *arguments: str) -> None:
        """start, stop or restart; returns when it is done."""
        command = (self.programs / "pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", *arguments)
        _as_another(command, self.folder)

    def start(self) -> None:
        self.control("-o", f"-c unix_socket_directories={self.folder} {OPTIONS}", "start")

    def stop(self) -> None:
        self.control("-m", "immediate", "stop")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server; a test that stops it must start it again."""
    with postgres_server() as server:
        yield server


_numbers = count(1)


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    """Of an empty database."""
    name = f"parley_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def either_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database, of each kind in turn."""
    return sqlite_url(tmp_path / "x.db") if request.param == "sqlite" else request.getfixturevalue("database_url")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: Debian's package is postgresql")
    if os.geteuid() == 0 and _user() is None:
        pytest.skip(f"PostgreSQL does not run as root, and there is none of the users {', '.join(SYSTEM_USERS)}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path may have 107 characters, fewer than pytest's
    try:
        if (user := _user()) is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        made = (programs / "initdb", "-D", folder / "data", "-U", "parley", "-A", "trust", "-E", "UTF8", "--no-sync")
        _as_another((*made, "--locale=C"), folder)
        server = PostgresServer(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """The newest that is installed. Debian keeps them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def _user() -> pwd.struct_passwd | None:
    """Who the server runs as, if not as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((known[name] for name in SYSTEM_USERS if name in known), None)


def _as_another(command: Sequence[Any], folder: Path) -> None:
    user = _user()
    who: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    name = user.pw_name if user else getpass.getuser()
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "USER": name, "LC_ALL": "C"}
    # Into a file: the server inherits what its parent writes to, and a pipe would never end.
    with (folder / "control.log").open("ab") as log:
        done = subprocess.run([str(part) for part in command], stdout=log, stderr=log, cwd=folder, env=environ, **who)
    assert done.returncode == 0, (folder / "control.log").read_text()
