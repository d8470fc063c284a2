"""README's snippets of the realtime socket do what they say, with the real clients, as they stand but for addresses."""

import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chat_fixtures import chat_stand_in, written
from npm_fixtures import npm_package
from realtime_exchange_fixtures import RATE, check_tone
from realtime_service_fixtures import HEARD, PATIENCE, TonePipeline, speaking
from serving_fixtures import Running

from serving.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text()
ADDRESS = "127.0.0.1:8000"
SNIPPETS = dict(re.findall(r"<!-- realtime (\w+) -->\n```\w+\n(.*?)```", README, re.DOTALL))
SAID = "[S2] Hello there."


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, TonePipeline]]:
    with speaking(tmp_path_factory.mktemp("readme"), tokens="", no_auth=True) as running:
        yield running


def run(language: str, house: Running, script: Path, *command: str, **environment: str) -> str:
    """As a reader would, in the folder of the script → what it prints."""
    assert ADDRESS in SNIPPETS[language]
    script.write_text(SNIPPETS[language].replace(ADDRESS, house.url.partition("//")[2]))
    done = subprocess.run(
        [*command, script], cwd=script.parent, env=os.environ | environment, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def record(folder: Path) -> None:
    with wave.open(str(folder / "ann.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.full(RATE, 1000, "<i2").tobytes())


def test_python_hears_a_recording_and_speaks_in_its_voice(here: tuple[Running, TonePipeline], tmp_path: Path) -> None:
    house, pipeline = here
    record(tmp_path)
    assert run("python", house, tmp_path / "hello.py", sys.executable) == " ".join(HEARD) + "\n"
    request = pipeline.requests[-1]
    assert request.audio_prompt_transcription == f"[S1] {' '.join(HEARD)}"
    assert isinstance(request.audio_prompt, bytes)
    with wave.open(str(tmp_path / "hello.wav")) as file:
        assert file.getparams()[:3] == (1, 2, RATE)
        check_tone(file.readframes(file.getnframes()), "[S1] Hello there.")


def test_a_chat_server_is_behind_it_as_the_command_says(tmp_path: Path) -> None:
    set_up = dict(re.findall(r"(CHAT_\w+)=(\S+)", README.partition("<!-- chat bash -->")[2].partition("-m serving")[0]))
    with chat_stand_in() as stand_in:
        stand_in.answer = written("Good ", "day.")
        settings = Settings.from_environ(set_up | {"CHAT_BASE_URL": stand_in.url})
        chat = {"chat_base_url": settings.chat_base_url, "chat_model": settings.chat_model}
        with speaking(tmp_path / "data", tokens="", no_auth=True, **chat) as (house, pipeline):
            record(tmp_path)
            run("python", house, tmp_path / "hello.py", sys.executable)
    assert Settings.from_environ(set_up).chat_base_url.endswith("/v1")
    assert stand_in.asked[0]["model"] == set_up["CHAT_MODEL"]
    assert stand_in.asked[0]["messages"][0] == {"role": "system", "content": "[S1] Hello there."}
    assert pipeline.requests[-1].input == "[S1] Good day."


def test_javascript_speaks_over_tls(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    (tmp_path / "node_modules").symlink_to(npm_package(pytestconfig, "openai", "ws") / "node_modules")
    data = tmp_path / "parley-data"
    with speaking(data, tokens="", no_auth=True, self_signed=True) as (house, _):
        trusting = re.search(r"NODE_EXTRA_CA_CERTS=(\S+?)`", README)
        assert trusting is not None
        run("javascript", house, tmp_path / "hello.mjs", "node", NODE_EXTRA_CA_CERTS=str(tmp_path / trusting[1]))
    check_tone((tmp_path / "hello.pcm").read_bytes(), SAID)


def test_java_speaks_with_nothing_but_its_own_library(here: tuple[Running, TonePipeline], tmp_path: Path) -> None:
    if shutil.which("javac") is None:
        pytest.skip("there is no JDK, whose compiler runs a file of source")
    run("java", here[0], tmp_path / "Hello.java", "java")
    check_tone((tmp_path / "hello.pcm").read_bytes(), SAID)
