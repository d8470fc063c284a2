"""What is heard in each frame of 512 samples at 44.1 kHz: spectral envelope, pitch and its phase, level. Numpy only.

The envelope leaves pitch out (the high cepstral coefficients), so that pitch can have codes of its own.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from training.frames import FRAME, SAMPLE_RATE

Floats = npt.NDArray[np.float32]

MEL_BANDS, CEPSTRA = 80, 24
MEL_LOW, MEL_HIGH = 30.0, 11025.0  # Hz; the teachers speak no higher
WINDOW = 1024  # samples
FLOOR = 1e-3  # of magnitude: 60 dB below a full-scale band

PITCH_LOW, PITCH_HIGH = 60.0, 500.0  # Hz
PITCHES = 63  # on a logarithmic scale: 3.4 % apart
_RATE = SAMPLE_RATE // 4  # for pitch
_PITCH_WINDOW = 512  # samples at that rate: 46 ms
VOICED = 0.55  # normalised correlation from which a frame has a pitch
_JUMP = 0.04  # cost of a step on the scale, in correlation
PHASES, BANDS = 32, 15  # of a period; of the scale of pitches
_PHASE_PERIODS = 3  # that a phase is measured over


def envelope(audio: Floats) -> Floats:
    """[frames, CEPSTRA]: orthonormal cepstrum of the log mel spectrum, in nepers: as far apart as spectra."""
    spectra = np.abs(np.fft.rfft(_frames(audio, WINDOW, FRAME) * np.hanning(WINDOW), axis=1))
    mel = np.log(np.maximum(spectra @ mel_bank().T, FLOOR))
    return scipy.fft.dct(mel, axis=1, norm="ortho")[:, :CEPSTRA].astype(np.float32)


def level(audio: Floats) -> Floats:
    """[frames]: root mean square in decibels of full scale, no less than -80."""
    power = np.mean(_frames(audio, WINDOW, FRAME) ** 2, axis=1)
    return (10 * np.log10(np.maximum(power, 1e-8))).astype(np.float32)


def pitch(audio: Floats) -> npt.NDArray[np.int64]:
    """[frames]: 0 without pitch, else 1 + the index on the scale of PITCHES."""
    low = scipy.signal.resample_poly(audio, 1, 4).astype(np.float32)
    correlation = _correlation(low, len(audio) // FRAME)
    path = _smooth_path(correlation)
    heard = correlation[np.arange(len(path)), path] > VOICED
    loud = level(audio) > -55
    return np.where(heard & loud, path + 1, 0)


def phase(audio: Floats, pitches: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """[frames]: 0 without pitch, else 1 + PHASES * the band of the pitch + the phase in the middle of the frame.

    pitches: of each frame, as `pitch` gives them. Of the negative half waves: they are strongest at the glottal pulses,
    and periodic even where a microphone's high-pass filter has taken the fundamental away.
    """
    half_waves = np.maximum(-audio, 0)
    cycles = np.zeros(len(pitches))
    for value in np.unique(pitches[pitches > 0]):
        at = np.flatnonzero(pitches == value)
        cycles[at] = _cycles(half_waves, at * FRAME + FRAME // 2, scale()[value - 1])
    phases = np.round(cycles % 1 * PHASES).astype(np.int64) % PHASES
    return np.where(pitches > 0, 1 + band_of(pitches) * PHASES + phases, 0)


def band_of(pitches: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The band of each pitch but 0: neighbours on the scale share one."""
    return (pitches - 1) * BANDS // PITCHES


def band_middles() -> npt.NDArray[np.float64]:
    """[BANDS]: the mean of the pitches of each band, in Hz."""
    bands = band_of(np.arange(1, PITCHES + 1))
    return np.bincount(bands, scale()) / np.bincount(bands)


def _cycles(signal: Floats, middles: npt.NDArray[np.int64], hertz: float) -> npt.NDArray[np.float64]:
    """[len(middles)]: the phase of the partial at `hertz` around each sample of `middles`, in periods."""
    side = round(_PHASE_PERIODS * SAMPLE_RATE / hertz / 2)
    seconds = np.arange(-side, side + 1) / SAMPLE_RATE
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(signal, side), 2 * side + 1)[middles]
    return np.angle(windows @ (np.hanning(2 * side + 1) * np.exp(-2j * np.pi * hertz * seconds))) / (2 * np.pi)


def scale() -> npt.NDArray[np.float64]:
    """The pitches in Hz."""
    return np.geomspace(PITCH_LOW, PITCH_HIGH, PITCHES)


@cache
def mel_bank(window: int = WINDOW, bands: int = MEL_BANDS) -> Floats:
    """[bands, window // 2 + 1]: triangles of unit sum."""
    edges = _hertz(np.linspace(_mel(MEL_LOW), _mel(MEL_HIGH), bands + 2))
    at = np.fft.rfftfreq(window, 1 / SAMPLE_RATE)
    rise = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(rise, fall))
    return (bank / (bank.sum(axis=1, keepdims=True) + 1e-9)).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def _frames(audio: Floats, window: int, hop: int, count: int = 0) -> Floats:
    """[frames, window]: around the middle of each hop, with silence beyond the ends."""
    count = count or len(audio) // hop
    side = (window - hop) // 2
    padded = np.pad(audio, (side, window))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:count]


def _correlation(low: Floats, frames: int) -> Floats:
    """[frames, PITCHES]: normalised cross-correlation of each frame with itself one period later."""
    longest = int(np.ceil(_RATE / PITCH_LOW)) + 1
    size = scipy.fft.next_fast_len(_PITCH_WINDOW + 2 * longest)
    # The frame and what follows it, centred together on the frame's middle.
    wide = _frames(low, _PITCH_WINDOW + longest, FRAME // 4, frames)
    wide = wide - wide.mean(axis=1, keepdims=True)
    near = wide[:, :_PITCH_WINDOW]
    spectrum = scipy.fft.rfft(wide, size, axis=1) * np.conj(scipy.fft.rfft(near, size, axis=1))
    products = scipy.fft.irfft(spectrum, size, axis=1)[:, : longest + 1]
    squares = np.cumsum(np.pad(wide**2, ((0, 0), (1, 0))), axis=1)
    energy = squares[:, _PITCH_WINDOW : _PITCH_WINDOW + longest + 1] - squares[:, : longest + 1]
    normal = products / np.sqrt(energy * energy[:, :1] + 1e-6)
    lags = _RATE / scale()
    whole = np.floor(lags).astype(int)
    part = (lags - whole).astype(np.float32)
    return (normal[:, whole] * (1 - part) + normal[:, whole + 1] * part).astype(np.float32)


def _smooth_path(correlation: Floats) -> npt.NDArray[np.int64]:
    """The path through the scale that trades correlation against jumps; long periods count a little less."""
    # A period's multiples correlate as well as the period itself: prefer the shortest.
    score = correlation - 0.08 * np.linspace(1, 0, PITCHES, dtype=np.float32)
    index = np.arange(PITCHES)
    jumps = _JUMP * np.minimum(np.abs(index[:, None] - index), 12).astype(np.float32)
    best, came_from = score[0], np.zeros(score.shape, np.int64)
    for t in range(1, len(score)):
        reach = best[:, None] - jumps
        came_from[t] = reach.argmax(axis=0)
        best = reach[came_from[t], index] + score[t]
    path = np.zeros(len(score), np.int64)
    path[-1] = best.argmax()
    for t in range(len(score) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path
