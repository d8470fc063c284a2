"""Door 4's voices: store a recording to speak with, list, write down what it says, delete. Source: OpenAI's API.

OpenAI asks for the id of a recording in which the speaker agrees; here `consent` is the agreement in words. What is
ours: `transcript`, the words of the recording, which Dia would else have to hear in it at each speech; the list, and
`audio` as another name of `audio_sample`.
"""

import shutil
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, File, Form, UploadFile
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from models.audio.read import read_audio
from models.audio.write import write_audio
from models.dia.script import parse_script
from models.errors import InvalidRequest, UnreadableAudio
from serving.catalog import DIA
from serving.service import Service
from serving.storage.files import VOICE
from serving.storage.voices import BUILT_IN, Voice
from serving.web import response_schemas
from serving.web.form_fields import only_declared
from serving.web.gate import CallerName, CreatorName, ServiceDep
from serving.web.json_bodies import JsonRoute

RATE = DIA.sample_rate  # Hz: it is not resampled again
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
QUIETEST_PEAK = 0.001  # −60 dBFS; nothing below is voice
LONGEST_TEXT = 4000  # characters, of a consent or a transcript
# OpenAI's clients send these for a voice that is made of its description.
NOT_DESCRIBED = dict.fromkeys(
    ("prompt", "model", "script_hint"),
    "is of a voice made of its description, and the model clones voices only. Send a recording as audio_sample.",
)

router = APIRouter(prefix="/v1/audio/voices", tags=["voices"], route_class=JsonRoute)
Recording = Annotated[UploadFile | None, File(description="5 to 10 s of clean speech; 1 to 60 s are taken.")]


class Update(BaseModel):
    """What may be said of a voice afterwards."""

    model_config = ConfigDict(extra="forbid")

    transcript: str


@router.post("", dependencies=[Depends(only_declared(NOT_DESCRIBED))], **response_schemas.gives(response_schemas.Voice))
def create(
    service: ServiceDep,
    owner: CreatorName,
    name: Annotated[str, Form()],
    consent: Annotated[str, Form()],
    transcript: Annotated[str, Form()] = "",
    type_: Annotated[Literal["audio_sample"], Form(alias="type")] = "audio_sample",
    audio_sample: Recording = None,
    audio: Recording = None,
) -> dict[str, Any]:
    """Store a voice."""
    service.voices.check(owner, name)
    agreed = _text("consent", consent)
    words = _script(transcript) if transcript.strip() else ""
    field, recording = _recording(audio_sample, audio)
    with service.files.workspace.folder() as folder:
        path = _keepable(recording, field, folder, service.settings.upload_bytes)
        described = {"owner": owner, "kind": VOICE, "name": path.name, "content_type": "audio/flac"}
        file = service.files.stage(path, **described)
    return show(service.voices.add(Voice(owner, name, agreed, words, file.id), file))


@router.get("", **response_schemas.gives(response_schemas.VoiceList))
def every(service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """One's own voices, newest first, and the names of the built-in ones."""
    data = [show(voice) for voice in service.voices.of(owner)]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return {"object": "list", "data": data, **ends, "has_more": False, "built_in": list(BUILT_IN)}


@router.get("/{voice_id}", **response_schemas.gives(response_schemas.Voice))
def get(voice_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    return show(_found(service, voice_id, owner))


@router.post("/{voice_id}", **response_schemas.gives(response_schemas.Voice))
def update(voice_id: str, said: Update, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """Write down what its recording says."""
    return show(service.voices.write_down(_found(service, voice_id, owner), _script(said.transcript)))


@router.delete("/{voice_id}", **response_schemas.gives(response_schemas.VoiceDeleted))
def delete(voice_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """Its recording goes with it; predictions that wait for it fail."""
    service.voices.remove(_found(service, voice_id, owner))
    return {"id": voice_id, "deleted": True, "object": "audio.voice.deleted"}


def show(voice: Voice) -> dict[str, Any]:
    """As OpenAI's clients read it; consent and transcript are ours."""
    return {
        "id": voice.id,
        "object": "audio.voice",
        "type": "audio_sample",
        "name": voice.name,
        "created_at": int(voice.created_at),
        "consent": voice.consent,
        "transcript": voice.transcript or None,
    }


def _found(service: Service, voice_id: str, owner: str) -> Voice:
    for voice in service.voices.of(owner):
        if voice.id == voice_id:
            return voice
    raise HTTPException(404, f"There is no voice {voice_id[:64]!r} of yours.")


def _text(field: str, given: str) -> str:
    text = given.strip()
    if not 0 < len(text) <= LONGEST_TEXT:
        raise InvalidRequest(field, f"has {len(text)} characters; write 1 to {LONGEST_TEXT}.")
    if strange := [c for c in text if c not in "\n\r\t" and unicodedata.category(c) in ("Cc", "Cs")]:
        raise InvalidRequest(field, f"holds {strange[0]!r}, which is no character of a text. Leave it out.")
    return text


def _script(transcript: str) -> str:
    """As it was given, if Dia can read it."""
    parse_script(transcript, field="transcript")
    return _text("transcript", transcript)


def _recording(audio_sample: UploadFile | None, audio: UploadFile | None) -> tuple[str, UploadFile]:
    """(the name of its field, the one file that was sent)"""
    sent = [(name, file) for name, file in (("audio_sample", audio_sample), ("audio", audio)) if file is not None]
    if len(sent) != 1:
        raise InvalidRequest("audio_sample", f"was sent {len(sent)} times. Send one recording, as a file.")
    return sent[0]


def _keepable(recording: UploadFile, field: str, folder: Path, most_bytes: int) -> Path:
    """A FLAC of the recording, mono, its peak within full scale. Raises UnreadableAudio."""
    given, kept = folder / "given", folder / "voice.flac"
    with given.open("xb") as written:
        shutil.copyfileobj(recording.file, written)
    audio = read_audio(given, field=field, sample_rate=RATE, max_bytes=most_bytes, max_seconds=LONGEST_SECONDS)
    seconds, peak = audio.shape[1] / RATE, float(np.abs(audio).max())
    if seconds < SHORTEST_SECONDS:
        raise UnreadableAudio(
            field, f"is {seconds:.2f} s long; at least {SHORTEST_SECONDS:g} s are needed. Record 5 to 10 s."
        )
    if peak < QUIETEST_PEAK:
        raise UnreadableAudio(field, "is silent. Send a recording of someone speaking.")
    write_audio(kept, [audio / max(1.0, peak)], RATE, "flac")
    return kept
