"""What a token is for: each door answers 403, in its own words, to one that is not for what is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving_fixtures import CREATE, Running, running
from serving_replicate_fixtures import asked
from websockets.sync.client import connect

from models.errors import InvalidRequest
from serving.__main__ import main
from serving.access import ALL, Keys, NotInScope, hash_token, read_scopes

CREATES, OVERSEES, READS, ALL_OF_IT = (
    f"{name}-token-of-20-letters" for name in ("creating", "seeing", "reading", "all")
)
LINES = f"""anna {hash_token(CREATES)} create
anna {hash_token(READS)} read
prometheus {hash_token(OVERSEES)} metrics
bob {hash_token(ALL_OF_IT)}
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("scopes")
    (folder / "tokens").write_text(LINES)
    with running(folder / "data", tokens="", tokens_file=str(folder / "tokens")) as found:
        yield found


def ask(house: Running, token: str, method: str, path: str, **options: Any) -> httpx.Response:
    with house.client(token) as client:
        return client.request(method, path, **options)


WORK: list[tuple[str, dict[str, Any]]] = [
    ("/v1/predictions", {"json": asked()}),
    (CREATE, {"json": {"input": asked()["input"]}}),
    ("/v1/files", {"files": {"content": b"x"}}),
    ("/ai/audio_generation", {"json": {"prompt": "[S1] Hey.", "configs": {"model": "dia"}}}),
    ("/v1/audio/speech", {"json": {"model": "dia", "input": "Hey.", "voice": "s1"}}),
    ("/v1/audio/voices", {"data": {"name": "Ann", "consent": "She agreed."}}),
    ("/v1/audio/voices/voice_1", {"json": {"transcript": "What others said."}}),
    ("/v1/realtime/client_secrets", {"json": {}}),
]


@pytest.mark.parametrize(("path", "body"), WORK, ids=[path for path, _ in WORK])
def test_who_may_only_look_makes_no_work(house: Running, path: str, body: dict[str, Any]) -> None:
    before = house.service.records.active()
    answer = ask(house, READS, "POST", path, **body)
    assert answer.status_code == 403
    told = "This token is for read, and this takes one for create. Ask whoever runs the service for one."
    found = answer.json()
    if path.startswith("/ai/"):
        assert (found["data"], found["error_description"]) == (None, told)
        assert found["errors"] == [{"code": "forbidden", "field": None, "message": told}]
    elif path.startswith(("/v1/audio", "/v1/realtime")):
        assert (found["error"]["message"], found["error"]["code"]) == (told, "insufficient_permissions")
    else:
        assert (found["title"], found["detail"]) == ("Forbidden", told)
    assert house.service.records.active() == before
    assert ask(house, OVERSEES, "POST", path, **body).status_code == 403


def test_a_caller_looks_at_and_cancels_what_another_token_of_theirs_has_made(house: Running) -> None:
    made = ask(house, CREATES, "POST", "/v1/predictions", json=asked(), headers={"Prefer": "wait"}).json()
    assert ask(house, READS, "GET", made["urls"]["get"]).json()["status"] == "succeeded"
    assert ask(house, READS, "POST", made["urls"]["cancel"]).status_code == 200
    assert ask(house, OVERSEES, "GET", made["urls"]["get"]).status_code == 404


def test_the_numbers_of_all_are_for_who_may_see_them(house: Running) -> None:
    """Before, every caller saw what the others had made."""
    run_count = {}
    for token, status in ((CREATES, 403), (READS, 403), (OVERSEES, 200), (ALL_OF_IT, 200)):
        assert ask(house, token, "GET", "/metrics").status_code == status
        model = ask(house, token, "GET", "/v1/models/parley/dia").json()
        assert ask(house, token, "GET", "/v1/models").json()["results"] == [model]
        run_count[token] = model["run_count"]
    ask(house, ALL_OF_IT, "POST", "/v1/predictions", json=asked(), headers={"Prefer": "wait"})
    now = {token: ask(house, token, "GET", "/v1/models/parley/dia").json()["run_count"] for token in run_count}
    assert [now[token] - run_count[token] for token in (CREATES, READS, OVERSEES, ALL_OF_IT)] == [0, 0, 1, 1]


def test_a_socket_makes_work_too(house: Running) -> None:
    address = house.url.replace("http", "ws", 1) + "/v1/realtime"
    for token, code in ((READS, "insufficient_permissions"), (CREATES, None)):
        with connect(address, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            assert json.loads(socket.recv(timeout=30)).get("error", {}).get("code") == code


@pytest.mark.parametrize(
    "line", ["anna", f"anna {'0' * 64} create metrics", f"anna {'0' * 64} admin", f"anna {'0' * 64} create,"]
)
def test_a_line_with_other_scopes_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "tokens").write_text(line)
    with pytest.raises(InvalidRequest, match=r"tokens_file|scopes"):
        Keys.of("", str(tmp_path / "tokens"), no_auth=False)


def test_a_token_is_drawn_with_its_scopes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "carol", "--scopes", "create"]) == 0
    kept, shown = capsys.readouterr()
    (tmp_path / "tokens").write_text(kept)
    keys, sent = Keys.of("", str(tmp_path / "tokens"), no_auth=False), f"Bearer {shown.split()[-1]}"
    assert keys.caller_for("create", sent) == "carol"
    with pytest.raises(NotInScope, match="is for create, and this takes one for metrics"):
        keys.caller_for("metrics", sent)
    assert main(["token", "carol", "--scopes", "all"]) == 2
    assert "hold 'all'; there are create, metrics and read" in capsys.readouterr().err


def test_whoever_says_nothing_of_scopes_and_whoever_needs_no_token_may_do_all() -> None:
    open_to_all = Keys.of("", "", no_auth=True)
    named = Keys.of(f"bob:{ALL_OF_IT}", "", no_auth=False)
    for scope in ALL:
        assert open_to_all.caller_for(scope, None) == "anyone"
        assert named.caller_for(scope, f"Bearer {ALL_OF_IT}") == "bob"
    assert read_scopes("read") == frozenset()
