"""Bytes that were put are there, whole, whatever happens; bytes that nobody knows of go."""

import hashlib
import os
import time

import obstore.store
import pytest
import sqlalchemy as sa
from serving_crash_fixtures import Killed

from serving.storage import database, store, tables
from serving.storage.files import ARRIVAL_SECONDS, OUTPUT, UNSEEN, UPLOAD, File, Files
from serving.storage.store import CHUNK_BYTES, BucketStore, FolderStore, open_store
from serving.storage.workspace import Workspace

CONTENT = os.urandom(CHUNK_BYTES + 77)


@pytest.fixture(params=["folder", "bucket"])
def kept(request, tmp_path):
    if request.param == "folder":
        return FolderStore(tmp_path / "files")
    return BucketStore(obstore.store.MemoryStore())


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def engine(tmp_path):
    engine = database.open_database(database.sqlite_url(tmp_path / "x.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def files(engine, kept, tmp_path):
    return Files(engine, kept, Workspace(tmp_path / "work"))


def put(files: Files, source, **described):
    given = {"owner": "alice", "kind": UPLOAD, "name": "a.wav", "content_type": "audio/wav"}
    return files.stage(source, **{**given, **described})


def add(files: Files, file: File) -> File:
    """One that was put, seen from now on."""
    with files._engine.begin() as connection:
        return files.publish(file, connection)


def stored(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("start", "end"), [(0, len(CONTENT)), (0, 1), (5, CHUNK_BYTES + 3), (7, 7)])
def test_what_was_put_is_read(kept, source, start, end):
    kept.put("ab/abc", source)
    assert b"".join(kept.read("ab/abc", start, end)) == CONTENT[start:end]


def test_a_missing_key_is_missed_before_the_first_byte(kept):
    with pytest.raises(FileNotFoundError):
        kept.read("ab/abc", 0, 1)


def test_what_is_deleted_is_gone_and_may_be_deleted_again(kept, source):
    kept.put("ab/abc", source)
    for _ in range(2):
        kept.delete("ab/abc")
    with pytest.raises(FileNotFoundError):
        kept.read("ab/abc", 0, 1)


def test_a_bucket_is_opened_by_its_url_and_a_folder_without(tmp_path):
    assert isinstance(open_store(tmp_path / "files", None), FolderStore)
    assert isinstance(open_store(tmp_path / "files", "memory:///"), BucketStore)


@pytest.mark.parametrize("killed_in", ["_copy_to_disk", "_sync_folder"])
def test_a_key_is_whole_or_not_there_whenever_the_process_dies(tmp_path, source, monkeypatch, killed_in):
    """The temporary file of the dead stays, as after a power cut, until a sweep."""
    kept = FolderStore(tmp_path / "files")
    done = getattr(store, killed_in)

    def die(*given):
        done(*given)
        raise Killed

    monkeypatch.setattr(store, killed_in, die)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    with pytest.raises(Killed):
        kept.put("ab/abc", source)
    monkeypatch.undo()
    assert [name for name in stored(tmp_path / "files") if name == "abc"] == ["abc"] * (killed_in == "_sync_folder")
    kept.sweep(time.time() + 1)
    assert stored(tmp_path / "files") == ["abc"] * (killed_in == "_sync_folder")


def test_a_sweep_leaves_what_is_still_being_written(tmp_path):
    kept = FolderStore(tmp_path / "files")
    (tmp_path / "files" / ".arriving" / "1").write_bytes(b"half")
    kept.sweep(time.time() - 60)
    assert stored(tmp_path / "files") == ["1"]
    kept.sweep(time.time() + 60)
    assert stored(tmp_path / "files") == []


def test_a_file_is_seen_only_once_it_is_added(files, source):
    file = put(files, source, kind=OUTPUT)
    assert files.get(file.id) is None
    add(files, file)
    assert files.get(file.id) == file
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert b"".join(files.read(file)) == CONTENT


def test_what_is_wanted_longer_expires_later_and_never_sooner(files, source):
    soon, late, bare = (add(files, put(files, source, expires_at=at)) for at in (time.time() + 60, 4e9, None))
    assert files.keep_until([soon.id, late.id, bare.id, "unknown"], 3e9) == 3
    assert [files.get(file.id).expires_at for file in (soon, late, bare)] == [3e9, 4e9, None]
    files.delete_expired(time.time() + 120)
    assert files.get(soon.id) is not None


def test_bytes_whose_row_was_never_added_are_swept(files, kept, source):
    """The process died between the two."""
    file = put(files, source)
    files.delete_expired(time.time())
    assert b"".join(kept.read(file.key, 0, 1))
    assert files.delete_expired(time.time() + ARRIVAL_SECONDS + 1) == 1
    with pytest.raises(FileNotFoundError):
        kept.read(file.key, 0, 1)


def test_a_row_whose_transaction_failed_is_not_seen(files, source, engine):
    file = put(files, source)
    with engine.begin() as connection:
        files.publish(file, connection)
        connection.rollback()
    assert files.get(file.id) is None


@pytest.mark.parametrize("step", ["before the bytes went", "after the bytes went"])
def test_a_deletion_that_was_cut_short_is_finished_by_the_sweep(files, kept, source, monkeypatch, engine, step):
    file = add(files, put(files, source))
    delete = kept.delete

    def die(key):
        if step == "after the bytes went":
            delete(key)
        raise Killed

    monkeypatch.setattr(kept, "delete", die)
    with pytest.raises(Killed):
        files.delete(file)
    monkeypatch.undo()
    assert files.get(file.id) is None
    assert files.delete_expired(time.time()) == 1
    with engine.connect() as connection:
        assert connection.execute(sa.select(tables.files)).all() == []
    with pytest.raises(FileNotFoundError):
        kept.read(file.key, 0, 1)


def test_what_takes_longer_than_it_may_is_refused_rather_than_seen_without_bytes(files, source):
    file = put(files, source)
    files.delete_expired(time.time() + ARRIVAL_SECONDS + 1)
    with pytest.raises(AssertionError):
        add(files, file)
    assert files.get(file.id) is None


def test_unseen_files_are_in_no_page_and_count(files, source):
    put(files, source)
    assert files.page("alice", UPLOAD, limit=10) == []
    assert files.count("alice", UPLOAD) == (0, 0)
    assert files.page("alice", UNSEEN, limit=10)  # the sweep's own view


def test_one_that_cannot_be_deleted_keeps_no_other_and_is_next_time(files, kept, source, monkeypatch, caplog):
    """Before, the sweep ended at the first, each time."""
    expired = [add(files, put(files, source, expires_at=time.time() - number)) for number in range(3)]
    delete = kept.delete

    def refuse(key: str) -> None:
        if key == expired[1].key:
            raise PermissionError("the bucket does not let us")
        delete(key)

    with monkeypatch.context() as refusing:
        refusing.setattr(kept, "delete", refuse)
        assert files.delete_expired(time.time()) == 2
    assert expired[1].id in caplog.text
    assert files.delete_expired(time.time()) == 1


def test_one_that_is_wanted_again_in_the_moment_of_its_deletion_is_kept(files, kept, source, monkeypatch):
    """Before, it was accepted as an input, and gone."""
    wanted, other = (add(files, put(files, source, expires_at=time.time() + 60)) for _ in range(2))
    select = files._select

    def wanted_meanwhile(*given, **options):
        found = select(*given, **options)
        assert files.keep_until([wanted.id], time.time() + 7200) == 1
        return found

    later = time.time() + 100
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(files, "_select", wanted_meanwhile)
        assert files.delete_expired(later) == 1
    assert b"".join(kept.read(wanted.key, 0, 1))
    assert files.get(wanted.id).expires_at > later
    assert files.keep_until([other.id], time.time() + 7200) == 0  # whoever wants it is told that it is gone
