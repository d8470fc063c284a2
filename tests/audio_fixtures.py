"""Signals with known properties, and ffmpeg called plainly, as the judge of what our rooms read and write."""

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 44_100  # Hz


def tone(seconds: float, frequency: float = 220.0, sample_rate: int = RATE, peak: float = 0.4) -> npt.NDArray:
    """A harmonic tone, [1, L]: five overtones that fall off, as a voice has them."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    waves = sum(np.sin(2 * np.pi * k * frequency * time) / k for k in range(1, 6))
    return (peak * waves / np.abs(waves).max()).astype(np.float32)[np.newaxis]


def silence(seconds: float, sample_rate: int = RATE) -> npt.NDArray:
    return np.zeros((1, round(seconds * sample_rate)), np.float32)


def speechlike(seconds: float, sample_rate: int = RATE, seed: int = 0) -> npt.NDArray:
    """[1, L]: a tone that moves, in syllables of 0.2 s of different strength, over faint noise."""
    random = np.random.default_rng(seed)
    length = round(seconds * sample_rate)
    time = np.arange(length) / sample_rate
    phase = 2 * np.pi * np.cumsum(150 + 30 * np.sin(2 * np.pi * 0.7 * time)) / sample_rate
    strength = np.repeat(random.uniform(0.3, 1, length // 1000 + 1), 1000)[:length]
    syllables = np.sin(np.pi * time / 0.2) ** 2 * strength
    voice = sum(np.sin(k * phase) / k for k in range(1, 8))
    return (0.25 * voice * syllables + 1e-3 * random.standard_normal(length)).astype(np.float32)[np.newaxis]


def pieces_of(audio: npt.NDArray, seed: int, largest: int = 9000) -> list[npt.NDArray]:
    """The signal in chunks of random length, empty ones among them."""
    random = np.random.default_rng(seed)
    cuts = np.cumsum(random.integers(0, largest, 2 * audio.shape[1] // largest + 8))
    return np.split(audio, cuts[cuts < audio.shape[1]], axis=1)


def ffmpeg(*arguments: str, data: bytes = b"") -> bytes:
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def make_file(path: Path, audio: npt.NDArray, *options: str, sample_rate: int = RATE) -> Path:
    """Encode [C, L] into `path` with ffmpeg's own choice of everything that `options` leave open."""
    raw = ("-f", "f32le", "-ar", str(sample_rate), "-ac", str(audio.shape[0]), "-i", "pipe:0")
    ffmpeg(*raw, *options, str(path), data=audio.T.astype("<f4").tobytes())
    return path


def decode(file: Path | bytes, sample_rate: int = RATE, channels: int = 1) -> npt.NDArray:
    """[C, L] of a file or its bytes."""
    source, data = ("pipe:0", file) if isinstance(file, bytes) else (str(file), b"")
    raw = ffmpeg("-i", source, "-f", "f32le", "-ar", str(sample_rate), "-ac", str(channels), "pipe:1", data=data)
    return np.frombuffer(raw, "<f4").reshape(-1, channels).T


def pitch(audio: npt.NDArray, sample_rate: int = RATE) -> float:
    """Hz of the strongest repetition between 100 and 500 Hz in the middle second, by autocorrelation."""
    middle = audio.shape[1] // 2
    part = audio[0, max(0, middle - sample_rate // 2) : middle + sample_rate // 2].astype(np.float64)
    spectrum = np.fft.rfft(part, 2 * len(part))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(sample_rate // 500, sample_rate // 100)
    best = lags[np.argmax(correlation[lags])]
    left, top, right = correlation[best - 1 : best + 2]
    return sample_rate / (best + (left - right) / (2 * (left - 2 * top + right)))
