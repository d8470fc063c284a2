"""Finished songs in a bucket of Google Cloud Storage, under numbers that the caller's application gave them.

Knows no model and no door. A public container can be run by anyone, so storing needs a shared secret, the key: it is
compared in constant time before any work, and is never kept, logged or repeated. google-cloud-storage is imported when
there is something to store.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from models.errors import InvalidRequest, StorageFailed

if TYPE_CHECKING:
    from google.cloud.storage import Blob

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0  # of one call
RETRY_SECONDS = 60.0  # what may be tried again is, for this long
LINK_LIFE = timedelta(days=7)  # the longest that Google signs for

_HASH = "sha256:"
_DIGITS = re.compile(r"[0-9a-fA-F]{64}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


@dataclass(frozen=True)
class StoredSong:
    """Where a song is: gs://bucket/object, and an address of it for https, signed where the credentials can sign."""

    gcs_uri: str
    url: str


@dataclass(frozen=True)
class SongBucket:
    """Where this deployment stores songs, and who may. An object is `prefix/song_id.format`."""

    bucket: str
    prefix: str
    key_digest: bytes = field(repr=False)  # sha256

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """GCS_BUCKET, GCS_PREFIX and SONG_KEY, which is the key itself or `sha256:` and the 64 digits of its hash.

        None without GCS_BUCKET. Raises InvalidRequest for a bucket that no key protects, or that has no such name.
        """
        bucket = environ.get("GCS_BUCKET", "").strip()
        if not bucket:
            return None
        if not _BUCKET.fullmatch(bucket):
            raise InvalidRequest(
                "GCS_BUCKET", f"is {bucket!r}, which is no name of a bucket. Leave out gs:// and folders."
            )
        digest = _digest_of_setting(environ.get("SONG_KEY", ""))
        return cls(bucket, environ.get("GCS_PREFIX", "").strip().strip("/"), digest)

    def admit(self, song_id: int, key: str, output_format: str, count: int) -> None:
        """Refuse, before any work, a wrong key, and numbers that are taken: a song that is stored is never replaced.

        Raises InvalidRequest, or StorageFailed where the bucket cannot be asked.
        """
        if not hmac.compare_digest(_digest(key), self.key_digest):
            raise InvalidRequest("key", "does not match. Send the one that this deployment was given, or no song_id.")
        taken = [name for name in self.names(song_id, output_format, count) if self._is_taken(name)]
        if taken:
            raise InvalidRequest(
                "song_id", f"is {song_id}, and {', '.join(taken)} is stored already. Delete it, or send another number."
            )

    def names(self, song_id: int, output_format: str, count: int) -> Sequence[str]:
        """Objects of a song and its variations, whose names count from 2 on: 7.mp3, 7-2.mp3, 7-3.mp3."""
        stems = [f"{song_id}{'' if i == 1 else f'-{i}'}" for i in range(1, count + 1)]
        return [f"{self.prefix}/{stem}.{output_format}".removeprefix("/") for stem in stems]

    def store(self, path: Path, name: str, content_type: str, facts: Mapping[str, str], request_id: str) -> StoredSong:
        """Upload a file as `name`, if there is none; facts become its metadata. Raises StorageFailed with the reason.

        An upload whose answer was lost is tried again, and finds itself there: it is known by its request_id.
        """
        from google.api_core.exceptions import PreconditionFailed

        with self._object(name) as blob:
            blob.metadata = {**facts, "request_id": request_id}
            try:
                blob.upload_from_filename(
                    str(path),
                    content_type=content_type,
                    if_generation_match=0,
                    checksum="crc32c",
                    **_patience(),
                )
            except PreconditionFailed:
                blob.reload(**_patience())
                if (blob.metadata or {}).get("request_id") != request_id:
                    raise
            return StoredSong(f"gs://{self.bucket}/{name}", _link(blob))

    def _is_taken(self, name: str) -> bool:
        with self._object(name) as blob:
            return bool(blob.exists(**_patience()))

    @contextmanager
    def _object(self, name: str) -> Iterator["Blob"]:
        """By a client of its own, since threads may not share one. What goes wrong inside is a StorageFailed."""
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage import Client
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

        try:
            with closing(Client(project=None)) as client:
                yield client.bucket(self.bucket).blob(name)
        except (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, OSError) as error:
            # OSError is also what requests raises
            raise StorageFailed(f"gs://{self.bucket}/{name} cannot be stored: {error}") from error


def _patience() -> dict[str, object]:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return {"timeout": (CONNECT_SECONDS, ANSWER_SECONDS), "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}


def _link(blob: "Blob") -> str:
    from google.auth.credentials import Signing

    if isinstance(blob.client._credentials, Signing):
        return str(blob.generate_signed_url(version="v4", expiration=LINK_LIFE, method="GET"))
    return str(blob.public_url)


def _digest_of_setting(key: str) -> bytes:
    """Of SONG_KEY. What was meant as a hash and is none must not become the key itself: then no key would fit."""
    if not key:
        raise InvalidRequest("SONG_KEY", "is missing, and GCS_BUCKET is set. Set the secret that allows storing.")
    if not key.startswith(_HASH):
        return _digest(key)
    digits = key.removeprefix(_HASH)
    if not _DIGITS.fullmatch(digits):
        raise InvalidRequest(
            "SONG_KEY",
            f"begins with {_HASH} and goes on with {len(digits)} characters; a hash is 64 hexadecimal digits.",
        )
    return bytes.fromhex(digits)


def _digest(key: str) -> bytes:
    """Of one length, whatever the key's: how long a comparison takes tells nothing of it."""
    return hashlib.sha256(key.encode()).digest()
