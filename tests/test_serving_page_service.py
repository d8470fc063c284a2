"""The page in a real browser, before the whole service: only the model is a tone."""

import re
import threading

import pytest
from engine_fixtures import ConstantPipeline
from serving_fixtures import ToneBackend, running
from serving_page_actions_fixtures import BROKEN, generate, result, settings, turn
from serving_page_take_fixtures import tone, wav

from models.engine_pool import EnginePool
from serving.catalog import AUDIOGEN, MUSICGEN
from serving.work.music_backend import MusicBackend

pytest_plugins = ["serving_page_browser_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
HELLO, STOP = "[S1] Hello. [S2] Hi, you.", "[S1] Stop me if you can."  # a tenth of a second of tone each letter


class Turnstile(threading.Event):
    """Set for as many looks as it lets through: of pieces of audio."""

    left = 0

    def let(self, pieces: int) -> None:
        self.left += pieces

    def is_set(self) -> bool:
        self.left -= (passes := self.left > 0)
        return passes


@pytest.fixture(scope="module")
def gate():
    return Turnstile()


@pytest.fixture(scope="module")
def service(tmp_path_factory, gate):
    pool = EnginePool(ConstantPipeline)
    music = MusicBackend(pool)
    others = {MUSICGEN.full_name: music, AUDIOGEN.full_name: music}
    settings = {"models": "dia,musicgen,audiogen", "no_auth": True, "tokens": ""}
    with running(tmp_path_factory.mktemp("service"), ToneBackend(gate=gate), others, **settings) as service:
        yield service
    pool.close()


def test_a_dialogue_is_heard_while_it_is_made_and_found_again(open_at, service, gate):
    page = open_at(service.url, complaints=(BROKEN,))
    gate.let(8)
    generate(page, HELLO)
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:00.8$"))
    expect(result(page, status="processing", playing="waiting")).to_be_visible()
    gate.let(len(HELLO) - 8)
    expect(result(page, status="succeeded").locator("[aria-busy=false]")).to_be_visible()
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:02.5$"))

    gate.let(3)
    generate(page, STOP)
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:00.3$"))
    page.get_by_role("button", name="Cancel").click()
    expect(result(page, status="canceled").locator("[aria-busy=false]")).to_be_visible()
    expect(page.locator("#result-error")).to_be_hidden()

    page.reload()
    expect(page.locator("#takes li .take-text")).to_have_text([STOP, HELLO])
    page.get_by_role("button", name=f"Listen: {HELLO}").click()
    expect(result(page, status="succeeded", playing="yes")).to_be_visible()
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:02.5$"))
    with page.expect_download() as saved:
        page.get_by_role("button", name="wav", exact=True).click()
    with service.client() as client:
        newest = client.get("/v1/predictions").json()["results"][1]["id"]
        whole = client.get(f"/v1/predictions/{newest}/audio?format=wav").content
    assert saved.value.path().read_bytes() == whole


def test_what_the_service_refuses_stands_beside_the_field(open_at, service):
    page = open_at(service.url, complaints=(422, 409))
    settings(page)
    page.fill("#control-cfg_scale", "9")
    generate(page, HELLO)
    expect(page.locator("#problem-cfg_scale")).to_have_text(re.compile("^Cfg scale is 9"))
    page.fill("#control-cfg_scale", "3")
    generate(page, "[S1] Hello!")
    expect(page.locator("#problem-text")).to_have_text("Text holds an exclamation mark. Leave it out.")
    expect(page.locator("#result-error")).to_have_text("text: holds an exclamation mark. Leave it out.")


def test_a_voice_is_kept_by_the_service_whatever_name_the_page_was_opened_by(open_at, service, gate):
    page = open_at(service.url.replace("127.0.0.1", "localhost"))
    voice = {"name": "aunt.wav", "mimeType": "audio/wav", "buffer": wav(tone(0))}
    page.set_input_files("#voice-file", voice)
    expect(page.locator("#voice-preview")).to_be_visible()
    page.get_by_role("textbox", name="Audio prompt text").fill("[S1] As I said.")
    page.get_by_label("Listen while it is made").uncheck()
    gate.let(len(HELLO))
    generate(page, HELLO)
    expect(result(page, status="succeeded", playing="no")).to_be_visible()
    with service.client() as client:
        made = service.service.records.get(client.get("/v1/predictions").json()["results"][0]["id"])
    assert made.input["audio_prompt"].startswith("file:")
    assert not made.streaming


def test_music_and_sounds_are_asked_for_by_their_own_schemas(open_at, service):
    page = open_at(service.url, complaints=(422, 409))
    page.get_by_label("Listen while it is made").uncheck()
    turn(page, "Music")
    generates = page.get_by_role("button", name="Generate")
    generates.click()
    expect(page.locator("#problem-prompt")).to_contain_text("Prompt is missing, and so is input_audio.")
    page.fill("#prompt", "refused")
    generates.click()
    expect(page.locator("#problem-prompt")).to_have_text("Prompt is 'refused'; ask for something else.")
    page.set_input_files("#voice-file", {"name": "hum.wav", "mimeType": "audio/wav", "buffer": wav(tone(0))})
    page.fill("#prompt", "a waltz")
    settings(page)
    page.fill("#control-seed", "30")
    page.fill("#control-duration", "2")
    generates.click()
    expect(page.locator("#state")).to_have_text(re.compile("^musicgen · Done · 2.0 s of audio in .* · seed 30$"))
    expect(page.locator("#time")).to_have_text("0:00.0 / 0:02.0")
    turn(page, "Sound")
    page.fill("#prompt", "rain")
    page.fill("#control-duration", "1.5")
    generates.click()
    expect(page.locator("#state")).to_have_text(re.compile("^audiogen · Done · 1.5 s of audio"))
    with service.client() as client:
        sound, music = client.get("/v1/predictions").json()["results"][:2]
    given = {name: service.service.records.get(made["id"]).input for name, made in (("s", sound), ("m", music))}
    assert given["m"]["input_audio"].startswith("file:")
    assert (given["m"]["seed"], given["m"]["model_version"]) == (30, "melody")
    assert not {"input_audio", "model_version", "seed"} & {name for name in given["s"] if given["s"][name] is not None}
