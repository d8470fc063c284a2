"""The voice to clone, in a real browser: a file, a recording, what becomes of it."""

import re

import pytest
from serving_page_actions_fixtures import SCRIPT, generate, result
from serving_page_take_fixtures import tone, wav

pytest_plugins = ["serving_page_browser_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
AUNT = {"name": "aunt.wav", "mimeType": "audio/wav", "buffer": wav(tone(0))}


def test_a_voice_is_uploaded_or_recorded_described_and_removed(open_page, serving):
    page = open_page()
    page.set_input_files("#voice-file", AUNT)
    expect(page.locator("#voice-name")).to_have_text("aunt.wav")
    assert serving.files == [AUNT["buffer"]]
    page.get_by_role("textbox", name="Audio prompt text").fill("[S1] As I said.")
    preview = page.locator("#voice-preview")
    expect(preview).to_have_attribute("src", re.compile("^/v1/files/0/download"))  # localhost is another origin
    page.reload()
    expect(page.locator("#voice-name")).to_have_text("aunt.wav")
    expect(preview).to_be_visible()
    serving.links.clear()  # an hour goes by
    expect(page.get_by_role("textbox", name="Audio prompt text")).to_have_value("[S1] As I said.")
    generate(page)
    expect(result(page, status="succeeded")).to_be_visible()
    voice = {"audio_prompt_text": "[S1] As I said.", "max_audio_prompt_seconds": 10}
    given = serving.takes[-1].input
    assert given.items() >= voice.items()
    assert given["audio_prompt"] in serving.links
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#voice-time")).not_to_have_text("0:00.0")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#voice-name")).to_have_text("recording.webm")
    assert serving.files[1].startswith(b"\x1aE\xdf\xa3"), "no Matroska"
    page.get_by_role("button", name="Remove").click()
    generate(page)
    expect(page.locator("#takes li")).to_have_count(2)
    assert not {*voice, "audio_prompt"} & set(serving.takes[-1].input)


def test_a_voice_that_the_server_has_deleted_is_asked_for_again(open_page, serving):
    page = open_page(complaints=(404,))
    page.set_input_files("#voice-file", AUNT)
    expect(page.locator("#voice-preview")).to_be_visible()
    serving.files[0] = None
    generate(page)
    expect(page.locator("#problem")).to_contain_text("The server keeps aunt.wav no longer.")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    assert serving.takes == []


def test_a_cancellation_while_the_voice_is_on_its_way_makes_nothing(open_page, serving):
    page, held = open_page(), []
    page.route("**/v1/files", lambda route: held.append(route))
    page.set_input_files("#voice-file", AUNT)
    expect(page.get_by_text("Uploading aunt.wav…").and_(page.get_by_role("status"))).to_be_attached()
    generate(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    held[0].continue_()
    expect(page.locator("#voice-preview")).to_be_visible()
    assert serving.takes == []


def test_a_recording_is_dropped_on_the_voice_and_nowhere_else(open_page, serving):
    page = open_page()
    page.fill("#text", SCRIPT)
    bring = """bytes => {
        const brought = new DataTransfer();
        brought.items.add(new File([new Uint8Array(bytes)], "uncle.wav", { type: "audio/wav" }));
        return brought;
    }"""
    content = wav(tone(0))
    brought = {"dataTransfer": page.evaluate_handle(bring, list(content))}
    page.dispatch_event("#text", "drop", brought)
    page.dispatch_event("#voice-card", "dragover", brought)
    expect(page.locator("#voice-card[data-dropping]")).to_be_visible()
    page.dispatch_event("#voice-choose", "drop", brought)
    expect(page.locator("#voice-name")).to_have_text("uncle.wav")
    expect(page.locator("#voice-card[data-dropping]")).to_have_count(0)
    assert serving.files == [content]
    expect(page.locator("#text")).to_have_value(SCRIPT)


def test_record_pressed_twice_asks_for_one_microphone_and_lets_go_of_one_it_cannot_use(open_page):
    page = open_page()
    watch = """() => {
        window.streams = [];
        const { mediaDevices } = navigator;
        const open = mediaDevices.getUserMedia.bind(mediaDevices);
        mediaDevices.getUserMedia = async (wanted) => {
            streams.push(open(wanted));
            return streams.at(-1);
        };
        record = document.getElementById("voice-record");
    }"""
    page.evaluate(watch)
    page.evaluate("[record.click(), record.click()]")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#voice-name")).to_have_text("recording.webm")
    assert page.evaluate("streams.length") == 1
    page.get_by_role("button", name="Remove").click()
    page.evaluate("() => void (window.MediaRecorder = class { constructor() { throw new Error('no codec'); } })")
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#problem-voice")).to_have_text("The microphone cannot be used: no codec.")
    expect(page.get_by_role("button", name="Record")).to_be_focused()
    ended = "async () => (await streams[1]).getTracks().map(({ readyState }) => readyState)"
    assert page.evaluate(ended) == ["ended"]
