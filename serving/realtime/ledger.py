"""What a conversation holds, in bytes of audio and characters, without counting it all anew each time."""

from typing import Generic, Protocol, TypeVar


class Weighed(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def audio_bytes(self) -> int: ...

    @property
    def letters(self) -> int: ...


T = TypeVar("T", bound=Weighed)


class Ledger(Generic[T]):
    """Of what has been weighed and not dropped, as it was then. audio: bytes; letters: characters."""

    def __init__(self) -> None:
        self.audio = self.letters = 0
        self._weights: dict[str, tuple[int, int]] = {}
        self._sounding: dict[str, T] = {}  # those with audio, in the order in which it came

    def weigh(self, item: T) -> None:
        """For the first time, or again because it has changed."""
        self._count(item.id, (item.audio_bytes, item.letters))
        if item.audio_bytes:
            self._sounding.setdefault(item.id, item)
        else:
            self._sounding.pop(item.id, None)

    def drop(self, item: T) -> None:
        self._count(item.id, (0, 0))
        del self._weights[item.id]
        self._sounding.pop(item.id, None)

    def first_heard(self, besides: T) -> T | None:
        """Of those that have audio."""
        return next((item for item in self._sounding.values() if item is not besides), None)

    def _count(self, item_id: str, weight: tuple[int, int]) -> None:
        audio, letters = self._weights.get(item_id, (0, 0))
        self.audio += weight[0] - audio
        self.letters += weight[1] - letters
        self._weights[item_id] = weight
