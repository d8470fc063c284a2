"""The page in a real browser, before a fake of the hosted API that speaks a tone slowly."""

import re
import shutil
from collections.abc import Iterator

import pytest
import serving_page_fixtures as fake
from serving_page_fixtures import SCRIPT, FakeServing, generate, luminance, result

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
PATIENCE = 15_000  # ms; a busy machine is no failure
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),  # a microphone that beeps
]
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def serving() -> Iterator[FakeServing]:
    state = FakeServing()
    with fake.running(state):
        yield state


@pytest.fixture
def open_page(browser, serving):
    """Opens the page; at the end, nothing may have been complained of but what a test says it expects."""
    contexts, heard, expected = [], [], []

    def open_(*, complaints: tuple[str | int, ...] = (), **options):
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        expected.extend(map(str, complaints))
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        answer = page.goto(serving.url)
        assert answer.headers["content-security-policy"] == fake.CSP
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [text for text in heard if not any(known in text for known in expected)] == []


def test_every_control_takes_its_limits_and_default_from_the_schema(open_page, serving):
    page = open_page()
    for name in ("cfg_scale", "cfg_filter_top_k", "seed"):
        limits, control = fake.INPUT[name], page.locator(f"#control-{name}")
        expect(control).to_have_value(str(limits.get("default", "")))
        assert [float(control.get_attribute(end)) for end in ("min", "max")] == [limits["minimum"], limits["maximum"]]
    assert page.locator("#control-output_format option").all_inner_texts() == list(fake.FORMATS)
    expect(page.locator("#help-cfg_scale")).to_have_text("Guide. 1.5 to 7, default 4.2.")
    page.get_by_label("Cfg scale, slider").press("ArrowRight")
    expect(page.locator("#control-cfg_scale")).to_have_value("4.3")
    page.fill("#control-seed", "7")
    page.select_option("#control-output_format", "flac")
    page.get_by_role("button", name="Reset Cfg scale").click()
    generate(page)
    expect(result(page, status="succeeded")).to_be_visible()
    given = {"cfg_scale": 4.2, "cfg_filter_top_k": 33, "seed": 7, "output_format": "flac"}
    assert serving.takes[-1].input == {"text": SCRIPT, **given}


def test_turns_are_coloured_and_marks_go_in_where_the_cursor_is(open_page):
    page = open_page()
    page.fill("#text", SCRIPT)
    colour = "node => getComputedStyle(node).color"
    first, second = (page.locator(f"#layer .words.speaker-{n}").first.evaluate(colour) for n in (1, 2))
    assert first != second
    assert page.locator("#layer .cue").all_inner_texts() == ["(laughs)"]
    assert page.locator("#layer .aside").all_inner_texts() == ["(in a whisper)"]
    same = "[layer, text].map(node => [node.clientWidth, node.clientHeight, getComputedStyle(node).font].join())"
    assert len(set(page.evaluate(same))) == 1, "the colours do not lie on the letters"
    page.locator("#text").evaluate("node => node.setSelectionRange(10, 10)")
    page.get_by_role("button", name="clears throat").click()
    page.get_by_role("button", name="Insert [S2]").click()
    expect(page.locator("#text")).to_have_value(SCRIPT.replace("[S1] Hello", "[S1] Hello (clears throat)\n[S2]"))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator("#text")).to_have_value(SCRIPT)


def test_samples_are_whole_however_their_bytes_are_cut(open_page):
    read = """async ([sizes, skip]) => {
        const { samplesOf } = await import("/pcm.js");
        const bytes = new Uint8Array(Int16Array.from({ length: 50 }, (_, n) => 700 * n - 17000).buffer);
        let at = 0;
        const body = new ReadableStream({ pull(stream) {
            if (at === bytes.length) return stream.close();
            const piece = bytes.slice(at, at + (sizes.shift() ?? bytes.length));
            at += piece.length;
            return stream.enqueue(piece);
        } });
        const all = [];
        for await (const samples of samplesOf(body, skip)) all.push(...samples);
        return all;
    }"""
    page = open_page()
    whole = [700 * n - 17000 for n in range(50)]
    for sizes, skip in (([], 0), ([1, 1, 1, 40, 3], 0), ([7, 7, 7], 5), ([100], 50)):
        assert page.evaluate(read, [sizes, skip]) == whole[skip:], (sizes, skip)


def test_audio_plays_while_it_is_made_and_is_sought_and_saved_afterwards(open_page, serving):
    serving.pieces, serving.limit = 16, 0
    page = open_page()
    generate(page)
    expect(page.locator("#state")).to_have_text("Waiting to begin · number 2 in the queue")
    serving.limit = 8
    expect(page.locator("#state")).to_have_text("Speaking · 50 % · 1.6 s of audio")
    expect(page.locator("#time")).to_have_text(re.compile(r"^0:0[01]\.[1-9] / 0:01\.6"))
    assert not serving.takes[-1].over, "it was heard only when it had ended"
    page.get_by_role("button", name="Pause").click()
    serving.limit = None
    expect(page.locator("#state")).to_have_text("Done · 3.2 s of audio in 1.6 s · seed 42")
    expect(page.locator("#notes")).to_have_text("the text was spoken as it stands")
    canvas = page.locator("#waveform[aria-busy=false]")
    canvas.click(position={"x": canvas.bounding_box()["width"] / 2, "y": 20})
    expect(page.locator("#time")).to_have_text("0:01.6 / 0:03.2")
    canvas.press("End")
    expect(canvas).to_have_attribute("aria-valuenow", "3.2")
    with page.expect_download() as saved:
        page.get_by_role("button", name="wav", exact=True).click()
    assert saved.value.suggested_filename == f"parley-{serving.takes[-1].id}.wav"
    assert saved.value.path().read_bytes() == fake.wav(b"".join(map(fake.tone, range(16))))


def test_a_reload_keeps_the_editor_and_picks_up_what_was_being_made(open_page, serving):
    serving.pieces, serving.limit = 20, 10
    page = open_page(complaints=(fake.BROKEN,))
    page.fill("#control-cfg_scale", "2.5")
    generate(page)
    expect(result(page, status="processing")).to_be_visible()
    serving.breaks = 2
    page.reload()
    expect(page.locator("#text")).to_have_value(SCRIPT)
    expect(page.locator("#control-cfg_scale")).to_have_value("2.5")
    expect(page.locator("#time")).to_have_text("0:00.0 / 0:02.0")  # although the stream broke off twice
    assert serving.breaks == 0
    serving.limit = None
    expect(page.locator("#time")).to_have_text("0:00.0 / 0:04.0")
    expect(result(page, status="succeeded").locator("[aria-busy=false]")).to_be_visible()
    page.reload()
    expect(page.locator("#takes li")).to_have_count(1)
    expect(page.locator("#result")).to_be_hidden()
    assert len(serving.takes) == 1


def test_history_shows_the_newest_first_replays_and_lends_its_inputs(open_page, serving):
    for number in range(5):
        serving.take(f"[S1] Take {number}.")
    serving.takes[0].input |= {"cfg_scale": 3.5, "seed": 9, "audio_prompt": f"{serving.url}/v1/files/0/download"}
    serving.files.append(fake.wav(fake.tone(0)))
    page = open_page()
    takes = page.locator("#takes li .take-text")
    expect(takes).to_have_text([f"[S1] Take {number}." for number in (4, 3, 2)])
    page.get_by_role("button", name="Load more").click()
    expect(takes).to_have_text([f"[S1] Take {number}." for number in (4, 3, 2, 1, 0)])
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    page.get_by_role("button", name="Listen: [S1] Take 3.").click()
    expect(result(page, status="succeeded", playing="yes")).to_be_visible()
    page.get_by_role("button", name="Use inputs: [S1] Take 0.").click()
    expect(page.locator("#text")).to_have_value("[S1] Take 0.")
    expect(page.locator("#control-cfg_scale")).to_have_value("3.5")
    expect(page.locator("#control-seed")).to_have_value("9")
    expect(page.locator("#voice-name")).to_be_visible()


def test_a_mistake_is_shown_beside_the_field_it_names(open_page, serving):
    page = open_page(complaints=(422, 429, 404))
    page.fill("#control-cfg_scale", "9")
    generate(page, " ")
    expect(page.locator("#problem-cfg_scale")).to_have_text("Cfg scale is 9; it must lie between 1.5 and 7.")
    expect(page.locator("#problem-text")).to_have_text("Text is empty; write a word.")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#control-cfg_scale")).to_have_attribute("aria-invalid", "true")
    page.fill("#control-cfg_scale", "4")
    expect(page.locator("#problem-cfg_scale")).to_be_hidden()
    serving.busy = 1
    generate(page, "[S1] This will fail.")
    expect(page.locator("#problem")).to_have_text("Request was throttled. Trying again in 1 s.")
    expect(result(page, status="failed")).to_be_visible()
    expect(page.locator("#result-error")).to_have_text(fake.FAILS)
    expect(page.locator("[id=problem-audio_prompt_text]")).to_have_text(re.compile("is missing: write down"))


def test_a_token_is_asked_for_only_when_the_server_wants_one(open_page, serving):
    page = open_page(complaints=(401,))
    expect(page.locator("#control-cfg_scale")).to_be_visible()
    expect(page.locator("#token")).to_be_hidden()
    serving.token = "sesame"
    page.reload()
    field = page.locator("#token-field")
    expect(field).to_be_focused()
    field.fill("wrong")
    field.press("Enter")
    expect(page.locator("#problem-token")).to_have_text("The server does not accept this token.")
    field.fill("sesame")
    field.press("Enter")
    generate(page)
    expect(result(page, status="succeeded")).to_be_visible()
    with page.expect_download():
        page.get_by_role("button", name="wav", exact=True).click()
    kept = page.evaluate("[JSON.stringify(sessionStorage), JSON.stringify(localStorage)]")
    assert ["sesame" in storage for storage in kept] == [True, False]


def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_page, serving):
    serving.take("[S1] " + "Unbreakable" * 20)
    page = open_page(viewport=PHONE)
    generate(page, f"[S1] {'Donaudampfschiff' * 10} (laughs)")
    expect(result(page, status="succeeded")).to_be_visible()
    page.get_by_text("Settings").click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    outside = """[...document.querySelectorAll("button, input:not([hidden]), textarea, canvas")].filter((node) => {
        const { width, left, right } = node.getBoundingClientRect();
        return width && !node.closest("#cues") && (left < 0 || right > innerWidth);
    }).map((node) => node.outerHTML)"""
    assert page.evaluate(outside) == []


def test_the_keyboard_alone_writes_generates_and_cancels(open_page, serving):
    serving.pieces, serving.limit = 100, 10
    page = open_page()
    press, focused = page.keyboard.press, page.locator(":focus")
    press("Tab")
    expect(focused).to_have_attribute("aria-label", "Insert [S1]")
    expect(focused).to_have_css("outline-style", "solid")
    press("Enter")
    page.keyboard.type("Good evening.")
    for key in ("Shift+Tab", "ArrowRight", "ArrowRight"):
        press(key)
    expect(focused).to_have_text("laughs")
    press("Enter")
    expect(page.locator("#text")).to_have_value("[S1] Good evening. (laughs) ")
    press("Control+Enter")
    expect(result(page, status="processing")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Speaking")).to_have_count(1)
    press("Escape")
    expect(result(page, status="canceled", playing="no")).to_be_visible()
    expect(page.locator("#text")).to_be_focused()
    press("Tab")
    press("Enter")
    expect(result(page, status="processing")).to_be_visible()
    press("Tab")
    expect(focused).to_have_text("Cancel Esc")
    press("Enter")
    expect(result(page, status="canceled")).to_be_visible()
    expect(focused).to_have_id("generate")


def test_both_colour_schemes_can_be_read_and_less_motion_is_granted(open_page, serving):
    serving.take()
    serving.limit = 0
    backgrounds = set()
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme, reduced_motion="reduce")
        page.fill("#text", SCRIPT)
        card = luminance(page, ".card", "backgroundColor")
        backgrounds.add(card)
        for text in (".words.speaker-1", ".words.speaker-2", ".help", ".take .quiet", "h2"):
            lighter, darker = sorted((card, luminance(page, text, "color")), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (scheme, text)  # WCAG 2.2, 1.4.3
        generate(page)
        expect(result(page, playing="waiting").locator("#play")).to_have_css("animation-name", "none")
    assert len(backgrounds) == 2


def test_a_voice_is_uploaded_or_recorded_described_and_removed(open_page, serving):
    page = open_page()
    content = fake.wav(fake.tone(0))
    page.set_input_files("#voice-file", {"name": "aunt.wav", "mimeType": "audio/wav", "buffer": content})
    expect(page.locator("#voice-name")).to_have_text("aunt.wav")
    assert serving.files == [content]
    page.get_by_role("textbox", name="Audio prompt text").fill("[S1] As I said.")
    page.reload()
    expect(page.locator("#voice-name")).to_have_text("aunt.wav")
    expect(page.get_by_role("textbox", name="Audio prompt text")).to_have_value("[S1] As I said.")
    generate(page)
    expect(result(page, status="succeeded")).to_be_visible()
    voice = {"audio_prompt_text": "[S1] As I said.", "max_audio_prompt_seconds": 10}
    voice["audio_prompt"] = f"{serving.url}/v1/files/0/download?signature=abc"
    assert {name: serving.takes[-1].input.get(name) for name in voice} == voice
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#voice-time")).not_to_have_text("0:00.0")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#voice-name")).to_have_text("recording.webm")
    assert serving.files[1].startswith(b"\x1aE\xdf\xa3"), "no Matroska"
    page.get_by_role("button", name="Remove").click()
    generate(page)
    expect(page.locator("#takes li")).to_have_count(2)
    assert not set(voice) & set(serving.takes[-1].input)
