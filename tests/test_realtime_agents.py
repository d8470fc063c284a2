"""OpenAI's agents, of npm and of PyPI, unchanged: a whole exchange by their own methods, not by events.

It begins in their own settings, which let the server find turns; later these are turned off.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from npm_fixtures import npm_package
from realtime_exchange_fixtures import MOST_BYTES, RATE, TRANSCRIBED, Json, audio_of, check_tone
from realtime_fixtures import judge, only
from realtime_service_fixtures import HEARD, PATIENCE, TonePipeline, run, speaking
from serving_fixtures import ALICE, Running

AGENTS = Path(__file__).with_name("realtime_agents.mjs")
RETRIEVED = "conversation.item.retrieved"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, TonePipeline]]:
    with speaking(tmp_path_factory.mktemp("agents")) as running:
        yield running


def test_npms_agents(here: tuple[Running, TonePipeline], pytestconfig: pytest.Config) -> None:
    """They retrieve every item that has been transcribed, and what was cut short."""
    folder = npm_package(pytestconfig, "@openai/agents-realtime", "zod")
    (found,) = run("node", AGENTS, folder, here[0].url, ALICE)
    assert found["errors"] == ["item_delete_invalid_item_id"]
    assert found["audio"] / 2 / RATE == pytest.approx(0.1 * len("[S2] Hello."), abs=0.001)
    assert found["interrupted"]["status"] == "cancelled"
    assert found["told"].count(TRANSCRIBED) == 2
    assert found["told"].count(RETRIEVED) >= 3
    said = [(item["role"], words(item)) for item in found["history"]]
    assert said[:4] == [("user", "Hello."), ("assistant", "Hello.")] + [("user", " ".join(HEARD))] * 2
    assert [role for role, _ in said[4:]] == ["user", "assistant"]


def words(item: Json) -> str:
    return str(item["content"][0].get("transcript") or item["content"][0].get("text"))


def test_pythons_agents(here: tuple[Running, TonePipeline]) -> None:
    heard = asyncio.run(asyncio.wait_for(talk(here[0].url), PATIENCE))
    for event in heard:
        judge(event)
    assert only(heard, "error")["error"]["code"] == "item_delete_invalid_item_id"
    turns = [e["session"]["audio"]["input"]["turn_detection"] for e in heard if e["type"] == "session.updated"]
    assert (turns[0]["type"], turns[-1]) == ("semantic_vad", None)
    transcribed = [event for event in heard if event["type"] == TRANSCRIBED]
    assert [event["transcript"] for event in transcribed] == [" ".join(HEARD)] * 2
    assert transcribed[1]["usage"]["seconds"] == pytest.approx(MOST_BYTES / 2 / RATE, abs=0.001)
    first, second = [event["response"] for event in heard if event["type"] == "response.done"]
    check_tone(audio_of(heard, first["id"]), "[S2] Hello.")
    assert (first["status"], second["status"]) == ("completed", "cancelled")
    assert "conversation.item.truncated" in [event["type"] for event in heard]


async def talk(url: str) -> list[Json]:
    """Every event that the agents were told, in order."""
    agents = pytest.importorskip("agents.realtime", reason="openai-agents is not installed")
    settings = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}}
    address = f"{url.replace('http', 'ws')}/v1/realtime"
    runner = agents.RealtimeRunner(agents.RealtimeAgent(name="Speaker", instructions="Say what is written."))
    heard: list[Json] = []
    async with await runner.run(model_config={"url": address, "api_key": ALICE}) as session:
        told = raw(session)

        async def until(kind: str) -> None:
            while not heard or heard[-1]["type"] != kind:
                heard.append(await anext(told))

        await session.send_message("Hello.")
        await until("response.done")
        await session.model.send_event(agents.RealtimeModelSendSessionUpdate(session_settings=settings))
        await until("session.updated")
        for size in (RATE, MOST_BYTES):
            await session.send_audio(bytes(size), commit=True)
            heard.append(await anext(told))
            await until(TRANSCRIBED)
        wrong = {"type": "conversation.item.delete", "other_data": {"item_id": "nobody"}}
        await session.model.send_event(agents.RealtimeModelSendRawMessage(message=wrong))
        await until("error")
        await session.send_message("La~")
        await until("response.output_audio.delta")
        await session.interrupt()
        await until("conversation.item.truncated")
        await until("response.done")
    return heard


async def raw(session: Any) -> AsyncIterator[Json]:
    async for event in session:
        if event.type == "raw_model_event" and event.data.type == "raw_server_event":
            yield event.data.data
