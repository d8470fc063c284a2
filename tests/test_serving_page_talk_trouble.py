"""Talking to the page where something is missing, refused or lost: told in words with the way out, and let go."""

import re

import pytest
from realtime_service_fixtures import speaking
from serving_fixtures import ALICE
from serving_page_actions_fixtures import result
from serving_page_talk_actions_fixtures import LEFT, LONG, WATCH, button, say, talk

from models.errors import GenerationFailed, Overloaded
from serving.realtime import local_workers, session

pytest_plugins = ["serving_page_browser_fixtures", "serving_page_talk_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


@pytest.fixture(scope="module")
def more_arguments(humming):
    return humming


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """The address of a service that asks for a token."""
    with speaking(tmp_path_factory.mktemp("strict")) as (service, _):
        yield service.url


REFUSALS = {
    "NotAllowedError": "This page may not use the microphone. Allow it in the browser's settings",
    "NotFoundError": "There is no microphone. Connect one",
    "NotReadableError": "another program may be using it",
    "AbortError": "The microphone cannot be used: as the test says. Hold to try again.",
}


def test_a_microphone_that_is_refused_is_told_with_the_way_out(open_talk):
    page = open_talk()
    refuse = """name => {
        const error = new DOMException("as the test says", name);
        navigator.mediaDevices.getUserMedia = () => Promise.reject(error);
    }"""
    for name, told in REFUSALS.items():
        page.evaluate(refuse, name)
        button(page).click()
        expect(page.get_by_role("alert").filter(has_text=told)).to_be_visible()
        expect(talk(page, "off")).to_be_visible()
        expect(button(page)).to_have_attribute("aria-pressed", "false")
        assert page.evaluate(LEFT) == 0


def test_a_browser_that_cannot_listen_to_it_lets_it_go(open_talk):
    page = open_talk()
    error = "new DOMException('The module is gone.', 'AbortError')"
    page.evaluate(f"() => void (AudioWorklet.prototype.addModule = () => Promise.reject({error}))")
    button(page).click()
    told = "The microphone cannot be used: The module is gone. Hold to try again."
    expect(page.locator("#problem-talk")).to_have_text(told)
    assert page.evaluate(LEFT) == 0


def test_where_a_browser_lends_no_microphone_the_card_says_why(open_at, talking):
    page = open_at(talking[0].url)
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.reload()
    expect(page.locator("#problem-talk")).to_contain_text("Open this page by https to talk.")
    expect(button(page)).to_be_hidden()


def test_let_go_before_it_is_allowed_nothing_is_heard_and_cancelled_nothing_stays_open(open_talk):
    page = open_talk()
    page.evaluate("""() => {
        const { mediaDevices } = navigator;
        const lend = mediaDevices.getUserMedia;
        mediaDevices.getUserMedia = async (wanted) => {
            await new Promise((resolve) => (window.allow = resolve));
            return lend(wanted);
        };
    }""")
    button(page).focus()
    page.keyboard.down(" ")
    expect(talk(page, "connecting")).to_be_visible()
    page.wait_for_timeout(LONG)
    page.keyboard.up(" ")
    page.evaluate("allow()")
    expect(talk(page, "ready")).to_be_visible()
    assert "input_audio_buffer.append" not in page.evaluate("opened.sent")
    page.get_by_role("button", name="Close the microphone").click()
    button(page).click()
    expect(talk(page, "connecting")).to_be_visible()
    page.keyboard.press("Escape")
    expect(talk(page, "off")).to_be_visible()
    page.evaluate("allow()")
    page.wait_for_function("() => opened.streams.length === 2")
    page.wait_for_function(f"() => ({LEFT})() === 0")
    assert page.evaluate("opened.sockets.length") == 1


def test_an_unplugged_microphone_and_a_lost_connection_are_told_and_let_go(open_talk):
    page, sockets = open_talk(), []

    def through(socket):
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket(re.compile("/v1/realtime"), through)
    button(page).click()
    expect(talk(page, "listening")).to_be_visible()
    page.evaluate("opened.streams[0].getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(page.locator("#problem-talk")).to_contain_text("The microphone is gone.")
    assert page.evaluate(LEFT) == 0
    button(page).click()
    expect(talk(page, "listening")).to_be_visible()
    expect(page.locator("#problem-talk")).to_be_hidden()
    sockets[-1].close(code=1011)
    expect(page.locator("#problem-talk")).to_have_text("The connection broke off. Hold the button to connect again.")
    expect(talk(page, "off")).to_be_visible()
    assert page.evaluate(LEFT) == 0
    say(page)
    expect(talk(page, "speaking")).to_be_visible()


def test_who_talks_pauses_the_take_that_plays_and_a_server_without_the_socket_is_told(open_page, serving):
    serving.take()
    page = open_page(complaints=("WebSocket",))
    page.get_by_role("button", name="Listen: ").click()
    expect(result(page, playing="yes")).to_be_visible()
    page.evaluate(WATCH)
    button(page).click()
    expect(result(page, playing="no")).to_be_visible()
    expect(page.locator("#problem-talk")).to_contain_text("The server cannot be reached.")
    assert page.evaluate(LEFT) == 0


def test_where_nothing_was_understood_it_says_so_and_stays_ready(open_talk, clerk):
    clerk.said = []
    page = open_talk()
    say(page)
    expect(page.locator("#problem-talk")).to_contain_text("No word was understood.")
    expect(talk(page, "ready")).to_be_visible()
    page.evaluate("opened.streams[0].getTracks()[0].enabled = false")  # as a mute key
    page.wait_for_function("() => document.getElementById('talk-level').value < 0.01")
    say(page)
    expect(page.locator("#problem-talk")).to_contain_text("No sound came from the microphone.")
    expect(talk(page, "ready")).to_be_visible()
    expect(page.locator("#talk-turns li")).to_have_count(0)


def test_a_session_that_the_server_ends_is_told_in_its_words(open_talk, monkeypatch):
    monkeypatch.setattr(session, "SESSION_SECONDS", 0.5)
    page = open_talk()
    button(page).click()
    told = "Your session hit the maximum duration of 60 minutes. Hold the button to connect again."
    expect(page.locator("#problem-talk")).to_have_text(told)
    assert page.evaluate(LEFT) == 0


def test_a_response_that_the_server_refuses_is_told_in_its_words(open_talk, monkeypatch):
    def refuse(worker):
        raise Overloaded("You have heard a lot. Come back tomorrow.")

    page = open_talk()
    monkeypatch.setattr(local_workers.LocalWorkers, "count_response", refuse)
    say(page)
    expect(page.locator("#problem-talk")).to_have_text("You have heard a lot. Come back tomorrow.")
    expect(talk(page, "ready")).to_be_visible()
    expect(page.locator("#talk-turns li")).to_have_count(1)


def test_what_the_server_cannot_do_is_told_in_its_words(open_talk, talking, clerk, monkeypatch):
    def fail(*asked, **options):
        raise GenerationFailed("The model is on strike. Try again tomorrow.")

    page = open_talk()
    with monkeypatch.context() as broken:
        broken.setattr(talking[1], "speak", fail)
        say(page)
        expect(page.locator("#problem-talk")).to_contain_text("on strike")
    expect(talk(page, "ready")).to_be_visible()
    with monkeypatch.context() as broken:
        broken.setattr(clerk, "transcribe", fail)
        say(page)
        expect(page.locator("#problem-talk")).to_contain_text("on strike")
    say(page)
    expect(talk(page, "speaking")).to_be_visible()
    expect(page.locator("#problem-talk")).to_be_hidden()


def test_a_token_that_the_socket_refuses_is_asked_for_again(open_talk, strict):
    page = open_talk(strict, complaints=(401,))
    enter_token(page, ALICE)
    expect(page.locator("#token")).to_be_hidden()
    page.wait_for_load_state("networkidle")  # the history has been asked for, with the good one
    page.evaluate("sessionStorage.setItem('parley.token', 'sk-of-somebody-else-entirely')")
    say_at(page)
    expect(page.locator("#problem-token")).to_have_text("The server does not accept this token.")
    expect(talk(page, "connecting")).to_be_visible()
    enter_token(page, ALICE)
    expect(talk(page, "ready")).to_be_visible()
    expect(button(page)).to_be_focused()
    assert page.evaluate("opened.sockets.map(({ readyState }) => readyState)") == [3, 1]
    say(page)
    expect(talk(page, "speaking")).to_be_visible()


def test_a_token_that_no_socket_can_carry_is_told(open_talk):
    page = open_talk()
    page.evaluate("sessionStorage.setItem('parley.token', 'half=a/token')")
    button(page).click()
    expect(page.locator("#problem-talk")).to_contain_text("This access token cannot be sent over a socket")
    assert page.evaluate(LEFT) == 0


def test_a_server_that_is_busy_says_so(open_talk, talking, monkeypatch):
    def refuse(owner):
        raise Overloaded("Too many listen. Come back in a minute.")

    page = open_talk()
    monkeypatch.setattr(talking[0].service.listeners, "place", refuse)
    button(page).click()
    expect(page.locator("#problem-talk")).to_contain_text("Come back in a minute.")
    expect(talk(page, "off")).to_be_visible()
    assert page.evaluate(LEFT) == 0


def enter_token(page, token):
    page.locator("#token-field").fill(token)
    page.locator("#token-field").press("Enter")


def say_at(page):
    """Hold the button where nothing can listen yet."""
    button(page).focus()
    page.keyboard.down(" ")
    page.wait_for_timeout(LONG)
    page.keyboard.up(" ")
