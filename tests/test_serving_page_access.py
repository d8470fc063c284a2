"""The page for everybody: by keyboard, by ear, on a phone, in the dark."""

import pytest
from serving_page_actions_fixtures import BROKEN, PHONE, SCRIPT, contrast, generate, result, settings, style
from serving_page_take_fixtures import ENDED_BADLY

pytest_plugins = ["serving_page_browser_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def test_the_keyboard_alone_writes_generates_and_cancels(open_page, serving):
    serving.pieces, serving.limit = 100, 10
    page = open_page(complaints=(BROKEN,))
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


def test_a_token_is_asked_for_only_when_the_server_wants_one(open_page, serving):
    page = open_page(complaints=(401,))
    expect(page.locator("#control-cfg_scale")).to_be_attached()
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
    expect(page.locator("#text")).to_be_focused()
    generate(page)
    expect(result(page, status="succeeded")).to_be_visible()
    with page.expect_download():
        page.get_by_role("button", name="wav", exact=True).click()
    expect(page.locator("button[aria-disabled=false]:focus")).to_have_text("wav")
    kept = page.evaluate("[JSON.stringify(sessionStorage), JSON.stringify(localStorage)]")
    assert ["sesame" in storage for storage in kept] == [True, False]


def test_one_announcer_is_there_from_the_start_and_says_why_it_failed(open_page):
    page = open_page(complaints=(BROKEN,))
    assert page.evaluate("announcer === document.querySelector('body > p.unseen + main').previousElementSibling")
    assert page.locator("[role=status]").count() == 1
    generate(page, "[S1] This will fail.")
    expect(page.get_by_role("status")).to_have_text(f"Failed. {ENDED_BADLY}")
    expect(page.get_by_role("alert").filter(has_text=ENDED_BADLY)).to_be_visible()


def test_the_waveform_says_its_place_seldom_while_it_plays_and_at_once_after_a_seek(open_page, serving):
    serving.take(pieces=50)
    page = open_page()
    page.get_by_role("button", name="Listen: ").click()
    expect(result(page, playing="yes").locator("[aria-busy=false]")).to_be_visible()
    count = """async () => {
        let told = 0;
        const changes = new MutationObserver((all) => (told += all.length));
        changes.observe(waveform, { attributeFilter: ["aria-valuetext"] });
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return told;
    }"""
    assert page.evaluate(count) <= 1
    page.locator("#waveform").press("End")
    expect(page.locator("#waveform")).to_have_attribute("aria-valuetext", "0:10.0 of 0:10.0")
    expect(result(page, playing="no")).to_be_visible()


def test_what_hides_at_a_press_hands_the_focus_on(open_page):
    page = open_page()
    settings(page)
    page.fill("#control-cfg_scale", "3")
    page.get_by_role("button", name="Reset Cfg scale").press("Enter")
    expect(page.locator("#control-cfg_scale")).to_be_focused()
    page.get_by_role("button", name="Use an example").press("Enter")
    expect(page.locator("#text")).to_be_focused()


def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_page, serving):
    serving.take("[S1] " + "Unbreakable" * 20)
    page = open_page(viewport=PHONE)
    generate(page, f"[S1] {'Donaudampfschiff' * 10} (laughs)")
    expect(result(page, status="succeeded")).to_be_visible()
    settings(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    outside = """[...document.querySelectorAll("button, input:not([hidden]), textarea, canvas")].filter((node) => {
        const { width, left, right } = node.getBoundingClientRect();
        return width && !node.closest("#cues") && (left < 0 || right > innerWidth);
    }).map((node) => node.outerHTML)"""
    assert page.evaluate(outside) == []
    right = """cues.scrollTo(9999, 0), [cues, cues.lastChild].map((node) => node.getBoundingClientRect().right)"""
    end, last = page.evaluate(right)
    assert last < end - 0.12 * page.locator("#cues").bounding_box()["width"], "the last cue lies in the shade"


def test_both_colour_schemes_can_be_read_and_less_motion_is_granted(open_page, serving):
    serving.take()
    serving.limit = 0
    backgrounds = set()
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme, reduced_motion="reduce")
        page.fill("#text", SCRIPT)
        card = style(page, ".card", "background-color")
        backgrounds.add(card)
        for text in (".words.speaker-1", ".words.speaker-2", ".help", ".take .quiet", "h2"):
            assert contrast(card, style(page, text, "color")) >= 4.5, (scheme, text)  # WCAG 2.2, 1.4.3
        for part in ("--wave", "--wave-heard", "--ink", "--edge"):
            assert contrast(card, style(page, "#waveform", part)) >= 3, (scheme, part)  # WCAG 2.2, 1.4.11
        generate(page)
        expect(result(page, playing="waiting").locator("#play")).to_have_css("animation-name", "none")
    assert len(backgrounds) == 2
