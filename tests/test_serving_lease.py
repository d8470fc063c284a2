"""A name is one living process's at a time, and free again however its holder ended."""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
import sqlalchemy as sa
from serving_fixtures import wait_for

from serving.storage.database import open_database
from serving.storage.lease import DatabaseLease, FileLease, Lease

pytest_plugins = ["postgres_fixtures"]

HOLD = """
import sys, pathlib
from serving.storage.lease import FileLease
with FileLease(pathlib.Path(sys.argv[1]), "a") as lease:
    print(lease.held, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def engine(database_url):
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def end_session_of(engine: sa.Engine) -> None:
    """As a restart of the server would, or a network that breaks."""
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :name"
    with engine.connect() as connection:
        connection.execute(sa.text(others), {"name": engine.url.database})


def check_that_one_holds_it(lease: Callable[[str], AbstractContextManager[Lease]]) -> None:
    """lease: → that of a name."""
    with lease("a") as first, lease("a") as second, lease("b") as other:
        assert (first.held, second.held, other.held) == (True, False, True)
    assert not first.held
    with lease("a") as third:
        assert third.held


def test_a_file_is_held_once_and_free_after_its_holder(tmp_path):
    check_that_one_holds_it(partial(FileLease, tmp_path))


def test_a_file_is_free_once_its_holder_was_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        with FileLease(tmp_path, "a") as lease:
            assert not lease.held
        holder.kill()
        holder.wait()
        with FileLease(tmp_path, "a") as lease:
            assert lease.held


def test_programs_that_the_holder_starts_do_not_keep_its_lease(tmp_path):
    """ffmpeg may live on when its parent was killed."""
    with FileLease(tmp_path, "a"):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with child, FileLease(tmp_path, "a") as lease:
        assert lease.held
        child.stdin.close()


def test_a_lock_is_held_once_and_free_after_its_holder(engine):
    check_that_one_holds_it(partial(DatabaseLease, engine))


def test_a_lock_whose_session_ended_is_lost_and_stays_lost(engine):
    with DatabaseLease(engine, "a") as lease:
        end_session_of(engine)
        assert [lease.held, lease.held] == [False, False]
        with DatabaseLease(engine, "a") as other:
            assert other.held
            assert not lease.held


def test_a_lock_taken_away_within_the_session_is_noticed(engine):
    """A pooler between us and the server may lend one session to many."""
    with DatabaseLease(engine, "a") as lease:
        lease._connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
        assert not lease.held


def test_entering_without_a_database_raises_and_keeps_no_connection(engine, postgres):
    lease = DatabaseLease(engine, "a")
    postgres.stop()
    try:
        with pytest.raises(sa.exc.OperationalError), lease:
            pass
        assert not lease.held
    finally:
        postgres.start()
    with lease:
        assert lease.held
    assert engine.pool.checkedout() == 0


def test_the_lock_goes_with_a_killed_process(database_url, engine):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(database_url, held), daemon=True)
    holder.start()
    assert held.wait(60)
    with DatabaseLease(engine, "a") as lease:
        assert not lease.held
    holder.kill()
    holder.join()
    wait_for(lambda: _is_free(engine))


def _is_free(engine: sa.Engine) -> bool:
    with DatabaseLease(engine, "a") as lease:
        return lease.held


def _hold(url: str, held) -> None:
    with DatabaseLease(open_database(url), "a") as lease:
        assert lease.held
        held.set()
        multiprocessing.Event().wait()
