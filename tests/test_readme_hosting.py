"""README's snippets for each door do what they say, with the real clients, as they stand but for the address."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from audio_fixtures import decode
from npm_fixtures import npm_package
from serving_fixtures import PIECE, RATE, Running, running

README = (Path(__file__).parent.parent / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
SNIPPETS = dict(re.findall(r"<!-- (\w+ (?:curl|python|javascript)) -->\n```\w+\n(.*?)```", README, re.DOTALL))
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


def test_each_door_is_shown_in_each_language() -> None:
    assert set(SNIPPETS) == {
        f"{door} {language}"
        for door in ("replicate", "tasks", "speech")
        for language in ("curl", "python", "javascript")
    }


@pytest.mark.parametrize("snippet", sorted(SNIPPETS))
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
