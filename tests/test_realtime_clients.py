"""OpenAI's agents of npm and of PyPI, Java's own library and a browser before the socket."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from npm_fixtures import npm_package
from realtime_fixtures import kinds
from realtime_service_fixtures import TonePipeline, check_hello, run, speaking
from serving_fixtures import ALICE, Running

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, TonePipeline]]:
    with speaking(tmp_path_factory.mktemp("clients")) as running:
        yield running


def test_npm_agents_hear_what_they_wrote(request: pytest.FixtureRequest, here: tuple[Running, TonePipeline]) -> None:
    folder = npm_package(request.config, "@openai/agents-realtime")
    heard = json.loads(run(["node", str(HERE / "realtime_npm.mjs"), str(folder), "agents", here[0].url, ALICE]))
    assert [event for event in heard["heard"] if event["type"] == "error"] == []
    assert heard["audio"] / 48_000 == pytest.approx(1.1, abs=0.001)
    user, assistant = heard["history"]
    assert (user["role"], user["content"][0]["text"]) == ("user", "Hello.")
    assert (assistant["role"], assistant["content"][0]["transcript"]) == ("assistant", "Hello.")


def test_javas_own_client_connects_and_appends_15_mib(here: tuple[Running, TonePipeline]) -> None:
    """It sends `Content-Length: 0` with its handshake, at which other implementations of sockets hang."""
    if shutil.which("javac") is None:
        pytest.skip("there is no JDK, whose compiler runs a file of source")
    address = here[0].url.replace("http", "ws") + "/v1/realtime?model=gpt-realtime"
    lines = run(["java", str(HERE / "RealtimeClient.java"), address, ALICE]).splitlines()
    events = [json.loads(line) for line in lines]
    assert "committed" in kinds(events)
    check_hello(events)


BROWSER = """
async ([address, token]) => {
  const socket = new WebSocket(address, ["realtime", "openai-insecure-api-key." + token]);
  const heard = [];
  await new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("the socket failed"));
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      heard.push(event);
      if (event.type === "session.created") {
        socket.send(JSON.stringify({ type: "response.create", response: { instructions: "Hello." } }));
      }
      if (event.type === "response.done") resolve();
    };
  });
  socket.close();
  return { protocol: socket.protocol, heard };
}
"""


def test_a_browser_connects_with_its_key_as_a_subprotocol(here: tuple[Running, TonePipeline]) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page()
        page.goto(f"{here[0].url}/health")
        address = here[0].url.replace("http", "ws") + "/v1/realtime"
        told = page.evaluate(BROWSER, [address, ALICE])
        browser.close()
    assert told["protocol"] == "realtime"
    check_hello(told["heard"])


def test_pythons_agents_hear_what_they_wrote(here: tuple[Running, TonePipeline]) -> None:
    agents = pytest.importorskip("agents.realtime", reason="openai-agents is not installed")

    async def talk() -> tuple[int, list[str]]:
        agent = agents.RealtimeAgent(name="Speaker", instructions="Say it.")
        runner = agents.RealtimeRunner(agent)
        address = here[0].url.replace("http", "ws") + "/v1/realtime"
        audio, errors = 0, []
        async with await runner.run(model_config={"url": address, "api_key": ALICE}) as session:
            await session.send_message("Hello.")
            async for event in session:
                if event.type == "audio":
                    audio += len(event.audio.data)
                elif event.type == "error":
                    errors.append(str(event.error))
                elif event.type == "audio_end":
                    return audio, errors
        return audio, errors

    audio, errors = asyncio.run(talk())
    assert errors == []
    assert audio / 48_000 == pytest.approx(1.1, abs=0.001)
