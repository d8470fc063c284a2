"""The beta dialect, which a client chooses by the header `OpenAI-Beta: realtime=v1`: other names for the same things.

`read` makes a client's event one of GA, `write` makes an event of GA one that beta's clients know, `translate` tells a
fault by the names they use. Sessions are flat here, formats are plain words, items are "created" and never "done". A
session that only transcribes has events of its own, `transcription_session.created`, `.update` and `.updated`.
Source: types/beta/realtime of PyPI openai 3.54; OpenAI's openapi.yaml for `transcription_session.created`.
"""

from collections.abc import Mapping
from typing import Any

from serving.realtime.faults import Fault, invalid_value, not_supported
from serving.realtime.fields import LONGEST_SHOWN, Json

FORMATS: Mapping[str, Json] = {
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_WORDS = {wire["type"]: word for word, wire in FORMATS.items()}
_SESSION: Mapping[str, str] = {  # of a session: beta's name → the path in GA's
    "modalities": "output_modalities",
    "max_response_output_tokens": "max_output_tokens",
    "input_audio_format": "audio.input.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "output_audio_format": "audio.output.format",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
}
_TRANSCRIPTION = {beta: path for beta, path in _SESSION.items() if path.startswith("audio.input.")}
_RESPONSE: Mapping[str, str] = {
    "modalities": "output_modalities",
    "max_response_output_tokens": "max_output_tokens",
    "output_audio_format": "audio.output.format",
    "voice": "audio.output.voice",
}
_HIDDEN = ("audio", "output_modalities", "max_output_tokens", "type")  # GA's own, which beta does not have
_EVENTS = {  # GA's beginning of a name → beta's
    "response.output_audio_transcript.": "response.audio_transcript.",
    "response.output_audio.": "response.audio.",
    "response.output_text.": "response.text.",
}
_NOT_IN_BETA = (
    "conversation.item.done",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.timeout_triggered",
)
_PARTS = {"text": "output_text", "audio": "output_audio"}  # content of an assistant's message
_PARTS_BACK = {ga: word for word, ga in _PARTS.items()}
COOLEST, WARMEST, USUAL_TEMPERATURE = 0.6, 1.2, 0.8


class BetaDialect:
    """Of one client: remembers temperatures, and the modalities of a session that says nothing; both are shown back.

    Neither changes anything that is heard or spoken.
    """

    def __init__(self) -> None:
        self._shown_back: Json = {"temperature": USUAL_TEMPERATURE}
        self._asked: Json = {}  # by an update, or of a response, which may yet be refused
        self._temperatures: dict[str, float] = {}  # of the responses in progress, by id

    def read(self, event: Json) -> Json:
        """Raises Fault, in beta's words."""
        self._asked = {}
        match event.get("type"):
            case "session.update" if isinstance(event.get("session"), dict):
                return event | {"session": {"type": "realtime"} | self._session(event["session"])}
            case "transcription_session.update" if isinstance(event.get("session"), dict):
                session = {"type": "transcription"} | self._transcription(event["session"])
                return event | {"type": "session.update", "session": session}
            case "transcription_session.update":
                return event | {"type": "session.update"}  # it lacks what every update needs
            case "response.create" if isinstance(event.get("response"), dict):
                given = dict(event["response"])
                self._take_temperature(given, "response")
                given = _nested(given, _RESPONSE, "response")
                if isinstance(given.get("input"), list):
                    given["input"] = [_item_read(item) for item in given["input"]]
                return event | {"response": given}
            case "conversation.item.create" if isinstance(event.get("item"), dict):
                return event | {"item": _item_read(event["item"])}
        return event

    def write(self, event: Json) -> Json | None:
        """None: beta has no such event."""
        kind = event["type"]
        self._remember(event)
        if kind in _NOT_IN_BETA:
            return None
        for ga, beta in _EVENTS.items():
            if kind.startswith(ga):
                return event | {"type": beta + kind.removeprefix(ga)}
        if kind == "response.function_call_arguments.done":
            return {name: value for name, value in event.items() if name != "name"}
        if kind == "conversation.item.added":
            event = event | {"type": "conversation.item.created"}
        if "session" in event and event["session"]["type"] == "transcription":
            session = _flat(event["session"], _TRANSCRIPTION)
            if modalities := self._shown_back.get("modalities"):
                session["modalities"] = modalities
            return event | {"type": f"transcription_{kind}", "session": session}
        if "session" in event:
            event = event | {"session": self._session_shown(event["session"])}
        if "item" in event:
            event = event | {"item": _item_shown(event["item"])}
        if "response" in event:
            event = event | {"response": self._response_shown(event["response"])}
        if kind == "response.done":
            self._temperatures.pop(event["response"]["id"], None)
        return event

    def translate(self, fault: Fault) -> Fault:
        """One in GA's names: session.audio.input.format → session.input_audio_format, where it is quoted too."""
        name = fault.param
        if name is None or (param := _beta_path(name)) == name:
            return fault
        return Fault(fault.code, fault.message.replace(f"'{name}'", f"'{param}'"), param, fault.kind)

    def _remember(self, event: Json) -> None:
        """What was asked for is settled by the first event that answers it."""
        match event["type"]:
            case "session.updated":
                self._shown_back |= self._asked
            case "response.created":
                self._temperatures[event["response"]["id"]] = (self._shown_back | self._asked)["temperature"]
                self._asked = {}
            case "error":
                self._asked = {}

    def _session(self, given: Json) -> Json:
        session = _with_kind({name: value for name, value in given.items() if name != "client_secret"})
        self._take_temperature(session, "session")
        return _nested(session, _SESSION, "session")

    def _transcription(self, given: Json) -> Json:
        session = {name: value for name, value in given.items() if name not in ("client_secret", "modalities")}
        if "modalities" in given:
            self._asked["modalities"] = _known_modalities(given["modalities"])
        return _nested(_with_kind(session), _TRANSCRIPTION, "session")

    def _take_temperature(self, given: Json, whole: str) -> None:
        if (value := given.pop("temperature", None)) is None:
            return
        param = f"{whole}.temperature"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Fault("invalid_type", f"Invalid type for '{param}': expected a decimal.", param)
        if not COOLEST <= value <= WARMEST:
            side, limit = ("below_min", COOLEST) if value < COOLEST else ("above_max", WARMEST)
            told = f"Expected a value between {COOLEST} and {WARMEST}, but got {value} instead."
            raise Fault(f"decimal_{side}_value", f"Invalid '{param}'. {told} The limit is {limit}.", param)
        self._asked["temperature"] = float(value)

    def _session_shown(self, session: Json) -> Json:
        shown = _flat(session, _SESSION) | {"temperature": self._shown_back["temperature"]}
        voice, choice = shown["voice"], shown["tool_choice"]
        return shown | {
            "modalities": _modalities(shown["modalities"]),
            "model": shown["model"] if shown["model"].startswith("gpt-") else None,  # of others beta has no name
            "voice": voice["id"] if isinstance(voice, dict) else voice,
            "tool_choice": choice if isinstance(choice, str) else "required",
        }

    def _response_shown(self, response: Json) -> Json:
        shown = _flat(response, _RESPONSE)
        shown["max_output_tokens"] = shown.pop("max_response_output_tokens")  # a response has the newer name
        items = [_item_shown(item) for item in response["output"]]
        return shown | {
            "output": items,
            "modalities": _modalities(shown["modalities"]),
            "temperature": self._temperatures.get(response["id"], self._shown_back["temperature"]),
        }


def _beta_path(name: str) -> str:
    whole, _, path = name.partition(".")
    for beta, ga in {"session": _SESSION, "response": _RESPONSE}.get(whole, {}).items():
        if path == ga or path.startswith((f"{ga}.", f"{ga}[")):
            return f"{whole}.{beta}{path.removeprefix(ga)}"
    return name


def _with_kind(session: Json) -> Json:
    """Beta's turn detection may leave out its type: there was a time when only one was known."""
    detection = session.get("turn_detection")
    if not isinstance(detection, dict) or "type" in detection:
        return session
    return session | {"turn_detection": {"type": "server_vad", **detection}}


def _nested(given: Json, names: Mapping[str, str], whole: str) -> Json:
    nested: Json = {}
    for name, value in given.items():
        if name in _HIDDEN:
            raise Fault("unknown_parameter", f"Unknown parameter: '{whole}.{name}'.", f"{whole}.{name}")
        if name.endswith("_audio_format") and value is not None:
            if not isinstance(value, str) or value not in FORMATS:
                raise not_supported(f"{whole}.{name}", str(value)[:LONGEST_SHOWN], FORMATS)
            value = FORMATS[value]
        if name == "modalities" and isinstance(value, list):
            value = ["audio"] if "audio" in value else value
        *outer, last = names[name].split(".") if name in names else [name]
        place = nested
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = value
    return nested


def _flat(ga: Json, names: Mapping[str, str]) -> Json:
    shown = {name: value for name, value in ga.items() if name not in _HIDDEN}
    for beta, path in names.items():
        value: Any = ga
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        shown[beta] = _WORDS[value["type"]] if beta.endswith("_audio_format") and value else value
    return shown


def _modalities(shown: Any) -> Any:
    """Audio never comes without its text."""
    return ["text", "audio"] if shown == ["audio"] else shown


def _known_modalities(given: Any) -> Any:
    """Raises Fault."""
    if isinstance(given, list) and all(one in ("text", "audio") for one in given):
        return given
    param = "session.modalities"
    raise invalid_value(param, f"Invalid '{param}': expected an array of 'text' and 'audio'.")


def _item_read(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    return item | {"content": [_renamed(part, _PARTS) for part in item["content"]]}


def _item_shown(item: Json) -> Json:
    if "content" not in item:
        return item
    return item | {"content": [_renamed(part, _PARTS_BACK) for part in item["content"]]}


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if isinstance(part, dict) and isinstance(part.get("type"), str):
        return part | {"type": names.get(part["type"], part["type"])}
    return part
