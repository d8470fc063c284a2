"""Door 4's voices: store a recording to speak with, list, write down what it says, delete. Source: OpenAI's API.

OpenAI asks for the id of a recording in which the speaker agrees; here `consent` is the agreement in words. What is
ours: `transcript`, the words of the recording, which Dia would else have to hear in it at each speech; the list,
`audio` as another name of `audio_sample`, and how much of the recording is used.
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
from models.request import Audio
from serving.catalog import DIA
from serving.service import Service
from serving.storage.files import VOICE
from serving.storage.voices import BUILT_IN, Voice
from serving.voice_recording import VoiceRecording
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
    field, sent = _sent(audio_sample, audio)
    with service.files.workspace.folder() as folder:
        sound = _audio(sent, field, folder, service.settings.upload_bytes)
        recording = VoiceRecording.of(sound, RATE)
        recording.check_speech(field)
        if words:
            recording.check_words(words)
        path = folder / "voice.flac"
        write_audio(path, [sound], RATE, "flac")
        described = {"owner": owner, "kind": VOICE, "name": path.name, "content_type": "audio/flac"}
        file = service.files.stage(path, **described)
    return _heard(service.voices.add(Voice(owner, name, agreed, words, file.id), file), recording)


@router.get("", **response_schemas.gives(response_schemas.VoiceList))
def every(service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """One's own voices, newest first, and the names of the built-in ones."""
    data = [show(voice) for voice in service.voices.of(owner)]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return {"object": "list", "data": data, **ends, "has_more": False, "built_in": list(BUILT_IN)}


@router.get("/{voice_id}", **response_schemas.gives(response_schemas.Voice))
def get(voice_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """One of one's own, and how much of its recording is used."""
    voice = _found(service, voice_id, owner)
    return _heard(voice, _kept_recording(service, voice))


@router.post("/{voice_id}", **response_schemas.gives(response_schemas.Voice))
def update(voice_id: str, said: Update, service: ServiceDep, owner: CreatorName) -> dict[str, Any]:
    """Write down what its recording says."""
    voice, words = _found(service, voice_id, owner), _script(said.transcript)
    recording = _kept_recording(service, voice)
    recording.check_words(words)
    return _heard(service.voices.write_down(voice, words), recording)


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


def _heard(voice: Voice, recording: VoiceRecording) -> dict[str, Any]:
    """As `show`, with what the model will hear of it."""
    return {
        **show(voice),
        "seconds": round(recording.seconds, 2),
        "used_seconds": round(recording.used_seconds, 2),
        "note": recording.note(voice.transcript),
    }


def _kept_recording(service: Service, voice: Voice) -> VoiceRecording:
    file = service.files.get(voice.file)
    with service.files.workspace.folder() as folder:
        try:
            if file is not None:
                path = service.files.copy_to(file, folder / "voice.flac")
                return VoiceRecording.of(read_audio(path, field="recording", sample_rate=RATE), RATE)
        except FileNotFoundError as error:
            raise _deleted(voice) from error
    raise _deleted(voice)


def _deleted(voice: Voice) -> HTTPException:
    """While this was on its way; or its bytes were lost under it."""
    return HTTPException(404, f"The recording of voice {voice.id} is gone. Store it again.")


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


def _sent(audio_sample: UploadFile | None, audio: UploadFile | None) -> tuple[str, UploadFile]:
    """(the name of its field, the one file that was sent)"""
    sent = [(name, file) for name, file in (("audio_sample", audio_sample), ("audio", audio)) if file is not None]
    if len(sent) != 1:
        raise InvalidRequest("audio_sample", f"was sent {len(sent)} times. Send one recording, as a file.")
    return sent[0]


def _audio(recording: UploadFile, field: str, folder: Path, most_bytes: int) -> Audio:
    """[1, L] of the recording, its peak within full scale. Raises UnreadableAudio."""
    given = folder / "given"
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
    return audio / max(1.0, peak)
