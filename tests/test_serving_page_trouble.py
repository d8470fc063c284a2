"""The page when something goes wrong on the way, before a fake that breaks off as the service does."""

import re

import pytest
from serving_page_actions_fixtures import BROKEN, CUT_SHORT, generate, result
from serving_page_take_fixtures import ENDED_BADLY

pytest_plugins = ["serving_page_browser_fixtures"]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
CREATE = "POST /v1/models/parley/dia/predictions"


def test_a_prediction_that_fails_midway_keeps_its_reason_and_what_was_heard(open_page, serving):
    """The page once fetched such audio five times, and then wrote that the network had failed over the reason."""
    serving.pieces = 6
    page = open_page(complaints=(BROKEN,))
    generate(page, "[S1] This will fail.")
    expect(result(page, status="failed").locator("[aria-busy=false]")).to_be_visible()
    expect(page.locator("#result-error")).to_have_text(ENDED_BADLY)
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:00.6$"))
    assert serving.asked.count("GET /v1/predictions/p1/audio") == 1


def test_a_cancelled_prediction_ends_in_silence(open_page, serving):
    serving.pieces, serving.limit = 20, 5
    page = open_page(complaints=(BROKEN,))
    generate(page)
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:01.0$"))
    page.get_by_role("button", name="Cancel").click()
    expect(result(page, status="canceled", playing="no").locator("[aria-busy=false]")).to_be_visible()
    expect(page.locator("#result-error")).to_be_hidden()
    page.get_by_role("button", name="Show: [S1] Hello there.").click()
    expect(page.locator("#time")).to_have_text("0:00.0 / 0:00.0")
    expect(page.locator("#play")).to_have_attribute("aria-disabled", "true")
    assert serving.asked.count("GET /v1/predictions/p1/audio") == 1


def test_audio_that_has_been_deleted_is_said_once(open_page, serving):
    serving.take()
    serving.audio_is_deleted = True
    page = open_page(complaints=(410,))
    page.get_by_role("button", name="Listen: ").click()
    expect(page.locator("#result-error")).to_have_text("The audio has been deleted. Make it again.")
    assert serving.asked.count("GET /v1/predictions/p1/audio") == 1
    generate(page)
    expect(page.locator("#takes li")).to_have_count(2)


def test_what_is_refused_for_a_while_is_asked_for_again_when_the_server_says(open_page, serving):
    busy = "We are busy. Trying again in 1 s."
    serving.take()
    serving.refusals = {"GET /v1/models": [503], "GET /v1/predictions": [503]}
    page = open_page(complaints=(503, 429))
    expect(page.locator("#problem")).to_have_text(busy)
    expect(page.locator("#history-problem")).to_have_text(busy)
    expect(page.locator("#takes li")).to_have_count(1)
    expect(page.locator("#history-problem")).to_be_hidden()
    serving.pieces, serving.limit = 10, 5
    serving.refusals = {CREATE: [429], "GET /v1/predictions/p2": [503], "GET /v1/predictions/p2/audio": [503]}
    generate(page)
    expect(page.locator("#problem")).to_have_text(busy)
    expect(page.locator("#state")).to_have_text(busy)
    expect(page.locator("#state")).to_have_text("Speaking · 50 % · 1.0 s of audio")
    expect(page.locator("#time")).to_have_text(re.compile(" / 0:01.0$"))
    serving.refusals = {"GET /v1/predictions/p2": [503]}
    page.reload()
    expect(result(page, status="processing")).to_be_visible()
    assert serving.asked.count(CREATE) == 2


def test_patience_has_an_end(open_page):
    ask = """async (retryAfter) => {
        const { patiently } = await import("/patience.js");
        const waits = [];
        window.setTimeout = (resolve, wait) => (waits.push(wait / 1000), resolve());
        const busy = Object.assign(new Error("busy"), { passing: true, retryAfter });
        const error = await patiently(() => Promise.reject(busy)).catch((error) => error);
        return [error.message, waits];
    }"""
    page = open_page()
    assert page.evaluate(ask, None) == ["busy", [1, 2, 4, 8, *[16] * 17]]
    assert page.evaluate(ask, 100) == ["busy", [100, 100, 100]]
    assert page.evaluate(ask, 3600) == ["busy", []]


def test_a_prediction_whose_acceptance_got_lost_is_shown_and_not_asked_for_twice(open_page, serving):
    serving.refusals = {CREATE: [0]}
    page = open_page(complaints=(CUT_SHORT,))
    generate(page)
    expect(page.locator("#problem")).to_contain_text("look below before you generate again")
    expect(page.locator("#takes li")).to_have_count(1)
    assert serving.asked.count(CREATE) == 1
    generate(page)
    expect(result(page, status="succeeded")).to_be_visible()


def test_a_prediction_that_the_server_forgot_leaves_the_page_free(open_page, serving):
    serving.limit = 0
    page = open_page(complaints=(404,))
    generate(page)
    expect(result(page, status="starting")).to_be_visible()
    serving.refusals = {"GET /v1/predictions/p1": [404]}
    expect(page.locator("#result-error")).to_have_text("We are busy.")
    expect(page.locator("#generate")).to_have_attribute("aria-disabled", "false")
