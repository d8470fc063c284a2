"""Songs with a number go into a bucket over Cog's real server, for those who have the key, which nobody sees.

The models are constants, and fake-gcs-server takes the songs. What the bucket itself is asked: test_songs.py.
"""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from engine_fixtures import ConstantPipeline, until
from google.cloud.storage import Bucket, Client
from music_server_fixtures import REFERENCE, SHORT, content_of, made, refused, succeeded, write_constant_predictor
from serving_http_fixtures import reply, serve
from songs_fixtures import fake_storage

from container.client import CogClient
from container.server import CogServer
from models.errors import InvalidRequest, StorageFailed
from models.inputs import MusicInputs
from prediction.music import MusicMaker

KEY = "correct horse battery staple"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with fake_storage(), closing(Client(project=None)) as client:
        yield client.create_bucket("songs-of-ours", project="p")


@pytest.fixture(scope="module")
def server(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    folder = write_constant_predictor(tmp_path_factory.mktemp("music"))
    songs = {"GCS_BUCKET": bucket.name, "GCS_PREFIX": "songs", "SONG_KEY": KEY}
    with CogServer(REFERENCE, folder, songs) as running:
        yield running


@pytest.fixture
def client(server: CogServer) -> CogClient:
    return server.client


def test_a_song_with_a_number_is_stored_under_it(client: CogClient, bucket: Bucket) -> None:
    answer = made(client, song_id=1, key=KEY)
    assert answer["song_id"] == 1
    assert answer["gcs_uri"] == "gs://songs-of-ours/songs/1.wav"
    assert answer["url"].endswith("/songs-of-ours/songs/1.wav")
    blob = bucket.get_blob("songs/1.wav")
    assert blob.download_as_bytes() == content_of(answer)
    assert blob.content_type == "audio/wav"
    assert (blob.metadata["seed"], blob.metadata["model"]) == ("7", "musicgen-melody")
    assert len(blob.metadata["prompt_sha256"]) == 64


def test_variations_are_stored_beside_each_other(client: CogClient, bucket: Bucket) -> None:
    answer = made(client, song_id=2, key=KEY, count=2)
    assert answer["variations"][0]["gcs_uri"] == "gs://songs-of-ours/songs/2-2.wav"
    assert bucket.get_blob("songs/2-2.wav").metadata["seed"] == "8"


def test_what_is_stored_before_a_variation_fails_is_named(bucket: Bucket) -> None:
    """Whoever sends the number again meets it there."""

    def load(name: str) -> ConstantPipeline:  # between the look at the bucket and the upload
        bucket.blob("6-2.wav").upload_from_string(b"somebody else's")
        return ConstantPipeline(name)

    maker = MusicMaker(load, environ={"GCS_BUCKET": bucket.name, "SONG_KEY": KEY})
    with pytest.raises(
        StorageFailed, match=r"(?s)6-2\.wav cannot be stored: 412.*; stored .*: gs://songs-of-ours/6\.wav$"
    ):
        maker.make(MusicInputs.parse(**SHORT, count=2, song_id=6, key=KEY))
    assert bucket.get_blob("6.wav") is not None


@pytest.mark.parametrize(("number", "key"), [*enumerate(["wrong", KEY + "!", ""])])
def test_a_wrong_key_makes_nothing(server: CogServer, bucket: Bucket, number: int, key: str) -> None:
    wrong = refused(server, f"wrong-{number}", song_id=3, key=key)
    assert "key: does not match" in wrong.error
    assert "seed:" not in wrong.printed
    assert bucket.get_blob("songs/3.wav") is None


def test_a_number_that_is_taken_makes_nothing_and_replaces_nothing(
    client: CogClient, server: CogServer, bucket: Bucket
) -> None:
    first = content_of(made(client, song_id=4, key=KEY))
    second = refused(server, "taken", song_id=4, key=KEY, seed=50)
    assert "song_id: is 4, and songs/4.wav is stored already" in second.error
    assert "seed:" not in second.printed
    assert bucket.get_blob("songs/4.wav").download_as_bytes() == first


def test_the_key_is_in_no_answer_and_in_no_log(client: CogClient, server: CogServer, bucket: Bucket) -> None:
    response = client.predict({**SHORT, "song_id": 5, "key": KEY})
    succeeded(response)
    assert KEY not in response.text
    assert not [line for line in server.log if KEY in line.text]
    assert KEY not in json.dumps(bucket.get_blob("songs/5.wav").metadata)


def test_the_key_is_not_in_the_trace_of_what_breaks(server: CogServer) -> None:
    broken = refused(server, "broken", prompt="broken", song_id=404, key=KEY)
    assert "Traceback" in broken.printed
    assert KEY not in broken.printed + broken.error


@pytest.mark.parametrize(("key", "ends"), [(KEY, b"succeeded"), (f"{KEY}!", b"failed")], ids=["right", "wrong"])
def test_the_key_is_in_no_webhook(client: CogClient, key: str, ends: bytes) -> None:
    with serve() as told:
        told.answers["/"] = reply()
        asked = {**SHORT, "song_id": 8, "key": key}
        body = {
            "input": asked,
            "webhook": told.url(),
            "webhook_events_filter": ["start", "output", "logs", "completed"],
        }
        answer = client.request("POST", "/predictions", body)
        until(lambda: any(ends in one.body for one in told.asked))
    heard = b"".join([answer.body, *(one.body for one in told.asked)])
    assert ends in answer.body
    assert KEY.encode() not in heard


def test_a_deployment_without_a_bucket_stores_nothing() -> None:
    loaded: list[str] = []
    maker = MusicMaker(loaded.append, environ={})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"song_id: is given, .* GCS_BUCKET"):
        maker.make(MusicInputs.parse(prompt="piano", song_id=1, key="any"))
    assert not loaded
