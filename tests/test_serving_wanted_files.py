"""A file that a prediction was given is there when it is begun, however long it waited; or the caller hears why not."""

import time

import pytest
from serving_runner_fixtures import House

from serving.storage.files import UPLOAD, WANTED_SECONDS, File
from serving.storage.prediction import Status
from serving.storage.tables import files as table
from serving.work.sweep import Sweep

WORDS = "[S1] Or so it says."


class HouseOfFiles(House):
    """heard: the recordings that its backend was given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.heard: list[bytes] = []
        make = self.backend.make

        def hear(attempt_id, inputs, folder, streaming, listener):
            self.heard.append(inputs.audio_prompt.read_bytes())
            return make(attempt_id, inputs, folder, streaming, listener)

        self.backend.make = hear

    def upload(self, expires_at: float) -> File:
        path = self.folder / "voice.wav"
        path.write_bytes(b"RIFF")
        described = {"owner": "alice", "kind": UPLOAD, "name": "voice.wav", "content_type": "audio/wav"}
        file = self.files.stage(path, **described, expires_at=expires_at)
        with self.engine.begin() as connection:
            return self.files.publish(file, connection)

    def accept_with(self, file: File) -> str:
        spoken = {"audio_prompt": f"file:{file.id}", "audio_prompt_text": WORDS}
        return self.accept(input={"text": "[S1] Hello.", **spoken})

    def sweep(self) -> None:
        """Of files alone."""
        Sweep(self.records, None, None, self.files, None, None, None, 1.0, 1.0).delete_files()

    def is_kept(self, file: File) -> bool:
        return file.id in self.stored


@pytest.fixture
def house(tmp_path):
    house = HouseOfFiles(tmp_path)
    yield house
    house.engine.dispose()


def test_a_file_that_expires_while_its_prediction_waits_is_kept_until_that_is_over(house):
    file = house.upload(time.time() - 1)
    name = house.accept_with(file)
    house.sweep()
    assert house.is_kept(file)
    house.worker.work(name)
    assert (house.now.status, house.heard) == (Status.SUCCEEDED, [b"RIFF"])
    with house.engine.begin() as connection:
        connection.execute(table.update().where(table.c.id == file.id).values(expires_at=time.time()))
    house.sweep()
    assert not house.is_kept(file)


def test_one_whose_time_came_while_every_process_was_down_is_still_heard(house):
    """Nobody has looked since who waits for it, and the first to look is the worker."""
    file = house.upload(time.time() - 2 * WANTED_SECONDS)
    house.worker.work(house.accept_with(file))
    assert (house.now.status, house.heard) == (Status.SUCCEEDED, [b"RIFF"])


@pytest.mark.parametrize("gone", ["row and bytes", "bytes alone"])
def test_one_that_its_owner_deleted_is_told_as_such(house, gone):
    """Before, where it was deleted in the moment of being read: something broke on our side."""
    file = house.upload(time.time() + 60)
    name = house.accept_with(file)
    if gone == "row and bytes":
        house.files.delete(file)
    else:
        (house.folder / "files" / file.key).unlink()
    house.worker.work(name)
    assert house.now.status is Status.FAILED
    assert house.now.problems == [["audio_prompt", "was deleted before this began. Send it again."]]
    assert house.heard == []
