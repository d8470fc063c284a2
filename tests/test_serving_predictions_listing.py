"""Which predictions a list holds: those of a period, as they were shown, page by page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from serving_replicate_fixtures import alice, created, house

from serving.doors.predictions import routes

__all__ = ["alice", "house"]  # fixtures

PREDICTIONS = "/v1/predictions"


@pytest.fixture(scope="module")
def three(alice: httpx.Client) -> list[dict[str, Any]]:
    return [created(alice) for _ in range(3)]


def ids(client: httpx.Client, path: str = PREDICTIONS, **asked: str) -> tuple[list[str], str | None]:
    """(of what is listed, the link to what is older)"""
    answer = client.get(path, params=asked or None)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["results"]], answer.json()["next"]


def test_a_period_begins_with_what_was_created_then_and_ends_before_it(
    alice: httpx.Client, three: list[dict[str, Any]]
) -> None:
    """Before, all of them were listed whatever was asked."""
    first, second, third = three
    assert ids(alice)[0] == [third["id"], second["id"], first["id"]]
    assert ids(alice, created_after=second["created_at"])[0] == [third["id"], second["id"]]
    assert ids(alice, created_before=second["created_at"])[0] == [first["id"]]
    both = {"created_after": second["created_at"], "created_before": third["created_at"]}
    assert ids(alice, **both)[0] == [second["id"]]
    elsewhere = datetime.fromisoformat(third["created_at"]) - timedelta(microseconds=1)
    zoned = (elsewhere.replace(tzinfo=None) + timedelta(hours=5)).isoformat() + "+05:00"
    assert ids(alice, created_after=zoned)[0] == [third["id"]]
    assert ids(alice, created_after=(datetime.now(UTC) + timedelta(days=1)).isoformat())[0] == []


def test_pages_of_a_period_lead_to_pages_of_the_same(
    alice: httpx.Client, three: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PAGE_SIZE", 1)
    first, second, third = three
    found, following = ids(alice, created_after=second["created_at"])
    assert (found, following is not None) == ([third["id"]], True)
    found, following = ids(alice, following)
    assert (found, following) == ([second["id"]], None)
    assert first["id"] not in found


def test_nothing_comes_from_the_web_alone(alice: httpx.Client, three: list[dict[str, Any]]) -> None:
    assert three[0]["source"] == "api"
    assert ids(alice, source="web") == ([], None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_after", "yesterday"),
        ("created_after", "2025-01-01"),
        ("created_before", "2025-01-01T00:00:00"),
        ("created_before", "1735689600"),
        ("created_before", ""),
        ("source", "api"),
    ],
)
def test_what_is_no_moment_is_refused(alice: httpx.Client, name: str, value: str) -> None:
    answer = alice.get(PREDICTIONS, params={name: value, "source": "web"} | {name: value})
    assert answer.status_code == 422
    (mistake,) = answer.json()["invalid_fields"]
    assert mistake["field"] == name
    assert repr(value) in mistake["description"]
