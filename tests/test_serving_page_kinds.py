"""The page where more than dialogues is made: the switch, and each kind's own form. Before a fake of the hosted API."""

import re

import pytest
from serving_page_actions_fixtures import PHONE, SCRIPT, generate, result, settings, turn
from serving_page_fixtures import MUSIC
from serving_page_take_fixtures import tone, wav

pytest_plugins = ["serving_page_browser_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
DEFAULTS = {name: MUSIC[name]["default"] for name in MUSIC if "default" in MUSIC[name]}
HUM = {"name": "hum.wav", "mimeType": "audio/wav", "buffer": wav(tone(0))}


@pytest.fixture
def open_music(open_page, serving):
    """Opens the page of a server of dialogues and music, with the form for music."""

    def open_(**options):
        serving.models = ["dia", "musicgen"]
        page = open_page(**options)
        turn(page, "Music")
        return page

    return open_


def ask(page, prompt):
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    page.get_by_role("button", name="Generate").click()


def test_where_only_dialogues_are_made_there_is_no_switch(open_page):
    page = open_page()
    expect(page.locator("#fields .field").first).to_be_attached()  # the schema is here
    expect(page.locator("#kinds")).to_be_hidden()
    expect(page.get_by_role("radio")).to_have_count(0)
    expect(page.locator("#talk")).to_be_visible()


def test_where_no_dialogues_are_made_the_page_is_for_music(open_page, serving):
    serving.models = ["musicgen"]
    page = open_page()
    expect(page.get_by_role("form", name="Prompt")).to_be_visible()
    for other in ("#kinds", "#script", "#talk"):
        expect(page.locator(other)).to_be_hidden()
    ask(page, "strings")
    expect(result(page, status="succeeded")).to_be_visible()
    assert "GET /v1/audio/voices" not in serving.asked


def test_the_switch_is_turned_by_keys_and_remembered(open_page, serving):
    serving.models = ["dia", "musicgen"]
    page = open_page()
    page.fill("#text", SCRIPT)
    dialogue, music = (page.get_by_role("radio", name=name) for name in ("Dialogue", "Music"))
    expect(dialogue).to_be_checked()
    expect(page.get_by_role("radio")).to_have_count(2)  # sounds are not served
    dialogue.press("ArrowRight")
    expect(music).to_be_focused()
    expect(page.get_by_role("form", name="Prompt")).to_be_visible()
    expect(page.locator("#help-prompt")).to_have_text("What to make.")
    expect(page.get_by_role("heading", name="Melody or recording to go on from")).to_be_visible()
    for other in ("#script", "#talk"):
        expect(page.locator(other)).to_be_hidden()
    page.get_by_role("button", name="Use an example").click()
    written = page.locator("#prompt").input_value()
    expect(page.locator("#compose .count")).to_have_text(f"{len(written)} characters")
    expect(page.get_by_role("button", name="Use an example")).to_be_hidden()
    page.reload()
    expect(music).to_be_checked()
    expect(page.locator("#prompt")).to_have_value(written)
    music.press("ArrowLeft")
    expect(page.locator("#text")).to_have_value(SCRIPT)
    expect(page.locator("#talk")).to_be_visible()


def test_music_is_made_with_its_own_settings_heard_and_found_again(open_music, serving):
    serving.pieces, serving.limit = 6, 3
    page = open_music()
    settings(page)
    expect(page.locator("#fields .field")).to_have_count(len(MUSIC) - 2)
    expect(page.locator("#control-continuation_end")).to_have_attribute("placeholder", "none")
    page.fill("#control-duration", "7")
    expect(page.locator("#changed")).to_have_text("1 changed")
    ask(page, "strings")
    expect(page.locator("#state")).to_have_text("musicgen · Being made · 50 % · 0.6 s of audio")
    serving.limit = None
    expect(result(page, status="succeeded").locator("[aria-busy=false]")).to_be_visible()
    expect(page.locator("#notes li")).to_have_count(1)
    made = serving.takes[-1]
    assert made.model == "parley/musicgen"
    assert made.input == {**DEFAULTS, "prompt": "strings", "duration": 7}
    with page.expect_download() as saved:
        page.get_by_role("button", name="wav", exact=True).click()
    assert saved.value.suggested_filename == f"parley-{made.id}.wav"
    turn(page, "Dialogue")
    expect(page.locator("#changed")).to_have_text("")
    generate(page)
    expect(page.locator("#takes li .take-text")).to_have_text([SCRIPT, "strings"])
    assert serving.takes[-1].model == "parley/dia"
    assert not {"duration", "prompt", "continuation"} & set(serving.takes[-1].input)


def test_a_refusal_stands_beside_the_field_of_the_form_that_asked(open_music, serving):
    page, held = open_music(complaints=(422,)), []
    settings(page)
    page.fill("#control-duration", "99")
    settings(page)
    page.route("**/musicgen/predictions", lambda route: held.append(route))
    with page.expect_request("**/musicgen/predictions"):
        ask(page, "strings")
    turn(page, "Dialogue")  # while the server makes up its mind
    held[0].continue_()
    expect(page.locator("#problem-duration")).to_have_text("Duration is 99; it must lie between 2 and 77.")
    expect(page.locator("#control-duration")).to_be_focused()
    expect(page.get_by_role("radio", name="Music")).to_be_checked()
    turn(page, "Dialogue")
    expect(page.locator(".problem:visible")).to_have_count(0)


def test_an_earlier_take_of_music_goes_back_into_its_form(open_music, serving):
    made = serving.take()
    serving.files.append(HUM["buffer"])
    link = serving.file(0)["urls"]["get"]
    made.model, made.input = "parley/musicgen", {"prompt": "a waltz", "duration": 9, "input_audio": link}
    other = serving.take()
    other.model, other.input = "parley/audiogen", {"prompt": "rain"}
    page = open_music()
    turn(page, "Dialogue")
    expect(page.get_by_role("button", name="Use inputs: rain")).to_have_count(0)  # there is no form for sounds
    page.get_by_role("button", name="Use inputs: a waltz").click()
    expect(page.get_by_role("radio", name="Music")).to_be_checked()
    expect(page.locator("#prompt")).to_have_value("a waltz")
    expect(page.locator("#control-duration")).to_have_value("9")
    expect(page.locator("#voice-name")).to_have_text("Recording of an earlier take")
    page.fill("#prompt", "")
    page.get_by_role("button", name="Generate").click()
    expect(result(page, status="succeeded")).to_be_visible()
    assert serving.takes[-1].input.keys() == {*DEFAULTS, "input_audio"}, "an empty prompt was sent"


def test_a_recording_stays_with_the_form_it_was_made_for(open_music, serving):
    page, held = open_music(viewport=PHONE, complaints=(413,)), []
    page.route("**/v1/files", lambda route: held.append(route))
    page.set_input_files("#voice-file", HUM)
    expect(page.locator("#voice-busy-name")).to_be_visible()
    turn(page, "Dialogue")
    expect(page.locator("#voice-busy-name")).to_be_hidden()
    held[0].continue_()
    expect(page.get_by_role("status").get_by_text("hum.wav is uploaded.")).to_be_attached()
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    page.unroute("**/v1/files")
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#voice-time")).not_to_have_text("0:00.0")
    turn(page, "Music")
    expect(page.locator("#voice-name")).to_have_text("hum.wav")
    turn(page, "Dialogue")
    expect(page.locator("#voice-name")).to_have_text(re.compile("^recording"))
    page.route("**/v1/files", lambda route: route.fulfill(status=413, json={"detail": "It is too long."}))
    page.set_input_files("#voice-file", HUM)
    expect(page.locator("#problem-voice")).to_have_text("It is too long.")
    turn(page, "Music")
    expect(page.locator("#problem-voice")).to_be_hidden()
    turn(page, "Dialogue")
    expect(page.locator("#problem-voice")).to_have_text("It is too long.")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
