"""Errors → answers. Each door has its own form for them; the statuses are the same. Knows the doors' paths."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from models.errors import InvalidRequest, ParleyError, printable, shown
from serving.access import NotAllowed, NotInScope
from serving.doors.tasks.task_json import envelope
from serving.rate_limit import RateLimited
from serving.storage.database import DATABASE_AWAY, in_short
from serving.storage.records import KeyConflict
from serving.web.middleware import started_at

log = logging.getLogger("parley")

_TITLES = {
    400: "Bad request", 401: "Unauthenticated", 403: "Forbidden", 404: "Not found", 405: "Method not allowed",
    409: "Conflict", 410: "Gone", 413: "Content too large", 415: "Unsupported media type", 416: "Range not satisfiable",
    422: "Input validation failed", 429: "Too many requests", 500: "Internal server error", 503: "Service unavailable",
}  # fmt: skip
# Of what OpenAI's clients ask, of doors too that are not here: their errors tell nothing that is in another form. A
# model of Replicate's has an owner before its name.
_OPENAI_PATHS = re.compile(
    r"/v1/(?:audio/|realtime|chat/|completions|responses|embeddings|images/).*|/v1/models/[^/]+", re.DOTALL
)
# Instead of pydantic's, which name no way out; by its types of error, with its names of the limits.
_WORDS = {
    "extra_forbidden": "is no field that is taken here. Leave it out, or write it as /openapi.json has it.",
    "string_too_long": "has {length} characters; at most {max_length} are taken. Shorten it, or send it in parts.",
    "string_too_short": "has {length} characters; at least {min_length} are needed.",
    "greater_than_equal": "is {given}; at least {ge:g} is needed.",
    "less_than_equal": "is {given}; at most {le:g} is taken.",
    "literal_error": "is {given}; write {expected}.",
    "string_type": "is {given}; it must be a string.",
    **dict.fromkeys(("dict_type", "model_attributes_type"), "is {given}; it must be a JSON object."),
}
# Of a body that is none of JSON though it says so, by what Python's reader of it raised.
_UNREADABLE: tuple[tuple[type[Exception], str], ...] = (
    (UnicodeDecodeError, "is not UTF-8, in which JSON is written. Encode it so."),
    (RecursionError, "has lists or objects too deep within each other. Send flatter ones."),
    (ValueError, f"holds a whole number of more than {sys.get_int_max_str_digits()} digits. Send shorter ones."),
)
AGAIN_SECONDS = 5  # Retry-After where the caller's own predictions are in the way, or the database is away


@dataclass(frozen=True)
class Problem:
    """What went wrong, before it has a door's form. fields: (name, what is the matter with it)."""

    status: int
    detail: str
    fields: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return _TITLES.get(self.status, "Error")


def problem_of(error: Exception) -> Problem:
    """Never more of an error of ours than that there was one."""
    match error:
        case RateLimited():
            return Problem(429, str(error), headers={"Retry-After": str(error.seconds)})
        case NotAllowed():
            return Problem(401, str(error), headers={"WWW-Authenticate": "Bearer"})
        case NotInScope():
            return Problem(403, str(error))
        case KeyConflict():
            text = "was used for another request. Use a new one for each request, the same one only to repeat it."
            return Problem(422, f"Idempotency-Key: {text}", (("Idempotency-Key", text),))
        case InvalidRequest():
            return Problem(error.status, "\n".join(f"- {n}: {t}" for n, t in error.problems), error.problems)
        case ParleyError():
            waits = {"Retry-After": str(AGAIN_SECONDS)} if error.status in (429, 503) else {}
            return Problem(error.status, str(error), headers=waits)
        case RequestValidationError():
            return _of_validation(error)
        case _ if isinstance(error, DATABASE_AWAY):
            log.warning("the database is away: %s", in_short(error))
            text = "The database is away. Try again soon."
            return Problem(503, text, headers={"Retry-After": str(AGAIN_SECONDS)})
        case HTTPException():
            return _of_http(error)
    log.error("an answer failed", exc_info=error)
    return Problem(500, "Something broke on our side. It is logged.")


def _of_http(error: HTTPException) -> Problem:
    """Of the framework's that say nothing, with what is to be said."""
    headers = dict(error.headers or {})
    if error.status_code == 400 and error.__cause__ is not None:  # FastAPI's, of a body that it could not read
        text = next((text for kind, text in _UNREADABLE if isinstance(error.__cause__, kind)), "cannot be read.")
        return Problem(400, f"body: {text}", (("body", text),), headers)
    if error.detail == HTTPStatus.NOT_FOUND.phrase:  # the router's: no door has answered
        return Problem(404, "Nothing is at this address. /openapi.json lists what is.", headers=headers)
    return Problem(error.status_code, str(error.detail), headers=headers)


def _of_validation(error: RequestValidationError) -> Problem:
    found = tuple((_field(e), _said(e)) for e in error.errors())
    return Problem(422, "\n".join(f"- {name}: {text}" for name, text in found), found)


def _field(detail: Mapping[str, Any]) -> str:
    """Of text that is no JSON the place is a number of characters."""
    path = [] if detail["type"] == "json_invalid" else detail["loc"][1:]
    return printable(".".join(map(str, path)) or "body")


def _said(detail: Mapping[str, Any]) -> str:
    """Completes the sentence that begins with the field."""
    if detail["type"] == "missing":
        return "is missing. Send a value."
    if detail["type"] == "json_invalid":
        return f"is no JSON: {detail['ctx']['error']}, at character {detail['loc'][1] + 1}."
    if isinstance(detail["input"], bytes):  # by its Content-Type a form, or anything else
        return "is not sent as JSON. Send it with Content-Type: application/json."
    if words := _WORDS.get(detail["type"]):
        return words.format(**detail.get("ctx", {}), length=_length(detail["input"]), given=shown(detail["input"]))
    return f"is {shown(detail['input'])}. {detail['msg']}."


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


def answer(request: Request, error: Exception) -> JSONResponse:
    problem = problem_of(error)
    path = request.url.path
    if path.startswith("/ai/"):
        return _answer(problem, task_error(problem, started_at(request)))
    if speaks_as_openai(path):
        problem = replace(problem, status=400) if problem.status == 422 else problem  # OpenAI's for what is invalid
        return _answer(problem, speech_error(problem))
    return _answer(problem, problem_json(problem), "application/problem+json")


def speaks_as_openai(path: str) -> bool:
    """Whether errors of this path, or of all that this template of paths describes, have OpenAI's form."""
    return _OPENAI_PATHS.fullmatch(path) is not None


def problem_json(problem: Problem) -> dict[str, Any]:
    """As Replicate answers."""
    told: dict[str, Any] = {"title": problem.title, "detail": problem.detail, "status": problem.status}
    if problem.fields:
        told["invalid_fields"] = [
            {"type": "invalid", "field": name, "description": text} for name, text in problem.fields
        ]
    return told


def speech_error(problem: Problem) -> dict[str, Any]:
    """As OpenAI answers."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(problem.status, "invalid_request_error" if problem.status < 500 else "server_error")
    codes = {401: "invalid_api_key", 403: "insufficient_permissions", 404: "not_found", 429: "rate_limit_exceeded"}
    param = problem.fields[0][0] if problem.fields else None
    message = " ".join(f"{name} {text}" for name, text in problem.fields) or problem.detail
    code = codes.get(problem.status, "invalid_value" if param else None)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def task_error(problem: Problem, started_at: float) -> dict[str, Any]:
    """As the task API answers. started_at: when the request came in, seconds since 1970."""
    code = problem.title.lower().replace(" ", "_")
    errors = [{"code": code, "field": name, "message": text} for name, text in problem.fields]
    return envelope(
        None, started_at, errors or [{"code": code, "field": None, "message": problem.detail}], problem.detail
    )


class _Answer(JSONResponse):
    """What it quotes may hold half a surrogate pair, which JSON can say and no answer can hold: it is shown as "?"."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _answer(problem: Problem, content: dict[str, Any], media_type: str = "application/json") -> JSONResponse:
    return _Answer(content, problem.status, headers=dict(problem.headers), media_type=media_type)
