"""Door 2 against Replicate's own description of its API: each answer, by its path and status.

The description is Replicate's, and so not in this repository: https://api.replicate.com/openapi.json, kept as
shared/data/replicate-openapi.json beside the repository or in it, or as data/… in the folder that PARLEY_SHARED names.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from serving_fixtures import BOB, Running
from serving_replicate_fixtures import MODEL, PROMPT, VERSION, alice, asked, created, house

from serving.storage.retention import Retention
from serving.storage.uploads import Uploads

__all__ = ["alice", "house"]  # fixtures

ROOT = Path(__file__).parent.parent
PUBLISHED = Path("data") / "replicate-openapi.json"
FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(text: Any) -> bool:
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


@FORMATS.checks("uri")
def is_uri(text: Any) -> bool:
    return not isinstance(text, str) or httpx.URL(text).is_absolute_url


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    named = os.environ.get("PARLEY_SHARED")
    folders = [Path(named)] if named else [ROOT.parent / "shared", ROOT / "shared"]
    found = next((folder / PUBLISHED for folder in folders if (folder / PUBLISHED).is_file()), None)
    if found is None:
        pytest.skip(f"there is no {PUBLISHED} in {' or '.join(map(str, folders))}; see the head of this file")
    return dict(_nullable(json.loads(found.read_text())))


def _nullable(found: Any) -> Any:
    """The description is of OpenAPI 3.1 and yet says "nullable" as 3.0 does, which its validators pass over."""
    if isinstance(found, list):
        return [_nullable(one) for one in found]
    if not isinstance(found, dict):
        return found
    plain = {name: _nullable(one) for name, one in found.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if found.get("nullable") is True else plain


class Contract:
    """Asks, and holds each answer against what is published of it."""

    def __init__(self, published: dict[str, Any], client: httpx.Client) -> None:
        self._published, self._client = published, client

    def ask(self, method: str, path: str, status: int, **options: Any) -> Any:
        """path: as it is published, then the values of its parts."""
        template, *parts = path.split()
        answer = self._client.request(method, "/v1" + _filled(template, parts), **options)
        assert answer.status_code == status, answer.text
        self.check(template, method, answer)
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else answer.content

    def check(self, template: str, method: str, answer: httpx.Response) -> None:
        described = self._published["paths"][template][method.lower()]["responses"][str(answer.status_code)]
        for kind, content in described.get("content", {}).items():
            if "json" in kind:
                assert answer.headers["content-type"] == kind
                schema = {**content["schema"], "components": self._published["components"]}
                Draft202012Validator(schema, format_checker=FORMATS).validate(answer.json())


def _filled(template: str, parts: list[str]) -> str:
    values = iter(parts)
    return "/".join(next(values) if piece.startswith("{") else piece for piece in template.split("/"))


@pytest.fixture(scope="module")
def contract(published: dict[str, Any], alice: httpx.Client) -> Contract:
    return Contract(published, alice)


CREATE, ONE = "/predictions", "/predictions/{prediction_id}"
OF_MODEL = f"/models/{{model_owner}}/{{model_name}}/predictions {MODEL.replace('/', ' ')}"


@pytest.mark.parametrize("text", ["[S1] Hey", "[S1] Hey!"], ids=["succeeds", "fails"])
def test_predictions_are_as_published(contract: Contract, text: str) -> None:
    made = contract.ask("POST", CREATE, 201, json=asked(text), headers={"Prefer": "wait"})
    assert made["status"] == ("failed" if "!" in text else "succeeded")
    assert contract.ask("GET", f"{ONE} {made['id']}", 200)["status"] == made["status"]
    assert contract.ask("POST", f"{ONE}/cancel {made['id']}", 200)["status"] == made["status"]
    assert made["id"] in [one["id"] for one in contract.ask("GET", CREATE, 200)["results"]]


def test_predictions_under_way_are_as_published(contract: Contract, house: Running) -> None:
    with house.closed():
        made = contract.ask("POST", CREATE, 202, json=asked(), headers={"Prefer": "wait=1", "Cancel-After": "9m"})
        assert "deadline" in contract.ask("GET", f"{ONE} {made['id']}", 200)
        assert contract.ask("POST", f"{ONE}/cancel {made['id']}", 200)["status"] == "canceled"
        contract.ask("POST", OF_MODEL, 202, json={"input": asked()["input"]}, headers={"Prefer": "wait=1"})
    contract.ask("POST", OF_MODEL, 201, json={"input": asked()["input"]}, headers={"Prefer": "wait"})


def test_predictions_whose_data_is_gone_are_as_published(contract: Contract, house: Running) -> None:
    made = contract.ask("POST", CREATE, 201, json=asked(), headers={"Prefer": "wait"})
    Retention(house.service.engine).remove_data(float("inf"))
    gone = contract.ask("GET", f"{ONE} {made['id']}", 200)
    assert (gone["data_removed"], gone["input"], gone["output"], gone["logs"]) == (True, {}, None, "")


def test_models_and_versions_are_as_published(contract: Contract) -> None:
    name = MODEL.replace("/", " ")
    model = "/models/{model_owner}/{model_name}"
    assert contract.ask("GET", "/models", 200)["results"][0] == contract.ask("GET", f"{model} {name}", 200)
    assert contract.ask("GET", f"{model}/versions {name}", 200)["results"][0]["id"] == VERSION
    contract.ask("GET", f"{model}/versions/{{version_id}} {name} {VERSION}", 200)


NOT_OURS = {"/v1/search"}  # published, and not served


def test_queries_are_those_that_are_published(published: dict[str, Any], alice: httpx.Client) -> None:
    """Before, a parameter that the service did not know was passed over, and all was answered."""
    described = alice.get("/openapi.json").json()["paths"]
    asked = {f"/v1{path}": names for path, names in _queries(published["paths"])}
    ours = dict(_queries(described))
    assert asked.keys() >= {"/v1/predictions", "/v1/models", "/v1/files/{file_id}/download"}
    for path in asked.keys() - NOT_OURS:
        assert ours[path] >= asked[path], path


def _queries(paths: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """(path, what may be asked of it in its query) of those that are got."""
    for path, methods in paths.items():
        parameters = methods.get("get", {}).get("parameters", ())
        if names := {one["name"] for one in parameters if one["in"] == "query"}:
            yield path, names


def test_files_are_as_published(contract: Contract) -> None:
    sent = {"metadata": '{"who": "Anna"}', "filename": "Anna.wav", "type": "audio/wav"}
    file = contract.ask("POST", "/files", 201, files={"content": ("x", PROMPT)}, data=sent)
    assert (file["name"], file["content_type"], file["metadata"]) == ("Anna.wav", "audio/wav", {"who": "Anna"})
    again = contract.ask("GET", f"/files/{{file_id}} {file['id']}", 200)
    assert again | {"urls": None} == file | {"urls": None}  # which are signed anew
    assert file["id"] in [one["id"] for one in contract.ask("GET", "/files", 200)["results"]]
    signed = dict(httpx.URL(file["urls"]["get"]).params)
    assert set(signed) == {"owner", "expiry", "signature"}
    assert contract.ask("GET", f"/files/{{file_id}}/download {file['id']}", 200, params=signed) == PROMPT
    contract.ask("DELETE", f"/files/{{file_id}} {file['id']}", 204)
    contract.ask("GET", f"/files/{{file_id}} {file['id']}", 404)
    contract.ask("DELETE", f"/files/{{file_id}} {file['id']}", 404)
    contract.ask("GET", f"/files/{{file_id}}/download {file['id']}", 404, params=signed)


def test_a_file_that_is_too_large_is_refused_as_published(
    contract: Contract, house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, smaller = house.service, replace(house.service.settings, upload_bytes=5)
    monkeypatch.setattr(service, "settings", smaller)
    monkeypatch.setattr(service, "uploads", Uploads(service.engine, service.files, smaller.limits, 3600.0))
    assert "more than 5 bytes" in contract.ask("POST", "/files", 413, files={"content": b"123456"})["detail"]
    contract.ask("POST", "/files", 201, files={"content": b"12345"})


def test_the_secret_of_webhooks_is_as_published(contract: Contract, house: Running) -> None:
    secret = contract.ask("GET", "/webhooks/default/secret", 200)["key"]
    assert secret.startswith("whsec_")
    with house.client(BOB) as bob:
        assert bob.get("/v1/webhooks/default/secret").json()["key"] != secret


def test_errors_have_the_fields_that_clients_read(alice: httpx.Client) -> None:
    body = alice.post("/v1/predictions", json={"version": VERSION, "input": {}}).json()
    assert body == {
        "title": "Input validation failed",
        "detail": "- text: is missing; it has no default. Send a value.",
        "status": 422,
        "invalid_fields": [
            {"type": "invalid", "field": "text", "description": "is missing; it has no default. Send a value."}
        ],
    }
    assert created(alice)["id"] != created(alice)["id"]
