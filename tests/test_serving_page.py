"""The page in a real browser, before a fake of the hosted API that speaks a tone slowly."""

import re

import pytest
from serving_page_actions_fixtures import BROKEN, SCRIPT, generate, result, settings
from serving_page_fixtures import FORMATS, INPUT
from serving_page_take_fixtures import ENDED_BADLY, tone, wav

pytest_plugins = ["serving_page_browser_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def test_every_control_takes_its_limits_and_default_from_the_schema(open_page, serving):
    page = open_page()
    settings(page)
    for name in ("cfg_scale", "cfg_filter_top_k", "seed"):
        limits, control = INPUT[name], page.locator(f"#control-{name}")
        expect(control).to_have_value(str(limits.get("default", "")))
        assert [float(control.get_attribute(end)) for end in ("min", "max")] == [limits["minimum"], limits["maximum"]]
    assert page.locator("#control-output_format option").all_inner_texts() == list(FORMATS)
    expect(page.locator("#help-cfg_scale")).to_have_text("Guide. 1.5 to 7, default 4.2.")
    page.get_by_label("Cfg scale, slider").press("ArrowRight")
    expect(page.locator("#control-cfg_scale")).to_have_value("4.3")
    page.fill("#control-seed", "7")
    page.select_option("#control-output_format", "flac")
    expect(page.locator("#changed")).to_have_text("3 changed")
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
    assert serving.takes[-1].stream
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
    assert saved.value.path().read_bytes() == wav(b"".join(map(tone, range(16))))


def test_what_is_not_listened_to_while_it_is_made_is_checked_and_stays_silent(open_page, serving):
    page = open_page()
    page.get_by_label("Listen while it is made").uncheck()
    generate(page)
    expect(result(page, status="succeeded", playing="no")).to_be_visible()
    expect(page.locator("#time")).to_have_text("0:00.0 / 0:00.6")
    assert not serving.takes[-1].stream
    page.reload()
    expect(page.get_by_label("Listen while it is made")).not_to_be_checked()


def test_a_reload_keeps_the_editor_and_picks_up_what_was_being_made(open_page, serving):
    serving.pieces, serving.limit = 20, 10
    page = open_page(complaints=(BROKEN,))
    settings(page)
    page.fill("#control-cfg_scale", "2.5")
    generate(page)
    expect(result(page, status="processing")).to_be_visible()
    serving.breaks = 2
    page.reload()
    expect(page.locator("#text")).to_have_value(SCRIPT)
    expect(page.locator("#control-cfg_scale")).to_have_value("2.5")
    expect(page.locator("#changed")).to_have_text("1 changed")
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
    serving.files.append(wav(tone(0)))
    serving.takes[0].input |= {"cfg_scale": 3.5, "seed": 9, "audio_prompt": serving.file(0)["urls"]["get"]}
    page = open_page()
    takes = page.locator("#takes li .take-text")
    expect(takes).to_have_text([f"[S1] Take {number}." for number in (4, 3, 2)])
    page.get_by_role("button", name="Load more").click()
    expect(takes).to_have_text([f"[S1] Take {number}." for number in (4, 3, 2, 1, 0)])
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Listen: [S1] Take 0.")
    page.get_by_role("button", name="Listen: [S1] Take 3.").click()
    expect(result(page, status="succeeded", playing="yes")).to_be_visible()
    page.get_by_role("button", name="Use inputs: [S1] Take 0.").click()
    expect(page.locator("#text")).to_have_value("[S1] Take 0.")
    expect(page.locator("#control-cfg_scale")).to_have_value("3.5")
    expect(page.locator("#control-seed")).to_have_value("9")
    page.fill("#text", "[S1] Take 5, in the voice of take 0.")
    page.get_by_role("button", name="Generate").click()
    expect(result(page, status="succeeded")).to_be_visible()
    expect(page.locator("#takes li")).to_have_count(6)


def test_takes_of_other_models_are_heard_by_their_prompts_and_what_is_gone_is_told(open_at, serving):
    """Before, a prompt that is no `text` was taken for one that is no longer kept."""
    serving.take("[S1] It is forgotten.").data_removed = True
    for prompt in ({"prompt": "rain on [S1] a roof"}, {}):
        made = serving.take()
        made.model, made.input = "parley/musicgen", {**prompt, "duration": 3}
    page = open_at(serving.url)
    facts = page.locator("#takes li .help")
    expect(facts).to_have_text([re.compile(r" · musicgen · 10\.0 s$")] * 2 + [re.compile("are no longer kept$")])
    expect(page.locator("#takes li .take-text")).to_have_text(["", "rain on [S1] a roof", ""])
    expect(page.get_by_role("button", name="Use inputs")).to_have_count(0)  # the form writes for dia
    expect(page.locator("#takes li button:visible")).to_have_count(2)
    page.get_by_role("button", name="Listen: musicgen").click()
    expect(result(page, status="succeeded", playing="yes")).to_be_visible()
    page.goto(f"{serving.url}/?prediction=p2")
    expect(page.locator("#result-text")).to_have_text("rain on [S1] a roof")
    expect(page.locator("#result-text .tag")).to_have_count(0)
    expect(page.locator("#state")).to_have_text(re.compile("^musicgen · Done"))


def test_a_link_to_a_prediction_shows_it(serving, open_at):
    serving.take("[S1] Somebody sent me this.")
    page = open_at(f"{serving.url}/?prediction=p1", complaints=(404,))
    expect(result(page, status="succeeded").locator("#result-text")).to_have_text("[S1] Somebody sent me this.")
    assert page.url == f"{serving.url}/"
    page.goto(f"{serving.url}/?prediction=p9")
    expect(page.locator("#problem")).to_have_text("There is no such prediction of yours.")


def test_a_mistake_is_shown_beside_the_field_it_names(open_page, serving):
    page = open_page(complaints=(422, 409))
    settings(page)
    page.fill("#control-cfg_scale", "9")
    settings(page)
    generate(page, " ")
    expect(page.locator("#problem-cfg_scale")).to_have_text("Cfg scale is 9; it must lie between 1.5 and 7.")
    expect(page.locator("#problem-text")).to_have_text("Text is empty; write a word.")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#control-cfg_scale")).to_have_attribute("aria-invalid", "true")
    page.fill("#control-cfg_scale", "4")
    expect(page.locator("#problem-cfg_scale")).to_be_hidden()
    generate(page, "[S1] You will refuse this when you open the file.")
    expect(page.locator("#problem-voice")).to_have_text("Audio prompt is no audio. Send a recording.")
    expect(page.locator("#voice-choose")).to_be_focused()
    expect(page.locator("#result-error")).to_have_text(ENDED_BADLY)
