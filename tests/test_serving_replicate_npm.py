"""Door 2 as Replicate's own JavaScript client sees it, unchanged. What it calls is in replicate_npm.mjs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from npm_fixtures import npm_package
from serving_fixtures import ALICE, PIECE, Running
from serving_replicate_fixtures import MODEL, PROMPT, TEXT, VERSION, HearingBackend, house

__all__ = ["house"]  # a fixture

SCRIPT = Path(__file__).with_name("replicate_npm.mjs")
SECONDS = 300  # of all calls
SIZE = len(TEXT) * PIECE * 2 + 44  # bytes of the wav file


@pytest.fixture(scope="session")
def installed(pytestconfig: pytest.Config) -> Path:
    """The folder in which npm has put the client."""
    return npm_package(pytestconfig, "replicate")


@pytest.fixture(scope="module")
def found(installed: Path, house: Running) -> dict[str, Any]:
    """What each call gave."""
    command = ["node", str(SCRIPT), str(installed), house.url, ALICE, MODEL, VERSION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def gave(found: dict[str, Any], name: str) -> Any:
    assert "gave" in found[name], found[name]
    return found[name].get("gave")


def test_run_gives_a_link_as_text_for_the_client_makes_file_outputs_of_https_alone(found: dict[str, Any]) -> None:
    assert gave(found, "run") == SIZE


def test_run_by_version_tells_its_progress(found: dict[str, Any]) -> None:
    seen = gave(found, "progress")
    assert seen[0] in ("starting", "processing")
    assert seen[-1] == "succeeded"


def test_stream_reads_without_a_token(found: dict[str, Any]) -> None:
    events = gave(found, "stream")
    assert [event for event, _, _ in events][-2:] == ["output", "done"]
    assert "".join(data for event, data, _ in events if event == "logs") == "seed: 1"
    assert len({event_id for _, _, event_id in events}) == len(events)
    streams = [sent for path, sent in found["sent"] if path.endswith("/stream")]
    assert streams == [False, False]


def test_a_stream_breaks_where_the_prediction_failed(found: dict[str, Any]) -> None:
    assert "exclamation mark" in found["failedStream"]["message"]


def test_predictions_are_created_read_waited_for_cancelled_and_listed(found: dict[str, Any]) -> None:
    given = gave(found, "predictions")
    assert len(set(given["ids"])) == 1
    assert given["statuses"] == ["succeeded", "succeeded"]
    assert sum(given["pages"]) >= 3


def test_an_aborted_run_is_cancelled(found: dict[str, Any], house: Running) -> None:
    assert gave(found, "aborted") == "canceled"
    assert house.service.records.active() == []


def test_files_are_uploaded_with_metadata_looked_at_listed_and_deleted(found: dict[str, Any]) -> None:
    """The client sends metadata as a part with a type and a file name of its own."""
    given = gave(found, "files")
    assert (given["name"], given["content_type"], given["metadata"]) == ("voice.wav", "audio/wav", {"who": "Anna"})
    assert (given["size"], given["listed"], given["deleted"]) == (len(PROMPT), True, True)
    assert given["gone"]["status"] == 404


def test_a_blob_is_what_the_model_hears(found: dict[str, Any], house: Running) -> None:
    assert gave(found, "spoken") == SIZE
    assert isinstance(house.backend, HearingBackend)
    assert house.backend.heard == [PROMPT]


def test_webhooks_are_valid_with_the_secret_that_the_client_fetches(found: dict[str, Any]) -> None:
    assert gave(found, "webhook") == [True, False, "succeeded"]


def test_the_model_and_its_version_are_described(found: dict[str, Any]) -> None:
    assert gave(found, "models") == [VERSION] * 3


def test_mistakes_and_failures_are_told(found: dict[str, Any]) -> None:
    assert found["refused"]["status"] == 422
    assert "- cfg_scale: is 9; it must lie between 1 and 5." in found["refused"]["message"]
    assert found["failed"]["message"].startswith("Prediction failed: text: holds an exclamation mark.")
