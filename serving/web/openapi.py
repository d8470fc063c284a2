"""The description of the whole service at /openapi.json: what FastAPI cannot know of every route is added here.

That is how each door words its errors and which of them a route may give, short names of operations, and which of them
read what another has made.
"""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from serving.web.problems import speaks_as_openai
from serving.web.response_schemas import Problem, SpeechFailure, TaskFailure

METHODS = ("get", "post", "put", "patch", "delete")  # a name that two operations could have is the first one's
ERRORS = {
    400: "The body cannot be read.",
    401: "No token, or none that is known here.",
    403: "The token is not for this: it lacks a scope.",
    404: "There is none of yours.",
    409: "Not as it is now.",
    410: "It has been deleted.",
    413: "More bytes than are taken.",
    416: "No bytes in this range.",
    422: "Something in it is wrong.",
    429: "Too often, or too many at once.",
    500: "Our fault.",
    503: "Not now.",
}
MADE = {  # by the doors' `create`: the parameter that names it, and where the answer has that
    "predictions": ("prediction_id", "/id"),
    "files": ("file_id", "/id"),
    "voices": ("voice_id", "/id"),
    "tasks": ("task_id", "/data/task_id"),
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_COMPONENTS = "#/components/schemas/{model}"

Operation = dict[str, Any]


class DocumentedApp(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema

    def methods_of(self, path: str) -> list[str]:
        """Those that this path has; of one that is not described, the page's."""
        described = self.openapi()["paths"].items()
        found = {m.upper() for template, one in described if _fits(path, template) for m in METHODS if m in one}
        return sorted(found) or ["GET", "HEAD"]


def _fits(path: str, template: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path) is not None


def _completed(description: dict[str, Any]) -> dict[str, Any]:
    components = description["components"]
    components["schemas"] |= {k: v for form in (Problem, SpeechFailure, TaskFailure) for k, v in _schemas(form)}
    for name, form in components["schemas"].items():
        if name.startswith("Body_"):  # FastAPI's name of a form; see web.form_fields
            form["additionalProperties"] = False
    taken: set[str] = set()
    for path, method, operation in _operations(description):
        name = _name(operation)
        name = f"{name}.{method}" if name in taken else name
        taken.add(name)
        operation["operationId"] = name
        operation["responses"].pop("422", None)  # FastAPI's own form of it, which no door has
        operation["responses"] |= {str(s): _error(path, s) for s in sorted(_statuses(path, operation))}
    _link(description)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return description


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for method in METHODS:
        for path, found in description["paths"].items():
            if method in found:
                yield path, method, found[method]


def _link(description: dict[str, Any]) -> None:
    """What `create` answers names what the others of its door are about."""
    found = {operation["operationId"]: (path, operation) for path, _, operation in _operations(description)}
    for door, (parameter, place) in MADE.items():
        about = {
            name: {"operationId": name, "parameters": {parameter: f"$response.body#{place}"}}
            for name, (path, _) in found.items()
            if name.startswith(door) and f"{{{parameter}}}" in path
        }
        assert about, f"no route of {door} is about what {door}.create has made"
        answers = found[f"{door}.create"][1]["responses"]
        for status in (status for status in answers if status < "300"):
            answers[status]["links"] = about


def _name(operation: Operation) -> str:
    """Its door and its function, whose name FastAPI has made the summary of."""
    return f"{operation['tags'][0]}.{operation['summary'].lower().replace(' ', '_')}"


def _statuses(path: str, operation: Operation) -> Iterator[int]:
    """Of the errors that it may give: those that every route of its kind may, and those it is declared with."""
    yield from (500, 503)
    if security := operation.get("security"):
        yield from (401, 429)
        if any(scopes for requirement in security for scopes in requirement.values()):
            yield 403
    if "{" in path:
        yield 404
    if "requestBody" in operation:
        yield from (400, 413)
    if "requestBody" in operation or any(p["in"] != "path" for p in operation.get("parameters", ())):
        yield 400 if speaks_as_openai(path) else 422
    yield from (int(status) for status in operation["responses"] if status >= "400")


def _error(path: str, status: int) -> dict[str, Any]:
    """One error in the words of its door."""
    form, kind = "Problem", "application/problem+json"
    if path.startswith("/ai/") or speaks_as_openai(path):
        form, kind = "SpeechFailure" if speaks_as_openai(path) else "TaskFailure", "application/json"
    content = {kind: {"schema": {"$ref": _COMPONENTS.format(model=form)}}}
    headers = {"headers": RETRY_AFTER} if status in (429, 503) else {}
    return {"description": ERRORS[status], "content": content, **headers}


def _schemas(form: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """By name, those of its parts too."""
    schema = TypeAdapter(form).json_schema(mode="serialization", ref_template=_COMPONENTS)
    yield from schema.pop("$defs", {}).items()
    yield form.__name__, schema
