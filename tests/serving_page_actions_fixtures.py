"""What tests of the page do in a browser again and again. Knows no server."""

import re
from typing import Any

PHONE = {"width": 390, "height": 844}
SCRIPT = "[S1] Hello there. (laughs) [S2] Hi! (in a whisper)"
BROKEN = "ERR_INCOMPLETE_CHUNKED_ENCODING"  # what Chromium says of a stream that breaks off
CUT_SHORT = "ERR_CONTENT_LENGTH_MISMATCH"  # and of an answer


def generate(page: Any, text: str = SCRIPT) -> None:
    page.fill("#text", text)
    page.get_by_role("button", name="Generate").click()


def turn(page: Any, kind: str) -> None:
    """The switch, to what is to be made."""
    page.locator("#kinds").get_by_text(kind).click()


def settings(page: Any) -> None:
    """Open or close them."""
    page.get_by_role("heading", name="Settings").click()


def result(page: Any, **data: str) -> Any:
    """The result, in that state."""
    return page.locator("#result" + "".join(f"[data-{name}={value}]" for name, value in data.items()))


def style(page: Any, selector: str, what: str) -> str:
    """A computed property of the first of these."""
    return page.locator(selector).first.evaluate(f"node => getComputedStyle(node).getPropertyValue('{what}')")


def contrast(one: str, other: str) -> float:
    """1 to 21, of two opaque colours: WCAG 2.2's definition."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Of rgb(1, 2, 3) or #010203, 0 to 1."""
    parts = [int(part, 16) for part in re.findall("[0-9a-f]{2}", colour)] if colour.startswith("#") else []
    shares = [part / 255 for part in parts or map(int, re.findall(r"\d+", colour)[:3])]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
