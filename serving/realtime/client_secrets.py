"""Ephemeral keys: a server draws one for a browser, which then opens sockets with it, and nothing else.

A key says whose it is, until when it is good and what its sessions are set to, under HMAC-SHA256 with the deployment's
secret: every process can read it, and none has to keep it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from serving.access import NotAllowed
from serving.realtime.faults import Fault
from serving.realtime.settings import MODEL, RealtimeSettings, Settings, TranscriptionSettings, is_served
from serving.storage.ids import new_id
from serving.web.gate import CreatorName, ServiceDep
from serving.web.json_bodies import JsonRoute

PREFIX = "ek_"
PURPOSE = b"realtime client secret "  # of the signature: the same secret signs links
LONGEST_KEY = 6000  # characters: it travels in a header
MOST_UNPACKED = 1 << 20  # bytes
USUAL_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 600, 10, 7200

router = APIRouter(prefix="/v1/realtime", tags=["realtime"], route_class=JsonRoute)


class ExpiresAfter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)] = USUAL_SECONDS


class Wanted(BaseModel):
    """session: as in session.update."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"session": {"type": "realtime"}}]})

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] = {"type": "realtime"}


class ClientSecret(BaseModel):
    value: str
    expires_at: int
    session: dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """What a key stands for. expires_at: seconds since 1970; names_model: whether its session has chosen a model."""

    owner: str
    expires_at: int
    settings: Settings
    names_model: bool


@router.post("/client_secrets", response_model=ClientSecret)
async def create(wanted: Wanted, service: ServiceDep, owner: CreatorName) -> Response:
    """Draw a key that opens Realtime sockets until it expires."""
    try:
        settings = settings_of(wanted.session)
        grant = Grant(owner, int(time.time()) + wanted.expires_after.seconds, settings, "model" in wanted.session)
        value = await run_in_threadpool(draw, grant, service.links.secret)
    except Fault as fault:
        error = {"message": fault.message, "type": fault.kind, "param": fault.param, "code": fault.code}
        return JSONResponse({"error": error}, 400)
    session = settings.to_json() | {"id": f"sess_{new_id()}", "expires_at": 0}
    return JSONResponse({"value": value, "expires_at": grant.expires_at, "session": session})


def settings_of(session: Mapping[str, Any]) -> Settings:
    """Raises Fault, whose param begins with "session"."""
    if session.get("type") == "transcription":
        return TranscriptionSettings(type="transcription").updated(dict(session))
    settings = RealtimeSettings(type="realtime", model=MODEL).updated(dict(session))
    if not is_served(settings.model):
        raise Fault("invalid_model", f"The model '{settings.model[:64]}' is none of ours.", "session.model")
    return settings


def draw(grant: Grant, secret: bytes) -> str:
    """The key. Raises Fault where the session says too much for one."""
    told = {
        "owner": grant.owner,
        "expires_at": grant.expires_at,
        "session": grant.settings.model_dump(),
        "names_model": grant.names_model,
    }
    packed = zlib.compress(json.dumps(told, separators=(",", ":")).encode(), 9)
    body = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    key = f"{PREFIX}{body}.{_signature(body, secret)}"
    if len(key) > LONGEST_KEY:
        told_limit = f"The session needs a key of {len(key)} characters; at most {LONGEST_KEY} can be sent in a header."
        raise Fault("string_above_max_length", f"{told_limit} Set the rest by session.update.", "session")
    return key


def read(key: str, secret: bytes) -> Grant:
    """Raises NotAllowed for a key that is not ours, or not good any more."""
    body, _, signature = key.removeprefix(PREFIX).partition(".")
    if not hmac.compare_digest(signature.encode(errors="replace"), _signature(body, secret).encode()):
        raise NotAllowed("This key is not known here.")
    packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    told = json.loads(zlib.decompressobj().decompress(packed, MOST_UNPACKED))
    if time.time() >= told["expires_at"]:
        raise NotAllowed("This key has expired. Draw a new one.")
    return Grant(told["owner"], told["expires_at"], settings_of(told["session"]), told["names_model"])


def granted(authorization: str | None, secret: bytes) -> Grant | None:
    """Of a header that holds such a key; None for any other. Raises NotAllowed."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip().startswith(PREFIX):
        return None
    with suppress(binascii.Error, UnicodeError):
        return read(key.strip(), secret)
    raise NotAllowed("This key is not known here.")


def _signature(body: str, secret: bytes) -> str:
    return hmac.new(secret, PURPOSE + body.encode(), hashlib.sha256).hexdigest()
