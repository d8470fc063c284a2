"""The voices that a caller may name: the two built-in speakers, and recordings of their own. Knows no HTTP."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace

import sqlalchemy as sa

from models.errors import InvalidRequest, Overloaded, ParleyError
from serving.storage.database import alone
from serving.storage.files import File, Files
from serving.storage.ids import new_id
from serving.storage.tables import voices as table

ID_PREFIX = "voice_"
MOST_VOICES = 100  # of one owner
LONGEST_NAME = 64  # characters

BUILT_IN: Mapping[str, str] = {"s1": "[S1]", "s2": "[S2]"}
# As they sound at OpenAI: the first speaker of the small checkpoint is a man, the second a woman.
OPENAI_VOICES: Mapping[str, str] = {
    **dict.fromkeys(("ash", "ballad", "cedar", "echo", "fable", "onyx", "verse"), "[S1]"),
    **dict.fromkeys(("alloy", "coral", "marin", "nova", "sage", "shimmer"), "[S2]"),
}
SPEAKERS: Mapping[str, str] = {**BUILT_IN, **OPENAI_VOICES}  # every name that is no recording's → who speaks


@dataclass(frozen=True)
class Voice:
    """A recording whose speaker agreed to be cloned. created_at: seconds since 1970."""

    owner: str
    name: str
    consent: str  # who agreed to what, in the owner's words
    transcript: str  # what the recording says; "" as long as nobody has written it down
    file: str  # its id
    created_at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: ID_PREFIX + new_id())


_COLUMNS = [table.c[f.name] for f in fields(Voice)]


class Voices:
    def __init__(self, engine: sa.Engine, files: Files) -> None:
        self._engine, self._files = engine, files

    def of(self, owner: str, connection: sa.Connection | None = None) -> list[Voice]:
        """Newest first; in this transaction if one is given."""
        newest = (table.c.created_at.desc(), table.c.id)
        with nullcontext(connection) if connection is not None else self._engine.connect() as asked:
            rows = asked.execute(sa.select(*_COLUMNS).where(table.c.owner == owner).order_by(*newest))
            return [Voice(**row) for row in rows.mappings()]

    def find(self, owner: str, named: str) -> Voice | None:
        """By name or by id: no name looks like an id."""
        return next((voice for voice in self.of(owner) if named in (voice.id, voice.name)), None)

    def check(self, owner: str, name: str, connection: sa.Connection | None = None) -> None:
        """Whether the owner may add a voice of this name. Raises InvalidRequest and Overloaded."""
        check_name(name)
        others = self.of(owner, connection)
        if len(others) >= MOST_VOICES:
            raise Overloaded(f"You have {len(others)} voices, the most that are kept. Delete one.")
        if name in (voice.name for voice in others):
            raise _taken(name)

    def add(self, voice: Voice, file: File) -> Voice:
        """file: its recording, staged; it is deleted where the voice is refused. Raises as `check`, which it asks
        again: another one may have come meanwhile."""
        try:
            with self._engine.begin() as connection:
                alone(connection, f"voices of {voice.owner}")
                self.check(voice.owner, voice.name, connection)
                self._files.publish(file, connection)
                connection.execute(table.insert().values(asdict(voice)))
        except ParleyError:
            self._files.delete(file)
            raise
        return voice

    def write_down(self, voice: Voice, transcript: str) -> Voice:
        """What its recording says."""
        with self._engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == voice.id).values(transcript=transcript))
        return replace(voice, transcript=transcript)

    def remove(self, voice: Voice) -> None:
        """With its recording: both are out of sight in one step, and what is left then of the recording is swept."""
        file = self._files.get(voice.file)
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(table.c.id == voice.id))
            self._files.hide(voice.file, connection)
        if file is not None:
            self._files.remove_hidden(file)


def check_name(name: str) -> None:
    """Raises InvalidRequest for a name that no voice of a caller can have."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidRequest(
            "name",
            f"is {name[:LONGEST_NAME]!r}; it must be 1 to {LONGEST_NAME} printable characters, none of them a space at "
            "either end.",
        )
    if name.lower() in SPEAKERS or name.startswith(ID_PREFIX):
        raise InvalidRequest(
            "name", f"is {name!r}, the name of a built-in voice or the beginning of an id. Choose another."
        )


def _taken(name: str) -> InvalidRequest:
    return InvalidRequest("name", f"is {name!r}, and you have a voice of that name. Delete that, or choose another.")
