"""Loudness by ITU-R BS.1770 (LUFS), measured by ffmpeg, and audio brought to a wanted one.

Needs the whole audio at once. Works on any float32 [C, L]; knows no stream.
"""

import json
import math
from dataclasses import dataclass

import numpy as np

from models.audio.ffmpeg_process import FfmpegProcess, ffmpeg_command
from models.audio.limiter import limit_true_peak
from models.audio.pcm import float_bytes, pcm_input
from models.request import Audio

SHORTEST_SECONDS = 0.4  # one gating block of BS.1770; shorter audio has no loudness
TOLERANCE_LU = 0.1  # well below the half unit that anyone hears
LIMITER_ROUNDS = 4  # limiting lowers the loudness, and more gain means more limiting


@dataclass(frozen=True)
class Loudness:
    """lufs: integrated, gated loudness; −inf for silence. true_peak_db: dBTP, likewise."""

    lufs: float
    true_peak_db: float


def measure_loudness(audio: Audio, sample_rate: int) -> Loudness:
    """Loudness of [C, L]. Raises ParleyError where ffmpeg fails."""
    channels = audio.shape[0]
    measured = pcm_input(sample_rate, channels).filter("loudnorm", print_format="json").output("pipe:1", f="null")
    with FfmpegProcess(ffmpeg_command(measured, loglevel="info"), has_input=True) as process:
        process.push(float_bytes(audio))
        process.flush()
        report = json.loads(process.log[process.log.rindex("{") : process.log.rindex("}") + 1])
    return Loudness(float(report["input_i"]), float(report["input_tp"]))


def normalise_loudness(audio: Audio, sample_rate: int, target_lufs: float = -16.0, true_peak_db: float = -1.0) -> Audio:
    """Bring [C, L] to `target_lufs`, with no true peak above `true_peak_db`.

    One gain for the whole where its peaks allow; else peaks are limited, in rounds, until the loudness is met within
    0.1 LU or as near as limiting comes. Silence, and audio under 0.4 s, which has no loudness, return as they are.
    """
    if audio.shape[1] < SHORTEST_SECONDS * sample_rate:
        return audio
    before = measure_loudness(audio, sample_rate)
    if math.isinf(before.lufs):
        return audio
    gain_db = target_lufs - before.lufs
    if before.true_peak_db + gain_db <= true_peak_db:
        return _amplify(audio, gain_db)
    return _limit_to(audio, sample_rate, target_lufs, true_peak_db, gain_db)


def _limit_to(audio: Audio, sample_rate: int, target_lufs: float, true_peak_db: float, gain_db: float) -> Audio:
    for _ in range(LIMITER_ROUNDS):
        limited = limit_true_peak(_amplify(audio, gain_db), sample_rate, true_peak_db)
        missing = target_lufs - measure_loudness(limited, sample_rate).lufs
        if missing <= TOLERANCE_LU:
            break
        gain_db += missing
    return limited


def _amplify(audio: Audio, gain_db: float) -> Audio:
    return (audio * 10 ** (gain_db / 20)).astype(np.float32)
