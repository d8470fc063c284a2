"""A task of door 3 from its place in the queue to its end and beyond, and what its key keeps from beginning twice."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from serving_fixtures import Running, wait_for
from serving_task_fixtures import (
    DIA,
    MOST_WAITING,
    PATH,
    alice,
    assert_refused,
    bob,
    ended,
    house,
    now,
    started,
)

from serving.rate_limit import RateLimited
from serving.storage.retention import Retention
from serving.web.problems import problem_of, task_error

__all__ = ["alice", "bob", "house"]  # fixtures


def test_what_waits_knows_its_place_and_can_be_cancelled(house: Running, alice: httpx.Client) -> None:
    with house.closed():
        first, second, third = (started(alice) for _ in range(3))
        wait_for(lambda: now(alice, first)["status"] == "RUNNING")
        assert now(alice, first)["queue_position"] is None
        assert [now(alice, task)["queue_position"] for task in (second, third)] == [1, 2]
        assert [now(alice, task)["status"] for task in (second, third)] == ["PENDING", "PENDING"]
        gone = alice.delete(second["urls"]["status"])
        assert (gone.status_code, gone.json()["data"]["status"]) == (200, "CANCELED")
        assert now(alice, third)["queue_position"] == 1
    assert now(alice, second)["status"] == "CANCELED"
    assert second["task_id"] not in house.backend.made


def test_what_runs_stops_when_cancelled(house: Running, alice: httpx.Client) -> None:
    with house.closed():
        task = started(alice)
        wait_for(lambda: now(alice, task)["status"] == "RUNNING")
        assert alice.post(task["urls"]["cancel"]).json()["data"]["status"] == "CANCELED"
        wait_for(lambda: task["task_id"] in house.backend.cancelled)
    found = now(alice, task)
    assert (found["status"], found["result_url"]) == ("CANCELED", None)
    assert "CANCELED" in assert_refused(alice.get(task["urls"]["result"]), 409)


@pytest.mark.parametrize("prompt", ["[S1] Hey", "[S1] No!"])
def test_what_is_over_stays_as_it_ended(alice: httpx.Client, prompt: str) -> None:
    task = ended(alice, started(alice, prompt))
    for answer in (alice.delete(task["urls"]["status"]), alice.post(task["urls"]["cancel"])):
        assert task["status"] in assert_refused(answer, 409)
    assert now(alice, task)["status"] == task["status"]


def test_a_cancelled_task_cannot_be_cancelled_again(house: Running, alice: httpx.Client) -> None:
    with house.closed():
        task = started(alice)
        assert alice.delete(task["urls"]["status"]).status_code == 200
        assert_refused(alice.delete(task["urls"]["status"]), 409)


def test_a_task_that_fails_says_why_in_this_doors_words(alice: httpx.Client) -> None:
    task = ended(alice, started(alice, "No!"))
    assert (task["status"], task["error"]) == ("FAILED", "prompt: holds an exclamation mark. Leave it out.")
    assert task["error"] in assert_refused(alice.get(task["urls"]["result"]), 409)


def test_progress_is_a_fraction_and_there_is_no_result_yet(house: Running, alice: httpx.Client) -> None:
    house.backend.pause = 0.1
    try:
        task = started(alice, "[S1] abcdef")
        running = wait_for(lambda: found if 0 < (found := now(alice, task))["progress"] < 1 else None)
        assert running["status"] == "RUNNING"
        assert running["audio_seconds"] > 0
        assert (running["result_url"], running["expires_at"]) == (None, None)
        assert "RUNNING" in assert_refused(alice.get(task["urls"]["result"]), 409)
        alice.delete(task["urls"]["status"])
    finally:
        house.backend.pause = 0.0


def expire_everything(house: Running) -> None:
    """What the janitor does a day later."""
    service = house.service
    wait_for(lambda: not service.records.active())
    later = time.time() + service.settings.keep_seconds + 1
    service.files.delete_expired(later)
    retention = Retention(service.engine)
    retention.remove_data(later - service.settings.keep_seconds)
    retention.remove_leftovers(retention.leftovers())


def test_what_was_kept_long_enough_is_expired(house: Running, alice: httpx.Client) -> None:
    body = {"prompt": "A secret", "configs": DIA}
    task = ended(alice, alice.post(PATH, json=body, headers={"Idempotency-Key": "expiring"}).json()["data"])
    failed = ended(alice, started(alice, "No!"))
    expire_everything(house)
    answer = alice.get(task["urls"]["status"])
    found = answer.json()["data"]
    assert answer.status_code == 200
    assert (found["status"], found["data_removed"], found["result_url"], found["prompt"]) == (
        "EXPIRED",
        True,
        None,
        None,
    )
    assert now(alice, failed)["status"] == "FAILED"
    assert "secret" not in str(house.service.records.get(task["task_id"]))
    assert_refused(alice.get(task["urls"]["result"]), 410)
    assert "EXPIRED" in assert_refused(alice.delete(task["urls"]["status"]), 409)
    repeated = alice.post(PATH, json=body, headers={"Idempotency-Key": "expiring"}).json()["data"]
    assert (repeated["task_id"], repeated["status"]) == (task["task_id"], "EXPIRED")


def test_the_same_key_and_body_are_the_same_task(alice: httpx.Client, bob: httpx.Client) -> None:
    task = started(alice, key="same", seed=1)
    assert started(alice, key="same", seed=1)["task_id"] == task["task_id"]
    ended(alice, task)
    assert started(alice, key="same", seed=1)["status"] == "SUCCEEDED"
    assert started(bob, key="same", seed=1)["task_id"] != task["task_id"]
    assert started(alice, seed=1)["task_id"] != task["task_id"]


@pytest.mark.parametrize("body", [{"prompt": "Ho"}, {"prompt": "[S1] Hey"}, {"prompt": "Hey", "configs": {"seed": 2}}])
def test_the_same_key_with_another_body_is_refused(alice: httpx.Client, body: dict[str, Any]) -> None:
    started(alice, "Hey", key="another")
    body = body | {"configs": DIA | body.get("configs", {})}
    assert_refused(alice.post(PATH, json=body, headers={"Idempotency-Key": "another"}), 422, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb"])
def test_a_key_that_is_no_key_is_refused(alice: httpx.Client, key: str) -> None:
    answer = alice.post(PATH, json={"prompt": "Hey", "configs": DIA}, headers={"Idempotency-Key": key})
    assert_refused(answer, 422, "Idempotency-Key")


def test_eight_at_once_with_one_key_are_one_task(house: Running, alice: httpx.Client) -> None:
    together = threading.Barrier(8)

    def start(number: int) -> str:
        together.wait()
        return str(started(alice, "Hey, all", key="at once", seed=9)["task_id"])

    with ThreadPoolExecutor(8) as threads:
        (task_id,) = set(threads.map(start, range(8)))
    wait_for(lambda: not house.service.records.active())
    assert house.backend.made.count(task_id) == 1


def test_who_has_too_many_waits_but_may_repeat_what_was_accepted(house: Running, alice: httpx.Client) -> None:
    with house.closed():
        tasks = [started(alice, key=f"many {number}") for number in range(MOST_WAITING)]
        full = alice.post(PATH, json={"prompt": "Hey", "configs": DIA})
        assert f"{MOST_WAITING} predictions" in assert_refused(full, 429)
        assert int(full.headers["retry-after"]) > 0
        assert started(alice, key="many 3")["task_id"] == tasks[3]["task_id"]


def test_who_calls_too_often_is_told_when_to_come_back() -> None:
    problem = problem_of(RateLimited(7))
    assert problem.headers == {"Retry-After": "7"}
    (error,) = task_error(problem, started_at=0.0)["errors"]
    assert error == {"code": "too_many_requests", "field": None, "message": problem.detail}
    assert task_error(problem, started_at=0.5)["start_time"] == "1970-01-01 00:00:00.500000"
