"""Where tokens, links and secrets must not be: in no log, in no file, in no error, and in no one else's hands."""

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from serving_fixtures import ALICE, BOB, TOKENS, Running, running, wait_for
from serving_http_fixtures import StandInServer, reply, serve
from serving_replicate_fixtures import PROMPT, HearingBackend, alice, asked, created

from serving.__main__ import main
from serving.access import Keys, hash_token
from serving.settings import Settings
from serving.storage.database import open_database, sqlite_url
from serving.storage.tables import secrets

__all__ = ["alice"]  # a fixture

QUERY = "hush=7f3c9a"


class Heard(logging.Handler):
    """All that any logger says, with what its arguments and errors add."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {logging.Formatter().format(record)} {record.args!r}")


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    """At the level at which everything is told, of loggers that keep to themselves too."""
    handler, root = Heard(), logging.getLogger()
    others = [found for found in map(logging.getLogger, root.manager.loggerDict) if not found.propagate]
    levels = {one: one.level for one in (root, *others)}
    for one in levels:
        one.addHandler(handler)
        one.setLevel(logging.DEBUG)
    yield handler
    for one, level in levels.items():
        one.removeHandler(handler)
        one.setLevel(level)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, heard: Heard) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("house"), HearingBackend()) as found:
        yield found


def sent(house: Running, method: str, path: str, body: Any = None, token: str = ALICE) -> Any:
    """By a client that logs nothing itself."""
    url = path if path.startswith("http") else house.url + path
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Prefer": "wait"}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = answer.read()
        return json.loads(content) if "json" in answer.headers.get("content-type", "") else content


@pytest.fixture(scope="module")
def round_trip(house: Running) -> list[str]:
    """A recording fetched, a prediction, webhooks taken and not taken, links opened → the secrets that this took."""
    with serve() as outside:
        outside.answers |= {"/voice.wav": reply(PROMPT), "/taken": reply(), "/refused": reply(status=410)}
        made = [_made(house, outside, name) for name in ("taken", "refused", "nowhere")]
        wait_for(lambda: {"/taken", "/refused"} <= {urlsplit(one.target).path for one in outside.asked})
    links = [link for one in made for link in (one["output"], one["urls"]["stream"], one["input"]["audio_prompt"])]
    signatures = [found[0] for link in links if (found := parse_qs(urlsplit(link).query).get("signature"))]
    for link in links[:2]:
        assert sent(house, "GET", link)
    with pytest.raises(urllib.error.HTTPError):
        sent(house, "GET", "/v1/predictions", token=BOB + "x")
    assert len(signatures) == 6
    vault = house.service.vault
    webhooks = sent(house, "GET", "/v1/webhooks/default/secret")["key"]
    return [ALICE, BOB, QUERY, *signatures, vault.links.hex(), vault.webhooks, webhooks, webhooks[6:]]


def _made(house: Running, outside: StandInServer, webhook: str) -> dict[str, Any]:
    """webhook: where to. There is nothing at /nowhere, and its connection breaks."""
    spoken = {"audio_prompt": outside.url(f"/voice.wav?{QUERY}"), "audio_prompt_text": "[S1] Hey."}
    body = asked(**spoken) | {"webhook": outside.url(f"/{webhook}?{QUERY}"), "webhook_events_filter": ["completed"]}
    return dict(sent(house, "POST", "/v1/predictions", body))


def test_no_secret_is_in_any_log(heard: Heard, round_trip: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    wait_for(lambda: "".join(heard.lines).count("was not taken") >= 2)  # one was refused, one came to nobody
    said = "\n".join(heard.lines) + "".join(capfd.readouterr())
    assert "POST /v1/predictions 201" in said
    assert [secret for secret in round_trip if secret in said] == []


def test_no_token_is_in_any_file(house: Running, round_trip: list[str]) -> None:
    files = [path for path in house.service.settings.data.rglob("*") if path.is_file()]
    (database,) = [path for path in files if path.name == "parley.db"]
    for token in (ALICE, BOB):
        assert [path for path in files if token.encode() in path.read_bytes()] == []
    assert database.stat().st_mode & 0o077 == 0


def test_tokens_are_kept_as_hashes_and_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "carol"]) == 0
    kept, shown = capsys.readouterr()
    token = shown.split()[-1]
    assert kept.split() == ["carol", hash_token(token)]
    file = tmp_path / "tokens"
    file.write_text(kept)
    keys = Keys.of(TOKENS, str(file), no_auth=False)
    assert keys.caller(f"Bearer {token}") == "carol"
    assert not any(secret in repr(keys) for secret in (token, ALICE, BOB))


def test_settings_do_not_show_their_tokens() -> None:
    given = Settings(tokens=TOKENS, database_url="postgresql://parley:hunter2@db/parley")
    assert not any(secret in repr(given) for secret in (ALICE, BOB, "hunter2"))


def test_a_line_break_of_a_caller_stays_in_its_line(house: Running, heard: Heard, alice: httpx.Client) -> None:
    alice.get("/v1/nothing%0AINFO%20forged%0D")
    logged = "GET /v1/nothing%0AINFO%20forged%0D 404"
    wait_for(lambda: any(logged in line for line in heard.lines))  # it is written when the answer has left
    assert not any("\nINFO forged" in line for line in heard.lines)


def test_an_error_of_the_database_quotes_no_values(tmp_path: Path) -> None:
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    row = secrets.insert().values(name="links", value="of-the-utmost-secrecy")
    with engine.begin() as connection:
        connection.execute(row)
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError) as failed:
        connection.execute(row)
    engine.dispose()
    assert "of-the-utmost-secrecy" not in str(failed.value)


def test_a_link_opens_its_own_file_for_its_own_time(house: Running, alice: httpx.Client) -> None:
    link = httpx.URL(created(alice)["output"])
    assert httpx.get(link).status_code == 200
    other = httpx.URL(created(alice)["output"])
    later = int(link.params["expiry"]) + 1
    forged = [
        link.copy_set_param("expiry", str(later)),
        link.copy_set_param("owner", "bob"),
        link.copy_set_param("signature", link.params["signature"][::-1]),
        link.copy_set_param("signature", ""),
        link.copy_set_param("signature", "é"),
        link.copy_with(path=other.path),
    ]
    assert [httpx.get(one).status_code for one in forged] == [404] * len(forged)
    bare = [link.copy_remove_param(name) for name in ("owner", "expiry", "signature")]
    assert [httpx.get(one).status_code for one in bare] == [422] * len(bare)
    past = int(time.time()) - 1
    signed = house.service.links.signature("alice", link.path.split("/")[3], past)
    old = link.copy_set_param("expiry", str(past)).copy_set_param("signature", signed)
    assert httpx.get(old).status_code == 404


def test_a_stream_opens_by_its_link_or_its_owner_and_by_nothing_else(house: Running, alice: httpx.Client) -> None:
    prediction = created(alice)
    link = httpx.URL(prediction["urls"]["stream"])
    bare = link.copy_with(query=None)
    assert httpx.get(link).status_code == alice.get(bare).status_code == 200
    assert httpx.get(bare).status_code == 401
    assert httpx.get(link.copy_set_param("signature", "0" * 64)).status_code == 404
    other = httpx.URL(created(alice)["urls"]["stream"])
    assert httpx.get(link.copy_with(path=other.path)).status_code == 404
    file = httpx.URL(prediction["output"])
    swapped = link.copy_set_param("signature", file.params["signature"]).copy_set_param("expiry", file.params["expiry"])
    assert httpx.get(swapped).status_code == 404
