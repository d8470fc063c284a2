"""Is a finished take good, and which seed does the next one have? Knows audio and seconds; no model, no words.

Dia at times ends after a few frames, speaks noise for minutes, or lets a tone or noise follow the last word
(nari-labs/dia, issues 67, 147, 271 and 291). Each rule below finds one of these. A wrong alarm costs a whole
generation, so the thresholds are loose: what they let through may still be bad, what they catch is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.request import SEED_LIMIT, Audio

SHORTEST_SECONDS = 0.3  # no word is shorter
SHORTEST_SHARE = 0.25  # of the expected duration
LONGEST_SHARE = 3.0
LONGEST_EXTRA_SECONDS = 3.0  # short texts have long breaths
RUN_ON_EXTRA_SECONDS = 6.0  # generation stops here; between the two limits a take is complete, but too long

FRAME_SECONDS = 0.05  # long enough for the level of a voice to be steady within it
SILENCE_DBFS = -55.0
SILENCE_BELOW_SPEECH_DB = 45.0
LONGEST_PAUSE_SECONDS = 4.0

# A steady tail. Over 1.5 s the level of a band varies by 5.5 dB or more (standard deviation, mean over the bands
# that matter) anywhere in 257 recordings and 60 synthetic utterances; by at most 4 dB in noise of any colour, hum,
# tones and chords. Cut off at each of 10,712 places, none of the recordings and utterances trips the rule.
TAIL_SECONDS = 1.5
TAIL_BAND_DEVIATION_DB = 4.0
TAIL_LEVEL_DEVIATION_DB = 3.0
TAIL_DBFS = -50.0
TAIL_BELOW_SPEECH_DB = 30.0  # room noise that is fainter disturbs nobody
TAIL_ABOVE_FLOOR_DB = 6.0  # noise as loud in the pauses before is the room's
TAIL_FADE_FRAMES = 2
BANDS = 16
BAND_RANGE_DB = 20.0  # bands fainter than the loudest by more do not matter
BAND_LIMITS_HZ = (80.0, 8000.0)

FULL_SCALE = 0.99  # the codec ends in a tanh, which does not reach 1
CLIPPED_SHARE = 0.05

TAKE_STEP = 0x9E3779B9  # 2³² / golden ratio: odd, so that its multiples modulo 2³² are distinct
PASSAGE_STEP = 0x85EBCA6B  # odd, and no small multiple of TAKE_STEP

Levels = npt.NDArray[np.float64]  # [frames], dBFS


@dataclass(frozen=True, eq=False)
class TakeFacts:
    """A take and what was known of it before."""

    audio: Audio  # [C, L]
    sample_rate: int  # Hz
    expected_seconds: float
    ended: bool  # the model ended it; False: it was stopped at a limit

    @property
    def seconds(self) -> float:
        return self.audio.shape[-1] / self.sample_rate


Rule = Callable[[TakeFacts], str | None]


def judge(facts: TakeFacts) -> str | None:
    """What is wrong with a take, as the end of a sentence that begins with "it"; None if it is good."""
    return next((reason for rule in RULES if (reason := rule(facts))), None)


def length_limit(expected_seconds: float, frame_rate: float) -> int:
    """Frames after which a take that has not ended is a run-on."""
    return math.ceil((LONGEST_SHARE * expected_seconds + RUN_ON_EXTRA_SECONDS) * frame_rate)


def passage_seed(seed: int, passage: int, take: int) -> int:
    """Seed of a try at a passage, 32 bits: seed + passage · PASSAGE_STEP + take · TAKE_STEP, modulo 2³².

    The first take of the first passage has `seed` itself. Distinct for 1024 passages and 16 takes of one request.
    """
    return (seed + passage * PASSAGE_STEP + take * TAKE_STEP) & SEED_LIMIT


def _not_finite(facts: TakeFacts) -> str | None:
    return None if np.isfinite(facts.audio).all() else "holds samples that are no numbers"


def _too_short(facts: TakeFacts) -> str | None:
    if facts.seconds >= max(SHORTEST_SECONDS, SHORTEST_SHARE * facts.expected_seconds):
        return None
    return f"ended after {facts.seconds:.2g} s of an expected {facts.expected_seconds:.2g} s"


def _no_end(facts: TakeFacts) -> str | None:
    return None if facts.ended else f"did not end within {facts.seconds:.1f} s"


def _too_long(facts: TakeFacts) -> str | None:
    if facts.seconds <= LONGEST_SHARE * facts.expected_seconds + LONGEST_EXTRA_SECONDS:
        return None
    return f"lasts {facts.seconds:.1f} s, expected were {facts.expected_seconds:.1f} s"


def _silent(facts: TakeFacts) -> str | None:
    level = 10 * np.log10(np.mean(10 ** (_levels(facts) / 10)))
    return f"is silent ({level:.0f} dBFS)" if level < SILENCE_DBFS else None


def _dead_air(facts: TakeFacts) -> str | None:
    """Silence at the very end does no harm: it is trimmed."""
    sounding = np.flatnonzero(_is_sounding(_levels(facts)))
    pause = np.diff(sounding, prepend=-1).max() - 1
    seconds = float(pause * FRAME_SECONDS)
    return f"is silent for {seconds:.1f} s before its end" if seconds > LONGEST_PAUSE_SECONDS else None


def _steady_tail(facts: TakeFacts) -> str | None:
    levels = _levels(facts)
    end = int(np.flatnonzero(_is_sounding(levels))[-1]) + 1 - TAIL_FADE_FRAMES
    start = end - round(TAIL_SECONDS / FRAME_SECONDS)
    if start < 0 or not _is_steady(facts, levels, start, end):
        return None
    level = levels[start:end].mean()
    while start > 0 and abs(levels[start - 1] - level) < 2 * TAIL_LEVEL_DEVIATION_DB:
        start -= 1
    before = levels[:start]
    if start and level < max(
        TAIL_DBFS,
        np.percentile(before, 90) - TAIL_BELOW_SPEECH_DB,
        np.percentile(before, 5) + TAIL_ABOVE_FLOOR_DB,
    ):
        return None
    return f"ends in {(end - start) * FRAME_SECONDS:.1f} s of steady noise or tone"


def _clipped(facts: TakeFacts) -> str | None:
    share = float(np.mean(np.abs(facts.audio) >= FULL_SCALE))
    return f"is clipped in {share:.0%} of its samples" if share > CLIPPED_SHARE else None


RULES: tuple[Rule, ...] = (
    _not_finite,
    _too_short,
    _no_end,
    _too_long,
    _silent,
    _dead_air,
    _steady_tail,
    _clipped,
)


def _frames(facts: TakeFacts) -> npt.NDArray[np.float64]:
    """The channels' mean in frames of FRAME_SECONDS: [frames, samples]; an incomplete last frame is left out."""
    size = round(FRAME_SECONDS * facts.sample_rate)
    mono = facts.audio.mean(axis=0, dtype=np.float64)
    return mono[: len(mono) // size * size].reshape(-1, size)


def _levels(facts: TakeFacts) -> Levels:
    power = _frames(facts).var(axis=1)  # variance: a constant offset is not sound
    return 10 * np.log10(power + 1e-12)


def _is_sounding(levels: Levels) -> npt.NDArray[np.bool_]:
    """True where there is sound; somewhere in every take that is not silent."""
    return levels >= max(SILENCE_DBFS, np.percentile(levels, 95) - SILENCE_BELOW_SPEECH_DB)


def _is_steady(facts: TakeFacts, levels: Levels, start: int, end: int) -> bool:
    if levels[start:end].std() > TAIL_LEVEL_DEVIATION_DB:
        return False
    bands = _band_levels(_frames(facts)[start:end], facts.sample_rate)
    means = bands.mean(axis=0)
    return bool(bands[:, means > means.max() - BAND_RANGE_DB].std(axis=0).mean() <= TAIL_BAND_DEVIATION_DB)


def _band_levels(frames: npt.NDArray[np.float64], sample_rate: int) -> npt.NDArray[np.float64]:
    """[frames, samples] → [frames, BANDS] in dB, bands of equal width on a logarithmic scale."""
    _, size = frames.shape
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size))) ** 2
    low, high = BAND_LIMITS_HZ
    edges = np.geomspace(low, min(high, sample_rate / 2), BANDS + 1)
    # Narrow bands at the bottom share a bin rather than being empty.
    bins = np.searchsorted(np.fft.rfftfreq(size, 1 / sample_rate), edges)
    power = np.add.reduceat(spectrum[:, : bins[-1]], bins[:-1], axis=1)
    return 10 * np.log10(power + 1e-9)
