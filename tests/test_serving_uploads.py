"""What callers send is kept within limits, however many send together, and nothing of it stays when a process dies."""

import io
import os
import threading
import time

import pytest
from serving_crash_fixtures import Killed, killed_before

from models.errors import InvalidRequest, Overloaded
from serving.storage import voices as voices_module
from serving.storage.database import open_database, sqlite_url
from serving.storage.files import ARRIVAL_SECONDS, UPLOAD, VOICE, Files
from serving.storage.limits import Limits
from serving.storage.store import FolderStore
from serving.storage.uploads import Uploads
from serving.storage.voices import Voice, Voices
from serving.storage.workspace import TooManyBytes, Workspace, write_at_most

pytest_plugins = ["postgres_fixtures"]

LIMITS = Limits(upload_bytes=100, uploads=3, uploads_bytes=250)


class House:
    def __init__(self, folder, url: str) -> None:
        self.folder = folder
        self.engine = open_database(url)
        self.files = Files(self.engine, FolderStore(folder / "files"), Workspace(folder / "work" / "arriving"))
        self.uploads = Uploads(self.engine, self.files, LIMITS, 3600.0)
        self.voices = Voices(self.engine, self.files)

    def keep(self, size: int = 1, owner: str = "alice"):
        return self.uploads.keep(io.BytesIO(bytes(size)), owner=owner, name="a", content_type="audio/wav")

    def add_voice(self, name: str = "Ann") -> Voice:
        described = {"owner": "alice", "kind": VOICE, "name": "voice.flac", "content_type": "audio/flac"}
        path = self.folder / f"{name}.flac"
        path.write_bytes(b"fLaC")
        file = self.files.stage(path, **described)
        return self.voices.add(Voice("alice", name, "I agree.", "", file.id), file)

    @property
    def left(self) -> list[str]:
        """Files in the store, and those on their way."""
        found = [*(self.folder / "files").rglob("*"), *(self.folder / "work").rglob("*")]
        return [path.name for path in found if path.is_file()]


@pytest.fixture
def house(either_url, tmp_path):
    house = House(tmp_path, either_url)
    yield house
    house.engine.dispose()


def together(number: int, call) -> list[Exception]:
    """What was raised."""
    ready, raised = threading.Barrier(number), []

    def one() -> None:
        ready.wait()
        try:
            call()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_an_upload_is_kept_as_it_was_sent_for_its_time(house):
    file = house.keep(100)
    assert b"".join(house.files.read(file)) == bytes(100)
    assert 3500 < file.expires_at - time.time() < 3700
    assert house.left == [file.id]


def test_one_of_more_bytes_than_the_limit_is_not_kept(house):
    with pytest.raises(TooManyBytes):
        house.keep(101)
    assert house.left == []


def test_the_bytes_of_the_new_file_count_too(house):
    """Before, the last of them could be as large as it liked."""
    kept = [house.keep(100), house.keep(100)]
    with pytest.raises(Overloaded, match="You have 2 files of 200 bytes here; at most 3 and 250 bytes are kept"):
        house.keep(51)
    assert sorted(house.left) == sorted(file.id for file in kept)
    house.keep(50)


def test_of_many_that_come_together_no_more_are_kept_than_may_be(house):
    """Before, all of them counted first, and then all were kept."""
    refused = together(8, house.keep)
    assert [type(error) for error in refused] == [Overloaded] * 5
    assert house.files.count("alice", UPLOAD) == (3, 3)
    assert len(house.left) == 3
    house.keep(owner="bob")


def test_of_many_voices_that_come_together_no_more_are_kept_than_may_be(house, monkeypatch):
    monkeypatch.setattr(voices_module, "MOST_VOICES", 2)
    names = iter("abcdef")
    refused = together(6, lambda: house.add_voice(next(names)))
    assert [type(error) for error in refused] == [Overloaded] * 4
    assert len(house.voices.of("alice")) == len(house.left) == 2


def test_of_two_voices_of_one_name_that_come_together_one_is_kept(house):
    assert [type(error) for error in together(3, house.add_voice)] == [InvalidRequest] * 2
    assert len(house.voices.of("alice")) == len(house.left) == 1


def test_a_deleted_voice_leaves_nothing_at_whatever_moment_its_process_dies(tmp_path):
    """Before, its recording stayed for ever when that was between its two steps."""
    for number in range(20):
        house = House(tmp_path / str(number), sqlite_url(tmp_path / f"{number}.db"))
        voice = house.add_voice()
        with killed_before(house.engine, number) as killed:
            house.voices.remove(voice)
        house.files.delete_expired(time.time() + 1)
        kept = house.voices.of("alice")
        assert len(house.left) == len(kept)
        assert bool(house.files.get(voice.file)) == bool(kept)
        house.engine.dispose()
        if not killed:
            break
    assert not killed
    assert number > 3


def test_a_recording_whose_bytes_could_not_be_deleted_with_its_voice_is_swept(house, monkeypatch):
    voice = house.add_voice()

    def die(self, key: str) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(FolderStore, "delete", die)
        with pytest.raises(Killed):
            house.voices.remove(voice)
    assert house.voices.of("alice") == []
    assert house.files.get(voice.file) is None
    assert house.left == [voice.file]
    assert house.files.delete_expired(time.time()) == 1
    assert house.left == []


def test_what_a_killed_process_left_on_its_way_is_swept_and_what_is_written_now_is_not(tmp_path):
    """Before, it lay in the system's folder, up to a hundred megabytes of each upload, for ever."""
    workspace = Workspace(tmp_path / "arriving")
    for name in ("old", "young"):
        (tmp_path / "arriving" / name).mkdir()
        (tmp_path / "arriving" / name / "upload").write_bytes(b"half")
    os.utime(tmp_path / "arriving" / "old" / "upload", (0, 0))
    os.utime(tmp_path / "arriving" / "old", (0, 0))
    os.utime(tmp_path / "arriving" / "young", (0, 0))  # its file is still written to
    workspace.sweep(time.time() - ARRIVAL_SECONDS)
    assert [path.name for path in (tmp_path / "arriving").iterdir()] == ["young"]


def test_a_folder_is_within_the_services_data_and_gone_at_the_end(tmp_path):
    workspace = Workspace(tmp_path / "arriving")
    with workspace.folder() as folder:
        write_at_most(io.BytesIO(b"abc"), folder / "a", 3)
        assert folder.parent == tmp_path / "arriving"
    assert list((tmp_path / "arriving").iterdir()) == []
