"""The whole application against its own description at /openapi.json: whatever is sent, each answer is as described."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from serving_fixtures import ALICE, Running
from serving_replicate_fixtures import alice, asked, created, service_with_a_gate

__all__ = ["alice"]  # a fixture

MANY = 10**6
# No description tells which models, cursors and scripts there are: what it allows may still be refused.
CHECKS = ["--exclude-checks", "positive_data_acceptance", "--warnings", "off"]
# All that a form can send is text: what was to be no string arrives as one.
FORMS = "".join(
    f'[[operations]]\ninclude-path = "{path}"\nchecks.negative_data_rejection.enabled = false\n'
    for path in ("/v1/files", "/v1/audio/voices")
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits: dict[str, Any] = {"requests_per_minute": MANY, "creations_per_minute": MANY, "most_waiting": MANY}
    with service_with_a_gate(tmp_path_factory.mktemp("house"), **limits) as found:
        yield found


def fuzz(house: Running, folder: Path, *options: str) -> None:
    """Schemathesis sends what the description allows and what it does not, and checks each answer."""
    (folder / "schemathesis.toml").write_text(FORMS)
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", f"{house.url}/openapi.json", "-H", f"Authorization: Bearer {ALICE}", "--no-color"]
    done = subprocess.run([*command, *CHECKS, *options], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_answers_are_as_described(house: Running, tmp_path: Path) -> None:
    fuzz(house, tmp_path, "--phases", "examples,fuzzing", "--max-examples", "1", "--seed", "1", "--no-shrink")


@pytest.mark.slow
def test_answers_are_as_described_whatever_is_sent(house: Running, tmp_path: Path) -> None:
    """Requests that follow on one another too: what one has made, the next asks for."""
    fuzz(house, tmp_path, "--max-time", "60", "--max-examples", "30", "--continue-on-failure")


@pytest.fixture(scope="module")
def description(house: Running) -> dict[str, Any]:
    return dict(httpx.get(f"{house.url}/openapi.json").json())


def test_every_operation_has_a_short_name_of_its_own_and_says_who_may_call(description: dict[str, Any]) -> None:
    operations = [one for path in description["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert {"predictions.create", "files.download", "tasks.cancel", "speech.create", "webhooks.secret"} <= set(names)
    public = {one["operationId"] for one in operations if not one.get("security")}
    assert public == {"health.health", "health.ready", "files.download"}
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("predictions.audio", {"200", "206", "401", "404", "409", "410", "416", "422", "429", "500", "503"}),
        ("predictions.stream", {"200", "401", "404", "422", "429", "500", "503"}),
        ("files.download", {"200", "206", "404", "416", "422", "500", "503"}),
        ("tasks.result", {"200", "206", "401", "404", "409", "410", "416", "422", "429", "500", "503"}),
        ("tasks.cancel", {"200", "401", "404", "409", "429", "500", "503"}),
        ("speech.create", {"200", "400", "401", "403", "413", "429", "500", "503"}),
        ("health.metrics", {"200", "401", "403", "429", "500", "503"}),
    ],
)
def test_a_route_is_described_with_the_errors_it_is_declared_with(
    description: dict[str, Any], name: str, statuses: set[str]
) -> None:
    (found,) = [one for path in description["paths"].values() for one in path.values() if one["operationId"] == name]
    assert set(found["responses"]) == statuses
    assert all(one["description"] for one in found["responses"].values())


def test_what_is_made_leads_to_what_can_be_done_with_it(description: dict[str, Any]) -> None:
    created = description["paths"]["/v1/predictions"]["post"]["responses"]["201"]["links"]
    assert {"predictions.get", "predictions.cancel", "predictions.audio", "predictions.stream"} == set(created)
    about = {"operationId": "tasks.result", "parameters": {"task_id": "$response.body#/data/task_id"}}
    started = description["paths"]["/ai/audio_generation"]["post"]["responses"]["200"]["links"]
    assert started["tasks.result"] == about


@pytest.mark.parametrize("name", ["Prediction", "StoredFile"])
def test_an_answer_with_a_field_that_is_not_described_is_not_as_described(
    description: dict[str, Any], alice: httpx.Client, name: str
) -> None:
    """Else the fuzzing would see nothing."""
    made = created(alice) if name == "Prediction" else alice.post("/v1/files", files={"content": b"x"}).json()
    schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
    jsonschema.validate(made, schema)
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(made | {"owner": "alice"}, schema)
    with pytest.raises(jsonschema.ValidationError, match="required"):
        jsonschema.validate({n: value for n, value in made.items() if n != "id"}, schema)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/predictions", "GET, POST"),
        ("/v1/predictions/x/cancel", "POST"),
        ("/ai/audio_generation/x", "DELETE, GET, POST"),
        ("/v1/audio/voices/x", "DELETE, GET, POST"),
        ("/", "GET, HEAD"),
    ],
)
def test_a_path_tells_all_its_methods_to_who_uses_another(alice: httpx.Client, path: str, methods: str) -> None:
    answer = alice.put(path, json=asked())
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
