"""A headless Chromium for tests of the page, with what it complained of. Knows no server but the fake."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import serving_page_fixtures as fake
from serving_page_fixtures import FakeServing

from serving.web.middleware import SAFE_HEADERS

PATIENCE = 15_000  # ms; a busy machine is no failure
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),  # a microphone that beeps
]


@pytest.fixture(scope="module")
def more_arguments() -> list[str]:
    """Of Chromium; a module may have its own."""
    return []


@pytest.fixture(scope="module")
def browser(more_arguments):
    """Of each module: while Playwright runs, no other test could start an event loop in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS + more_arguments)
        yield browser
        browser.close()


@pytest.fixture
def serving() -> Iterator[FakeServing]:
    state = FakeServing()
    with fake.running(state):
        yield state


@pytest.fixture
def open_at(browser):
    """Opens an address; at the end, nothing may have been complained of but what a test says it expects."""
    contexts, heard, expected = [], [], []

    def open_(url: str, *, complaints: tuple[str | int, ...] = (), **options: Any) -> Any:
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        expected.extend(map(str, complaints))
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        answer = page.goto(url)
        assert answer.headers["content-security-policy"] == SAFE_HEADERS["Content-Security-Policy"]
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [text for text in heard if not any(known in text for known in expected)] == []


@pytest.fixture
def open_page(serving, open_at):
    """Opens the page of the fake."""

    def open_(**options: Any) -> Any:
        return open_at(serving.url, **options)

    return open_
