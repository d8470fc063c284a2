"""A whole exchange with clients that are not Python's: npm's `openai` over TLS, Java's own WebSocket, a browser's."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from npm_fixtures import npm_package
from realtime_exchange_fixtures import check_exchange, write_exchange
from realtime_service_fixtures import PATIENCE, run, speaking
from serving_fixtures import ALICE, Running
from serving_http_fixtures import reply, serve

pytest_plugins = ["serving_page_browser_fixtures"]

HERE = Path(__file__).parent
IN_THE_PAGE = """async ([url, key]) => {
  const exchange = await (await fetch("/exchange.txt")).text();
  const socket = new WebSocket(url, ["realtime", `openai-insecure-api-key.${key}`]);
  const told = [], heard = [];
  let wake = () => {}, fail = () => {};
  socket.onmessage = ({ data }) => { told.push(JSON.parse(data)); wake(); };
  socket.onclose = ({ code }) => fail(new Error(`closed: ${code}`));
  const next = async () => {
    while (told.length === 0) await new Promise((resolve, reject) => { wake = resolve; fail = reject; });
    return told.shift();
  };
  await new Promise((resolve, reject) => { socket.onopen = resolve; fail = reject; });
  for (const line of exchange.trimEnd().split("\\n")) {
    if (line.startsWith(">")) { socket.send(line.slice(2)); continue; }
    do heard.push(await next()); while (heard.at(-1).type !== line.slice(2));
  }
  socket.close();
  return [socket.protocol, heard];
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with speaking(tmp_path_factory.mktemp("clients")) as (running, _):
        yield running


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exchange") / "exchange.txt"
    write_exchange(path)
    return path


def test_npms_client_over_tls(exchange: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """It speaks wss alone; whom to trust is told by NODE_EXTRA_CA_CERTS."""
    folder, authority, own = npm_package(pytestconfig, "openai", "ws"), trustme.CA(), tmp_path / "own.pem"
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
    with speaking(tmp_path, certfile=str(own)) as (house, _):
        trusting = {"NODE_EXTRA_CA_CERTS": str(tmp_path / "authority.pem")}
        check_exchange(run("node", HERE / "realtime_npm.mjs", folder, house.url, ALICE, exchange, **trusting))


def test_javas_own_client(house: Running, exchange: Path) -> None:
    """It sends a length of no body with its handshake, and what it sends is in the order of Java's OpenAI SDK."""
    if shutil.which("javac") is None:
        pytest.skip("there is no JDK, whose compiler runs a file of source")
    url = f"{house.url.replace('http', 'ws')}/v1/realtime?model=gpt-realtime"
    check_exchange(run("java", HERE / "RealtimeExchange.java", url, ALICE, exchange))


def test_a_page_of_another_site_with_a_key_as_a_subprotocol(house: Running, exchange: Path, browser: Any) -> None:
    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    url = f"{house.url.replace('http', 'ws')}/v1/realtime?model=gpt-realtime"
    with serve() as site:
        site.answers["/"] = reply(b"<title>Talk</title>", content_type="text/html")
        site.answers["/exchange.txt"] = reply(exchange.read_bytes(), content_type="text/plain")
        page.goto(site.url())
        subprotocol, heard = page.evaluate(IN_THE_PAGE, [url, ALICE])
    page.close()
    assert subprotocol == "realtime"
    check_exchange(heard)
