"""README's snippets of hosting do what they say, with the real clients, as they stand but for the address."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from audio_fixtures import decode
from npm_fixtures import npm_package
from serving_fixtures import PIECE, RATE, Running, running
from speech_fixtures import recording

from serving.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
SNIPPETS = dict(
    re.findall(r"<!-- ((?!realtime)\w+ (?:curl|python|javascript)) -->\n```\w+\n(.*?)```", README, re.DOTALL)
)
HOSTING = README.partition("\n## Hosting\n")[2].partition("\n## ")[0]
DIALOGUE, SENTENCE = "[S1] Hello. [S2] Hi there.", "[S1] Hello there."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("readme"), tokens="", no_auth=True) as house:
        yield house


def seconds(text: str) -> float:
    """How long the stand-in for a model speaks."""
    return len(text) * PIECE / RATE


def run(snippet: str, house: Running, folder: Path) -> str:
    """In this folder; javascript with the npm clients below it → what it prints."""
    assert ADDRESS in SNIPPETS[snippet]
    text, language = SNIPPETS[snippet].replace(ADDRESS, house.url), snippet.split()[1]
    script = folder / f"snippet.{'mjs' if language == 'javascript' else language}"
    script.write_text(text)
    command = {"curl": ["bash", "-eu"], "python": [sys.executable], "javascript": ["node"]}[language]
    done = subprocess.run([*command, script], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_option_and_variable_that_is_named_is_there() -> None:
    options = {f"--{f.name.replace('_', '-')}" for f in fields(Settings)}
    variables = {f.metadata.get("env", f"PARLEY_{f.name.upper()}") for f in fields(Settings)}
    named = (
        set(re.findall(r"--[a-z][a-z-]+", HOSTING)),
        set(re.findall(r"\b(?:PARLEY|CHAT)_[A-Z_]+|\bDATABASE_URL", HOSTING)),
    )
    assert {"--no-auth", "--tokens-file"} <= named[0] <= options | {"--help", "--scopes"}  # the last is of `token`
    assert (
        {"PARLEY_PUBLIC_URL", "DATABASE_URL", "CHAT_BASE_URL", "CHAT_MODEL", "CHAT_API_KEY", "CHAT_SECONDS"}
        <= named[1]
        <= variables | {"PARLEY_MODEL", "PARLEY_MODELS_IN_MEMORY"}
    )


def test_each_door_is_shown_in_each_language() -> None:
    assert set(SNIPPETS) - {"voices curl"} == {
        f"{door} {language}"
        for door in ("replicate", "tasks", "speech")
        for language in ("curl", "python", "javascript")
    }


@pytest.mark.parametrize("snippet", sorted(set(SNIPPETS) - {"voices curl"}))
def test_a_snippet_does_what_it_says(snippet: str, house: Running, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    door, language = snippet.split()
    if language == "javascript":
        installed = npm_package(pytestconfig, "openai" if door == "speech" else "replicate")
        (tmp_path / "node_modules").symlink_to(installed / "node_modules")
    printed = run(snippet, house, tmp_path)
    if door == "speech":
        heard = decode((tmp_path / "hello.mp3").read_bytes(), RATE)
        assert heard.shape[1] / RATE == pytest.approx(seconds(SENTENCE), abs=0.6)
    elif language == "curl":
        answer = json.loads(printed)
        told = answer.get("data", answer)
        assert (told.get("output") or told["urls"]["result"]).startswith(house.url)
    else:
        heard = decode((tmp_path / "hello.wav").read_bytes(), RATE)
        assert heard.shape[1] / RATE == pytest.approx(seconds(DIALOGUE), abs=1e-3)


def test_a_voice_of_ones_own_is_stored(house: Running, tmp_path: Path) -> None:
    (tmp_path / "ann.wav").write_bytes(recording(tmp_path))
    told = json.loads(run("voices curl", house, tmp_path))
    assert (told["name"], told["object"]) == ("Ann", "audio.voice")
    assert told["transcript"]
    assert told["consent"]
