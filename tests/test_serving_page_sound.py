"""The page's changes of audio, in a real browser: its resampler, and samples as JSON carries them."""

import numpy as np
import pytest

pytest_plugins = ["serving_page_browser_fixtures"]
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
EDGE = 200  # samples at each end, where a filter still hears silence

RESAMPLE = """async ([from, to, samples, sizes]) => {
    const { Resampler } = await import("/resampler.js");
    const resampler = new Resampler(from, to);
    const all = [];
    let at = 0;
    for (const size of sizes) {
        all.push(...resampler.push(Float32Array.from(samples.slice(at, at + size))));
        at += size;
    }
    return all;
}"""


def sine(frequency, rate, count):
    return np.sin(2 * np.pi * frequency * np.arange(count) / rate)


def test_what_the_lower_rate_can_hold_is_kept_and_what_it_cannot_is_not_heard(open_page):
    page = open_page()
    for rate in (48_000, 44_100, 24_000, 16_000, 8000):
        for frequency in (100, 0.4 * min(rate, 24_000)):
            made = resampled(page, rate, sine(frequency, rate, rate // 4))
            assert abs(len(made) - 6000) <= 30 * max(1, 24_000 / rate)  # what is still to come lies in the filter
            wanted = sine(frequency, 24_000, len(made))
            assert np.abs(made - wanted)[EDGE:-EDGE].max() < 2e-3, (rate, frequency)
    for rate in (48_000, 44_100):
        made = resampled(page, rate, sine(13_500, rate, rate // 4))
        assert np.abs(made[EDGE:-EDGE]).max() < 2e-3, rate  # −54 dB


def resampled(page, rate, samples):
    return np.array(page.evaluate(RESAMPLE, [rate, 24_000, samples.tolist(), [len(samples)]]))


def test_it_makes_the_same_samples_however_they_come(open_page):
    given, page = np.random.default_rng(0).uniform(-1, 1, 3000).tolist(), open_page()
    whole, cut = (
        page.evaluate(RESAMPLE, [44_100, 24_000, given, sizes]) for sizes in ([3000], [1, 127, 128, 7, 2000, 737])
    )
    assert cut == whole
    assert len(whole) > 1600


def test_samples_go_through_json_and_back(open_page):
    through = """async (samples) => {
        const { toBase64, fromBase64 } = await import("/pcm.js");
        const text = toBase64(Int16Array.from([9, ...samples]).subarray(1));
        return [text, [...fromBase64(text)]];
    }"""
    assert open_page().evaluate(through, [1, -2, 32767, -32768]) == ["AQD+//9/AIA=", [1, -2, 32767, -32768]]
