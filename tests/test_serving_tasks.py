"""Door 3 through HTTP: what is asked and answered, who may ask, one's own history."""

import io
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import soundfile
from serving_fixtures import PIECE, RATE, Running
from serving_task_fixtures import DIA, PATH, STAMP, alice, assert_refused, bob, ended, house, now, started

__all__ = ["alice", "bob", "house"]  # fixtures


def test_a_task_is_answered_in_the_envelope(alice: httpx.Client) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    answer = alice.post(PATH, json={"prompt": "[S1] Hey", "configs": {**DIA, "seed": 7}})
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["data", "errors", "error_description", "start_time", "end_time"]
    assert (body["errors"], body["error_description"]) == ([], "")
    times = [datetime.strptime(body[name], STAMP) for name in ("start_time", "end_time")]
    assert before <= times[0] <= times[1] <= datetime.now(UTC).replace(tzinfo=None)
    task = body["data"]
    assert re.fullmatch(r"[0-9a-f]{32}", task["task_id"])
    assert task["prompt"] == "[S1] Hey"
    assert task["config"] == {"model": "dia", "task_name": "tasks.dia", "task_type": "TEXT-TO-AUDIO", "seed": 7}
    assert task["status"] in ("PENDING", "RUNNING", "SUCCEEDED")
    base = str(alice.base_url.join(f"{PATH}/{task['task_id']}"))
    assert task["urls"] == {"status": base, "result": f"{base}/result", "cancel": f"{base}/cancel"}


def test_a_finished_task_gives_its_audio_by_a_signed_link(alice: httpx.Client) -> None:
    task = ended(alice, started(alice))
    assert task["status"] == "SUCCEEDED"
    assert (task["progress"], task["queue_position"], task["error"], task["data_removed"]) == (1.0, None, None, False)
    assert httpx.get(task["result_url"]).content == alice.get(task["urls"]["result"]).content
    ends, link_ends = (datetime.fromisoformat(task[name]) for name in ("expires_at", "result_url_expires_at"))
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(hours=24)
    assert timedelta(minutes=59) < link_ends - datetime.now(UTC) <= timedelta(hours=1)


def test_the_result_streams_with_ranges(alice: httpx.Client) -> None:
    url = ended(alice, started(alice))["urls"]["result"]
    whole = alice.get(url)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert soundfile.info(io.BytesIO(whole.content)).frames == len("[S1] Hey") * PIECE
    part = alice.get(url, headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert_refused(alice.get(url, headers={"Range": "bytes=99999999-"}), 416)


def test_the_head_of_a_result_says_how_long_it_is(alice: httpx.Client, bob: httpx.Client) -> None:
    result = ended(alice, started(alice))["urls"]["result"]
    whole, head = alice.get(result), alice.head(result)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "accept-ranges", "etag"):
        assert head.headers[name] == whole.headers[name]
    assert bob.head(result).status_code == 404


def test_the_status_can_be_posted_for(alice: httpx.Client) -> None:
    task = ended(alice, started(alice))
    posted = alice.post(task["urls"]["status"]).json()["data"]
    assert {**posted, "result_url": ""} == {
        **task,
        "result_url": "",
        "result_url_expires_at": posted["result_url_expires_at"],
    }


def test_a_plain_text_is_spoken_by_the_first_speaker(alice: httpx.Client) -> None:
    task = ended(alice, started(alice, "Hey"))
    assert task["prompt"] == "Hey"
    assert task["audio_seconds"] == pytest.approx(len("[S1] Hey") * PIECE / RATE)


def test_a_script_that_is_too_long_is_the_prompts_mistake(alice: httpx.Client) -> None:
    for script in ("a" * 4097, f"[S2] {'a' * 4097}"):
        answer = alice.post(PATH, json={"prompt": script, "configs": DIA})
        assert assert_refused(answer, 422, "prompt").startswith("is 4097 characters long")


def test_settings_reach_the_model_and_are_shown_as_they_were_given(alice: httpx.Client, house: Running) -> None:
    given = {"duration": 10, "top_k": 20, "top_p": 0.5, "seed": 3, "speed_factor": 1.0, "output_format": "flac"}
    task = started(alice, **given)
    kept = house.service.records.get(task["task_id"])
    assert kept is not None
    assert kept.input == {
        "text": "[S1] Hey", "max_new_tokens": 861, "cfg_filter_top_k": 20, "top_p": 0.5, "seed": 3,
        "speed_factor": 1.0, "output_format": "flac",
    }  # fmt: skip
    assert given.items() <= task["config"].items()
    assert alice.get(ended(alice, task)["urls"]["result"]).headers["content-type"] == "audio/flac"


def test_configs_as_a_string_are_the_same(alice: httpx.Client) -> None:
    answer = alice.post(PATH, json={"prompt": "Hey", "configs": '{"model": "dia", "seed": 5}'})
    assert answer.json()["data"]["config"]["seed"] == 5


def test_the_seed_that_was_drawn_is_told(alice: httpx.Client) -> None:
    assert 0 <= started(alice)["config"]["seed"] < 2**32


def test_a_voice_sent_along_is_shown_as_a_link(alice: httpx.Client) -> None:
    voice = {"audio_prompt": f"data:audio/wav;base64,{b64encode(b'RIFF voice').decode()}", "audio_prompt_text": "Hm."}
    link = started(alice, **voice)["config"]["audio_prompt"]
    assert httpx.get(link).content == b"RIFF voice"


def test_a_voice_may_come_without_its_words(alice: httpx.Client) -> None:
    """Whoever speaks listens to it: here the backend does, or would."""
    task = started(alice, audio_prompt=f"data:audio/wav;base64,{b64encode(b'RIFF voice').decode()}")
    assert "audio_prompt_text" not in task["config"]
    assert ended(alice, task)["audio_seconds"] > 0


@pytest.mark.parametrize(
    ("configs", "field"),
    [
        (None, "configs.model"),
        ({"model": "audiogen"}, "configs.model"),
        ({"model": "musicgen-stereo-large"}, "configs.model"),
        (DIA | {"duration": 5}, "configs.duration"),
        (DIA | {"top_k": 5}, "configs.top_k"),
        (DIA | {"top_p": 0.05}, "configs.top_p"),
        (DIA | {"seed": -1}, "configs.seed"),
        (DIA | {"output_format": "aac"}, "configs.output_format"),
        (DIA | {"audio_prompt": "/etc/hostname", "audio_prompt_text": "Hm."}, "configs.audio_prompt"),
        (DIA | {"max_new_tokens": 600}, "configs.max_new_tokens"),
        (DIA | {"webhook": "https://example.org"}, "configs.webhook"),
        ("{", "configs"),
    ],
)
def test_a_mistake_is_named_in_this_doors_words(alice: httpx.Client, configs: Any, field: str) -> None:
    message = assert_refused(alice.post(PATH, json={"prompt": "Hey", "configs": configs}), 422, field)
    if field == "configs.model":
        assert message.endswith("Available: 'dia'.")


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b'{"prompt"'])
def test_what_is_no_task_is_refused(alice: httpx.Client, content: bytes) -> None:
    assert_refused(alice.post(PATH, content=content, headers={"Content-Type": "application/json"}), 422, "body")


def test_bytes_that_are_no_text_are_refused(alice: httpx.Client) -> None:
    assert_refused(alice.post(PATH, content=b"\xff", headers={"Content-Type": "application/json"}), 400, "body")


def test_a_body_that_is_not_called_json_is_refused(alice: httpx.Client) -> None:
    assert "application/json" in assert_refused(alice.post(PATH, content=b'{"prompt": "Hey"}'), 422, "body")


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Basic abc"])
def test_without_a_good_token_nobody_comes_in(house: Running, token: str | None) -> None:
    with httpx.Client(base_url=house.url, headers={"Authorization": token} if token else {}) as client:
        task = f"{PATH}/{'0' * 32}"
        for method, path in [("POST", PATH), ("GET", task), ("POST", task), ("DELETE", task), ("GET", "/ai/tasks"),
                             ("POST", f"{task}/cancel"), ("GET", f"{task}/result")]:  # fmt: skip
            answer = client.request(method, path, **({"json": {"prompt": "Hey"}} if path == PATH else {}))
            assert_refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"


def assert_not_found(client: httpx.Client, task_id: str) -> None:
    for method, part in [("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/result")]:
        assert_refused(client.request(method, f"{PATH}/{task_id}{part}"), 404)


def test_somebody_elses_task_is_not_found(house: Running, alice: httpx.Client, bob: httpx.Client) -> None:
    with house.closed():
        task = started(alice)
        assert_not_found(bob, task["task_id"])
        assert now(alice, task)["status"] != "CANCELED"


def test_what_is_no_task_is_not_found(alice: httpx.Client) -> None:
    of_other_door = alice.post("/v1/predictions", json={"version": "parley/dia", "input": {"text": "Hey"}}).json()["id"]
    for task_id in (of_other_door, "0" * 32, "%00", "x" * 300):
        assert_not_found(alice, task_id)


def test_history_pages_through_ones_own_tasks_alone(house: Running, bob: httpx.Client, alice: httpx.Client) -> None:
    started(alice)
    tasks = [started(bob, seed=number) for number in range(5)]
    other = bob.post("/v1/predictions", json={"version": "parley/dia", "input": {"text": "Hey"}}).json()["id"]
    pages, cursor = [], None
    while not pages or cursor:
        page = bob.get("/ai/tasks", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()["data"]
        pages.append([task["task_id"] for task in page["tasks"]])
        cursor = page["next_cursor"]
    newest_first = [task["task_id"] for task in tasks[::-1]]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert [task["config"]["seed"] for task in bob.get("/ai/tasks").json()["data"]["tasks"]] == [4, 3, 2, 1, 0]
    assert [p["id"] for p in bob.get("/v1/predictions").json()["results"]] == [other]
    assert_refused(bob.get("/ai/tasks", params={"cursor": other}), 422, "cursor")
    assert_refused(alice.get("/ai/tasks", params={"cursor": newest_first[0]}), 422, "cursor")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5"])
def test_a_page_has_1_to_100_tasks(alice: httpx.Client, limit: str) -> None:
    assert alice.get("/ai/tasks", params={"limit": 100}).status_code == 200
    assert len(alice.get("/ai/tasks", params={"limit": 1}).json()["data"]["tasks"]) <= 1
    assert_refused(alice.get("/ai/tasks", params={"limit": limit}), 422, "limit")
