"""How a database is opened: by how many connections, and what is waited for."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
import sqlalchemy as sa

from serving.settings import Settings
from serving.storage.database import make_sqlite_file, open_database, open_queue, open_unsynced, sqlite_url

ROOT = Path(__file__).parent.parent


@pytest.fixture
def engines(tmp_path):
    make_sqlite_file(tmp_path / "x.db")
    url = sqlite_url(tmp_path / "x.db")
    engines = [open_database(url), open_unsynced(url), open_queue(url)]
    yield engines
    for engine in engines:
        engine.dispose()


def test_the_connections_of_a_process_are_as_many_as_is_said(engines):
    """Before, more than a hundred: PostgreSQL's own limit is that."""
    listening = 1  # of the queue
    kept = sum(engine.pool.size() for engine in engines) + listening
    most = kept + sum(engine.pool._max_overflow for engine in engines)
    assert (kept, most) == (10, 31)
    help_texts = {f.name: f.metadata["help"] for f in fields(Settings)}
    assert f"at most {most} connections" in help_texts["database_url"]
    assert f"at most {most} connections to PostgreSQL, about {kept} at rest" in (ROOT / "README.md").read_text()


def test_errors_of_no_engine_quote_values(engines):
    assert all(engine.hide_parameters for engine in engines)


def test_two_that_write_together_in_the_queues_database_wait_for_each_other(engines):
    """As DBOS's own engines do: one that reads first and writes then would else fail where another wrote meanwhile."""
    with engines[2].connect() as connection:
        assert connection.connection.dbapi_connection.isolation_level == "IMMEDIATE"


def test_a_database_that_another_is_switching_is_waited_for(tmp_path):
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE held (x)")
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.execute, ("ROLLBACK",))
        release.start()
        open_database(sqlite_url(path)).dispose()
        release.join()


def test_what_no_waiting_mends_is_told_at_once(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database at all, whatever its name" * 100)
    with pytest.raises(sa.exc.DatabaseError, match="not a database"):
        open_database(sqlite_url(tmp_path / "x.db"))
