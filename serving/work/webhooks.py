"""Webhooks as Replicate sends them: names of events, signatures, how often, and one delivery.

Knows no prediction and no queue: what a message says, and when a failed one is sent again, is decided elsewhere.
Source: Replicate's OpenAPI description and webhook documentation; signatures as in standardwebhooks.com.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import httpx

from models.errors import InvalidRequest
from serving.addresses import AddressRefused

EVENTS = ("start", "output", "logs", "completed")
DEFAULT_EVENTS = ("output", "completed")  # "whenever there are new outputs or the prediction has finished"
INTERVAL_SECONDS = 0.5  # at least, between two logs events of a prediction
SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32  # standardwebhooks.com asks for 24 to 64
GONE = 410  # the one status that says for ever; a receiver that is deployed just now answers 401, 403 or 404 too


def make_secret() -> str:
    """A new signing secret."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secret_of(secret: str, owner: str) -> str:
    """What the webhooks of one owner are signed with, who may know it: it tells nothing of another's.

    secret: the deployment's, which nobody is shown.
    """
    digest = hmac.new(_key(secret), owner.encode(), hashlib.sha256).digest()
    return SECRET_PREFIX + base64.b64encode(digest).decode()


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows that `body` is ours and recent.

    message_id: the same at each attempt, without dots, which part the signed text. timestamp: of this attempt, in
    seconds since 1970. Raises ValueError for a secret that is not whsec_ and base64.
    """
    assert message_id, "a message without an id"
    assert "." not in message_id, message_id
    key = _key(secret)
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(secret: str) -> bytes:
    """The text of the error must not hold the secret."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"the webhook secret does not start with {SECRET_PREFIX}")
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"the webhook secret is no base64 after {SECRET_PREFIX}") from None


def parse_events(value: Any, field: str) -> tuple[str, ...]:
    """`webhook_events_filter` → the events asked for, in the order of EVENTS; DEFAULT_EVENTS for None."""
    if value is None:
        return DEFAULT_EVENTS
    names = ", ".join(EVENTS)
    if not isinstance(value, list):
        raise InvalidRequest(field, f"is {value!r:.100}, not a list. Send a list of {names}.")
    if not value:
        raise InvalidRequest(field, f"is empty, so nothing would be sent. Name some of {names}, or leave it out.")
    for event in value:
        if event not in EVENTS:
            raise InvalidRequest(field, f"names {event!r:.100}; the events are {names}.")
        if value.count(event) > 1:
            raise InvalidRequest(field, f"names {event!r} {value.count(event)} times. Name it once.")
    return tuple(event for event in EVENTS if event in value)


class DeliveryFailed(Exception):
    """A message was not taken. `retry`: whether it may be the next time."""

    def __init__(self, reason: str, retry: bool) -> None:
        super().__init__(reason, retry)  # both, so that a copy can be made from `args`
        self.reason = reason
        self.retry = retry

    def __str__(self) -> str:
        return self.reason


def post_webhook(client: httpx.Client, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """POST one message; any 2xx takes it. Redirects are not followed and the answer's body is not read.

    client: public_client's, which decides how long it may take and keeps the URL's query out of the log; so do the
    errors here. Raises DeliveryFailed.
    """
    try:
        all_headers = {"content-type": "application/json", **headers}
        with client.stream("POST", url, content=body, headers=all_headers, follow_redirects=False) as response:
            status = response.status_code
    except httpx.InvalidURL:  # its text quotes the URL
        raise DeliveryFailed("the URL cannot be read", retry=False) from None
    except (AddressRefused, httpx.UnsupportedProtocol) as error:
        raise DeliveryFailed(f"the URL may not be called: {error}", retry=False) from error
    except httpx.HTTPError as error:
        raise DeliveryFailed(f"no answer ({type(error).__name__}: {error})", retry=True) from error
    if not 200 <= status <= 299:
        raise DeliveryFailed(f"answered with status {status}", retry=status != GONE)
