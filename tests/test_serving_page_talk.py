"""Talking to the page in a real browser, before the whole service with a tone for a model."""

import numpy as np
import pytest
from audio_fixtures import pitch
from serving_page_actions_fixtures import PHONE, contrast, style
from serving_page_talk_actions_fixtures import LEFT, LONG, VOICE, button, say, talk
from speech_fixtures import recording

pytest_plugins = ["serving_page_browser_fixtures", "serving_page_talk_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
SAID = "Good. Day."


@pytest.fixture(scope="module")
def more_arguments(humming):
    return humming


def test_what_is_said_by_pointer_is_written_down_as_it_comes_and_heard_again(open_talk, talking, clerk):
    clerk.may_go_on.clear()
    page = open_talk()
    expect(page.locator("#talk-state")).to_have_text("The microphone is off")
    button(page).hover()
    page.mouse.down()
    expect(talk(page, "listening")).to_be_visible()
    expect(button(page)).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("() => document.getElementById('talk-level').value > 0.1")
    page.wait_for_timeout(LONG)
    page.mouse.move(1, 1)  # let go beside it is let go
    page.mouse.up()
    expect(page.locator("#talk-state")).to_have_text("Writing down what you said…")
    expect(button(page)).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#talk-turns li")).to_have_text("Good.")
    clerk.may_go_on.set()
    expect(talk(page, "speaking")).to_be_visible()
    expect(page.locator("#talk-turns li")).to_have_text(SAID)
    assert talking[1].requests[-1].input == f"[S1] {SAID}"
    assert talking[1].requests[-1].audio_prompt is None
    expect(talk(page, "ready")).to_be_visible()
    expect(page.locator("#problem-talk")).to_be_hidden()
    assert page.evaluate("opened.sockets[0].protocol") == "realtime"


def test_what_the_server_hears_is_what_the_microphone_heard(open_talk, clerk):
    page = open_talk()
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    sound = clerk.heard[-1]
    assert 0.4 < len(sound) / 16_000 < 4
    loud = sound[1600:-1600]
    assert pitch(loud[None], 16_000) == pytest.approx(VOICE, rel=0.01)
    assert np.abs(loud).max() > 0.05  # the browser evens out how loud it is


def test_the_own_voice_is_that_of_the_same_words_and_is_remembered(open_talk, talking):
    page = open_talk()
    page.get_by_label("Heard in the voice of").select_option("own")
    say(page, "Enter")
    expect(talk(page, "speaking")).to_be_visible()
    request = talking[1].requests[-1]
    assert request.audio_prompt[:4] == b"RIFF"
    assert request.audio_prompt_transcription == request.input == f"[S1] {SAID}"
    page.reload()
    expect(page.locator("#talk-voice")).to_have_value("own")


@pytest.mark.parametrize("reader", [False, True])
def test_a_short_press_or_a_readers_click_listens_until_the_next(open_talk, reader):
    page = open_talk()
    press = (lambda: page.evaluate("document.getElementById('talk-hold').click()")) if reader else button(page).click
    press()
    expect(page.locator("#talk-state")).to_have_text("Listening… Press again when all is said")
    expect(page.get_by_role("status")).to_have_text("Listening… Press again when all is said")
    page.wait_for_timeout(LONG)
    press()
    expect(page.get_by_role("status")).to_have_text(f"You said: {SAID}")
    expect(talk(page, "ready")).to_be_visible()


def test_a_finger_holds_it_and_nothing_is_scrolled_or_asked_for(open_talk):
    page = open_talk(viewport=PHONE, has_touch=True)
    button(page).scroll_into_view_if_needed()
    box, fingers = button(page).bounding_box(), page.context.new_cdp_session(page)
    at, begin = {"x": box["x"] + 40, "y": box["y"] + 20}, page.evaluate("scrollY")
    fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    expect(talk(page, "listening")).to_be_visible()
    page.wait_for_timeout(LONG)
    fingers.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at | {"y": at["y"] - 100}]})
    expect(button(page)).to_have_attribute("aria-pressed", "true")
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#talk-turns li")).to_have_text(SAID)
    assert page.evaluate("scrollY") == begin
    asked = "document.getElementById('talk-hold').dispatchEvent(new Event('contextmenu', { cancelable: true }))"
    assert page.evaluate(asked) is False


def test_who_speaks_again_interrupts_and_escape_cancels(open_talk, talking, clerk):
    page = open_talk()
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    clerk.said = ["Stop."]
    say(page)
    expect(page.locator("#talk-turns li")).to_have_text(["Stop.", SAID])
    expect(talk(page, "speaking")).to_be_visible()
    page.keyboard.press("Escape")
    expect(talk(page, "ready")).to_be_visible()
    page.keyboard.down(" ")
    expect(talk(page, "listening")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(talk(page, "ready")).to_be_visible()
    expect(button(page)).to_be_focused()
    expect(button(page)).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("opened.sent").count("input_audio_buffer.clear") == 1
    requests = len(talking[1].requests)
    page.keyboard.up(" ")
    say(page)
    expect(page.locator("#talk-turns li")).to_have_count(3)
    expect(talk(page, "speaking")).to_be_visible()
    assert len(talking[1].requests) == requests + 1


def test_a_turn_cancelled_while_it_is_written_down_is_forgotten(open_talk, clerk):
    clerk.may_go_on.clear()
    page = open_talk()
    say(page)
    expect(page.locator("#talk-turns li")).to_have_text("Good.")
    page.keyboard.press("Escape")
    expect(talk(page, "ready")).to_be_visible()
    page.wait_for_function("() => opened.sent.includes('conversation.item.delete')")
    clerk.may_go_on.set()
    clerk.said = ["Another."]
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    expect(page.locator("#talk-turns li")).to_have_text(["Another.", "Good."])


def test_the_end_lets_everything_go_and_the_next_press_opens_it_anew(open_talk):
    page = open_talk()
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    assert page.evaluate(LEFT) == 4, "a track, a socket, two contexts"
    page.get_by_role("button", name="Close the microphone").press("Enter")
    expect(talk(page, "off")).to_be_visible()
    expect(button(page)).to_be_focused()
    assert page.evaluate(LEFT) == 0
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert page.evaluate(LEFT) == 0


def test_a_microphone_that_nobody_talks_to_is_let_go_after_a_minute(open_talk):
    page = open_talk()
    page.evaluate("""() => {
        const later = window.setTimeout;
        window.setTimeout = (call, wait) => later(call, wait === 60_000 ? 0 : wait);
    }""")
    say(page)
    expect(page.locator("#talk-turns li")).to_have_count(1)
    expect(talk(page, "off")).to_be_visible()
    expect(page.locator("#problem-talk")).to_be_hidden()
    assert page.evaluate(LEFT) == 0


def test_a_phone_shows_all_of_it_and_both_colour_schemes_can_be_read(open_talk, clerk):
    clerk.said = ["Unbreakable" * 20]
    backgrounds = set()
    for scheme in ("light", "dark"):
        page = open_talk(viewport=PHONE, color_scheme=scheme, reduced_motion="reduce")
        card = style(page, "#talk", "background-color")
        backgrounds.add(card)
        button(page).scroll_into_view_if_needed()
        button(page).click()
        expect(talk(page, "listening").locator("#talk-level")).to_be_visible()
        pressed = [style(page, "#talk-hold", name) for name in ("background-color", "color")]
        assert contrast(*pressed) >= 4.5, scheme
        page.wait_for_timeout(LONG)
        button(page).click()
        expect(page.locator("#talk-turns li")).to_have_count(1)
        for text in ("#talk-turns li", "#talk-state", "#help-talk"):
            assert contrast(card, style(page, text, "color")) >= 4.5, (scheme, text)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert button(page).bounding_box()["height"] >= 44
    assert len(backgrounds) == 2


def test_a_stored_voice_can_be_chosen_is_remembered_and_heard(open_talk, talking, tmp_path):
    page = open_talk()
    stored = page.locator("#talk-stored option")
    expect(stored).to_have_count(0)
    with talking[0].client() as client:
        form = {"name": f"Ann of {'a' * 57}", "consent": "Ann agreed.", "transcript": "[S1] Hm."}
        answer = client.post("/v1/audio/voices", data=form, files={"audio_sample": recording(tmp_path)})
        voice = answer.raise_for_status().json()
    page.evaluate("dispatchEvent(new Event('focus'))")  # somebody comes back to the page
    expect(stored).to_have_text(form["name"])
    page.get_by_label("Heard in the voice of").select_option(label=form["name"])
    page.reload()
    expect(page.locator("#talk-voice")).to_have_value(voice["id"])
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    request = talking[1].requests[-1]
    assert (request.input, request.audio_prompt_transcription) == (f"[S1] {SAID}", "[S1] Hm.")
    assert request.audio_prompt[:4] == b"fLaC"
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    with talking[0].client() as client:
        client.delete(f"/v1/audio/voices/{voice['id']}").raise_for_status()
    page.reload()
    expect(stored).to_have_count(0)
    expect(page.locator("#talk-voice")).to_have_value("s1")


def test_where_stored_voices_cannot_be_listed_the_list_says_why(open_talk):
    page = open_talk(complaints=(403,))
    page.route("**/v1/audio/voices", lambda route: route.fulfill(status=403, json={"detail": "Not today."}))
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#talk-stored option")).to_have_text("They cannot be listed: Not today.")
    expect(page.locator("#talk-stored option")).to_be_disabled()
    expect(page.locator("#talk-voice")).to_have_value("s1")
