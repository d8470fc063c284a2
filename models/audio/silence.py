"""Hygiene of a voice prompt: where there is voice, where a pause is, how loud the voice is.

Works on levels of short frames, so it calls voice whatever is loud enough; knows no speech and no model.
Levels are dBFS of the RMS of the mean of all channels, any constant offset removed; full scale is ±1.
"""

import numpy as np
import numpy.typing as npt
from librosa.effects import trim

from models.request import Audio

FRAME_LENGTH, HOP_LENGTH = 1024, 256  # samples; 23 and 6 ms at 44.1 kHz, and of use from 16 to 48 kHz
FLOOR_DBFS = -60.0  # nothing below is voice, however quiet the rest
SHORTEST_VOICE_SECONDS = 0.5  # of speech; less carries no voice
VOICE_RANGE_DB = 40.0  # voice reaches this far below the loudest frame
PAUSE_RANGE_DB = 25.0  # a pause need not be silent: breath and room stay well below this
MARGIN_SECONDS = 0.05  # kept on both sides of what trim_silence keeps: quiet consonants
PAUSE_SECONDS = 0.12  # shorter gaps lie within words: the closures of p, t, k last up to about 0.1 s
PAUSE_KEPT_SECONDS = 0.15  # of a pause where audio is cut
EARLIEST_CUT = 0.6  # of the limit; a pause before that costs too much of the recording
CUT_FADE_SECONDS = 0.01
CEILING_DBFS = -1.0  # for the sample peak


def warm_up() -> None:
    """Let librosa compile what it compiles on first use, so that no request waits for it.

    An exception that a server raises into a request's thread to cancel it is also lost inside that compiler.
    """
    trim_silence(np.linspace(-0.5, 0.5, 8192, dtype=np.float32)[None], 44_100)


def is_silent(audio: Audio) -> bool:
    """Whether no frame of [C, L] reaches −60 dBFS; empty audio is silent."""
    return audio.shape[1] == 0 or bool(_frame_dbfs(audio).max() < FLOOR_DBFS)


def voiced_seconds(audio: Audio, sample_rate: int) -> float:
    """Total time of [C, L] within 40 dB of its loudest frame and above −60 dBFS."""
    if is_silent(audio):
        return 0.0
    dbfs = _frame_dbfs(audio)
    voiced = dbfs >= max(dbfs.max() - VOICE_RANGE_DB, FLOOR_DBFS)
    return min(int(voiced.sum()) * HOP_LENGTH, audio.shape[1]) / sample_rate


def trim_silence(audio: Audio, sample_rate: int) -> Audio:
    """Cut silence off both ends of [C, L], 50 ms margins kept. Silent audio becomes [C, 0]."""
    if is_silent(audio):
        return audio[:, :0]
    # With this reference librosa's threshold is 40 dB below the loudest frame, or the floor if that is higher.
    loudest = max(_frame_dbfs(audio).max(), FLOOR_DBFS + VOICE_RANGE_DB)
    _, (start, end) = trim(
        _centred(audio).astype(np.float32),
        top_db=VOICE_RANGE_DB,
        ref=10 ** (loudest / 20),
        frame_length=FRAME_LENGTH,
        hop_length=HOP_LENGTH,
    )
    margin = round(MARGIN_SECONDS * sample_rate)
    return audio[:, max(0, start - margin) : end + margin]


def cut_at_pause(audio: Audio, sample_rate: int, max_seconds: float) -> Audio:
    """At most `max_seconds` of the beginning of [C, L]; audio that is no longer returns as it is.

    Cuts in the last pause that begins in the final 40 % before the limit, and keeps 0.15 s of it; without one, cuts
    at the limit and fades the last 10 ms.
    """
    limit = int(max_seconds * sample_rate)
    if audio.shape[1] <= limit:
        return audio
    pauses = [(start, end) for start, end in _pauses(audio, sample_rate) if EARLIEST_CUT * limit <= start < limit]
    if pauses:
        start, end = pauses[-1]
        return audio[:, : min(end, limit, start + round(PAUSE_KEPT_SECONDS * sample_rate))]
    cut = audio[:, :limit].copy()
    length = min(limit, round(CUT_FADE_SECONDS * sample_rate))
    cut[:, limit - length :] *= np.linspace(1, 0, length, dtype=np.float32)
    return cut


def level(audio: Audio, target_dbfs: float = -20.0) -> Audio:
    """One gain for [C, L], so that the frames within 40 dB of its loudest have an RMS of `target_dbfs`, or as near as
    a peak of −1 dBFS allows. Silent audio returns as it is.
    """
    if is_silent(audio):
        return audio
    dbfs = _frame_dbfs(audio)
    # No floor here: a faint recording gets the gain that the same one, louder, would need less of.
    voiced_dbfs = 10 * np.log10(np.mean(10 ** (dbfs[dbfs >= dbfs.max() - VOICE_RANGE_DB] / 10)))
    peak_dbfs = 20 * np.log10(np.abs(audio).max())
    gain_db = min(target_dbfs - voiced_dbfs, CEILING_DBFS - peak_dbfs)
    return (audio * 10 ** (gain_db / 20)).astype(np.float32)


def _centred(audio: Audio) -> npt.NDArray[np.float64]:
    """[C, L] → [L], the mean of the channels without its own mean: a constant offset is no sound."""
    mono = audio.mean(axis=0, dtype=np.float64)
    return mono - mono.mean()


def _frame_dbfs(audio: Audio) -> npt.NDArray[np.float64]:
    """Level of each frame; frame i starts at sample i · HOP_LENGTH, and the last ones are filled with zeros."""
    squares = np.pad(_centred(audio) ** 2, (1, FRAME_LENGTH))
    total = np.cumsum(squares)
    starts = np.arange(0, audio.shape[1], HOP_LENGTH)
    energy = total[starts + FRAME_LENGTH] - total[starts]
    return 10 * np.log10(np.maximum(energy / FRAME_LENGTH, 1e-12))


def _pauses(audio: Audio, sample_rate: int) -> list[tuple[int, int]]:
    """(start, end) samples of the gaps of at least 0.12 s that lie 25 dB below the loudest frame, in order."""
    dbfs = _frame_dbfs(audio)
    quiet = dbfs < max(dbfs.max() - PAUSE_RANGE_DB, FLOOR_DBFS)
    edges = np.flatnonzero(np.diff(np.pad(quiet.astype(np.int8), 1))).reshape(-1, 2)  # frames: first, one past last
    # The first quiet frame lies wholly in the pause, and so does the last one, which ends a frame's length later.
    spans = [(first * HOP_LENGTH, (past - 1) * HOP_LENGTH + FRAME_LENGTH) for first, past in edges.tolist()]
    return [(start, end) for start, end in spans if end - start >= PAUSE_SECONDS * sample_rate]
