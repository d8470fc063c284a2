"""Webhooks: signatures that Replicate's own client accepts, the events there are, how often, and one delivery."""

import base64
import copy
import json
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret
from serving_http_fixtures import StandInServer, reply, serve, stand_in_network

from models.errors import InvalidRequest
from serving.public_http import public_client
from serving.work.webhooks import (
    DEFAULT_EVENTS,
    EVENTS,
    DeliveryFailed,
    make_secret,
    parse_events,
    post_webhook,
    signed_headers,
)

SECRET = make_secret()
IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1)


@pytest.fixture
def server() -> Iterator[StandInServer]:
    with serve() as state:
        yield state


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with public_client(allow_private=True, seconds=5) as client:
        yield client


def test_a_secret_is_new_and_long() -> None:
    keys = {base64.b64decode(make_secret().removeprefix("whsec_"), validate=True) for _ in range(50)}
    assert len(keys) == 50
    assert {len(key) for key in keys} == {32}


@given(IDS, st.integers(0, 2**40), st.text(min_size=1))
def test_replicates_client_accepts_the_signature(message_id: str, timestamp: int, text: str) -> None:
    secret = make_secret()
    headers = signed_headers(secret, message_id, timestamp, text.encode())
    Webhooks.validate(headers=headers, body=text, secret=WebhookSigningSecret(key=secret))
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=text + " ", secret=WebhookSigningSecret(key=secret))
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=text, secret=WebhookSigningSecret(key=make_secret()))


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp"])
def test_the_signature_holds_for_one_message_and_time(changed: str) -> None:
    headers = signed_headers(SECRET, "p1-completed-0", 1_700_000_000, b"{}")
    headers[changed] += "0"
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body="{}", secret=WebhookSigningSecret(key=SECRET))


def test_a_signature_of_long_ago_stays_the_same() -> None:
    """Worked out by hand with openssl: printf 'm.1.{}' | openssl dgst -sha256 -hmac secret -binary | base64."""
    headers = signed_headers("whsec_c2VjcmV0", "m", 1, b"{}")
    assert headers == {
        "webhook-id": "m",
        "webhook-timestamp": "1",
        "webhook-signature": "v1,JF6NGCkoKSuLqYWpcgqDSZzwpiy7/gAgJdt2WoY4jq0=",
    }


@pytest.mark.parametrize("secret", ["", "c2VjcmV0", "whsec_sec-ret", "whsec_c2VjcmV"])
def test_a_damaged_secret_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(ValueError, match="the webhook secret") as refused:
        signed_headers(secret, "m", 1, b"{}")
    assert "c2VjcmV" not in str(refused.value)
    assert "sec-ret" not in str(refused.value)


def test_without_a_filter_outputs_and_the_end_are_told() -> None:
    assert parse_events(None, "webhook_events_filter") == DEFAULT_EVENTS == ("output", "completed")


@given(st.lists(st.sampled_from(EVENTS), min_size=1, unique=True))
def test_a_filter_keeps_what_it_names(names: list[str]) -> None:
    events = parse_events(names, "webhook_events_filter")
    assert sorted(events) == sorted(names)
    assert list(events) == sorted(events, key=EVENTS.index)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("completed", "is 'completed', not a list"),
        ({"start": 1}, "not a list"),
        ([], "is empty"),
        (["finished"], "names 'finished'"),
        (["Start"], "names 'Start'"),
        ([None], "names None"),
        ([["start"]], "names ['start']"),
        (["logs", "logs"], "names 'logs' 2 times"),
    ],
)
def test_a_filter_that_is_none_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_events(value, "webhook_events_filter")
    assert refused.value.field == "webhook_events_filter"
    assert problem in refused.value.problem


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_takes_a_message(server: StandInServer, client: httpx.Client, status: int) -> None:
    server.answers["/hook"] = reply(status=status)
    body = json.dumps({"id": "p1"}).encode()
    post_webhook(client, server.url("/hook?id=7"), body, signed_headers(SECRET, "m", int(time.time()), body))
    (asked,) = server.asked
    assert (asked.method, asked.target, asked.body) == ("POST", "/hook?id=7", body)
    assert asked.headers["content-type"] == "application/json"
    key = WebhookSigningSecret(key=SECRET)
    Webhooks.validate(headers=asked.headers, body=asked.body.decode(), secret=key, tolerance=60)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503])
def test_what_is_not_taken_may_be_taken_later_unless_its_receiver_is_gone(
    server: StandInServer, client: httpx.Client, status: int
) -> None:
    """Before, a 404 of a receiver that was deployed just then was the end of it."""
    server.answers |= {"/hook": reply(status=status, location="/elsewhere"), "/elsewhere": reply()}
    with pytest.raises(DeliveryFailed, match=f"answered with status {status}") as failed:
        post_webhook(client, server.url("/hook"), b"{}", {})
    assert failed.value.retry == (status != 410)
    assert [asked.target for asked in server.asked] == ["/hook"]


def test_a_long_answer_is_not_read(server: StandInServer, client: httpx.Client) -> None:
    server.answers["/"] = reply(b"", content_length=str(10**12))
    post_webhook(client, server.url(), b"{}", {})


def test_a_receiver_that_is_away_or_slow_is_tried_again(client: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, public_client(allow_private=True, seconds=0.2) as unsynced:
        port = silent.getsockname()[1]
        with pytest.raises(DeliveryFailed, match=r"no answer \(ReadTimeout") as slow:
            post_webhook(unsynced, f"http://127.0.0.1:{port}/", b"{}", {})
    with pytest.raises(DeliveryFailed, match=r"no answer \(ConnectError") as away:
        post_webhook(client, f"http://127.0.0.1:{port}/", b"{}", {})
    assert slow.value.retry
    assert away.value.retry


def test_a_receiver_that_has_moved_into_a_private_network_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_network(monkeypatch).names["hooks.test"] = [["10.0.0.1"]]
    with public_client(allow_private=False, seconds=5) as client:
        for url in ("http://hooks.test/", "ftp://hooks.test/", "http://hooks.test:secret/"):
            with pytest.raises(DeliveryFailed) as failed:
                post_webhook(client, url, b"{}", {})
            assert not failed.value.retry
            assert "secret" not in str(failed.value)


@pytest.mark.parametrize("status", [200, 302, 404, None])
def test_the_query_is_never_logged_nor_told(
    server: StandInServer, client: httpx.Client, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    if status is not None:
        server.answers["/hook"] = reply(status=status, location="/elsewhere")
    secret = "".join(reversed("2retnuh"))  # the log of an error shows these lines too
    url = server.url(f"/hook?token={secret}") if status else f"http://127.0.0.1:1/hook?token={secret}"
    with caplog.at_level(logging.DEBUG):
        try:
            post_webhook(client, url, b"{}", {})
        except DeliveryFailed:
            logging.getLogger(__name__).exception("it failed")
    assert secret not in caplog.text
    assert "127.0.0.1" in caplog.text


def test_a_failure_can_be_copied_as_a_durable_queue_does() -> None:
    failed = copy.copy(DeliveryFailed("answered with status 503", retry=True))
    assert (failed.reason, failed.retry) == ("answered with status 503", True)
    assert str(failed) == failed.reason
