"""What talks to the page, who writes it down, an account of what a browser opened. Knows no service."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.realtime.audio_formats import Sound

LONG = 400  # ms: more than a short press

VOICE = 330.0  # Hz, of the tone that Chromium's microphone hears

WATCH = """() => {
    window.opened = { streams: [], contexts: [], sockets: [], sent: [] };
    const { mediaDevices } = navigator;
    const lend = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wanted) => {
        const stream = await lend(wanted);
        opened.streams.push(stream);
        return stream;
    };
    window.AudioContext = class extends AudioContext {
        constructor(options) {
            super(options);
            opened.contexts.push(this);
        }
    };
    window.WebSocket = class extends WebSocket {
        constructor(url, protocols) {
            super(url, protocols);
            opened.sockets.push(this);
        }
        send(text) {
            opened.sent.push(JSON.parse(text).type);
            super.send(text);
        }
    };
}"""
LEFT = """() => [
    ...opened.streams.flatMap((stream) => stream.getTracks()).filter((track) => track.readyState !== "ended"),
    ...opened.contexts.filter((context) => context.state !== "closed"),
    ...opened.sockets.filter((socket) => socket.readyState < WebSocket.CLOSING),
].length"""


def speech(sample_rate: int) -> np.ndarray:
    """A second of a tone for want of a voice, 16-bit; in syllables, as a browser suppresses what only hums."""
    times = np.arange(sample_rate) / sample_rate
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * times)
    return (0.8 * 32767 * syllables * np.sin(2 * np.pi * VOICE * times)).astype("<i2")


@dataclass
class Words:
    """A segment of a transcript."""

    text: str


@dataclass
class Clerk:
    """Writes down what a test says was said; from the second segment on, when the test lets it."""

    said: list[str] = field(default_factory=lambda: ["Good.", "Day."])
    heard: list[Sound] = field(default_factory=list)  # at 16 kHz
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def transcribe(self, sound: Sound, *wanted: Any, **options: Any) -> Iterator[Words]:
        self.heard.append(sound)
        for number, text in enumerate(self.said):
            assert number == 0 or self.may_go_on.wait(20)
            yield Words(text)


def talk(page: Any, state: str) -> Any:
    """The card, in that state."""
    return page.locator(f"#talk[data-talk={state}]")


def button(page: Any) -> Any:
    return page.get_by_role("button", name="Hold to talk")


def say(page: Any, key: str = " ") -> None:
    """Hold the button by a key for as long as a word takes."""
    button(page).focus()
    page.keyboard.down(key)
    talk(page, "listening").wait_for()
    page.wait_for_timeout(LONG)
    page.keyboard.up(key)
