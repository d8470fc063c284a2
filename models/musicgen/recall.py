"""What was made of the recordings used last, so that the same one is worked on once. Knows nothing of what it keeps.

Several variations of one request bring the same recording, and each asks for itself.
"""

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

from models.request import Audio

KEPT = 32  # recordings

Made = TypeVar("Made")


class Recall(Generic[Made]):
    """By the samples of a recording. Any number of threads may use it."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._made: OrderedDict[bytes, Made] = OrderedDict()
        self._lock = Lock()

    def get(self, audio: Audio) -> Made | None:
        """What was put for these samples, if it is still there."""
        key = _key(audio)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def put(self, audio: Audio, made: Made) -> None:
        """Remember; the one used longest ago is forgotten."""
        with self._lock:
            self._made[_key(audio)] = made
            while len(self._made) > self._most:
                self._made.popitem(last=False)


def _key(audio: Audio) -> bytes:
    return hashlib.sha256(repr(audio.shape).encode() + audio.tobytes()).digest()
