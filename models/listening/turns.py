"""Whether a turn sounds finished: Smart Turn 3.2. A hint how long to wait for more words; silence is what ends a turn.

The network hears a turn's last eight seconds as Whisper's spectrogram, and has learnt how people end: tone, filler
words, half sentences. It is wrong at times, either way, so that nobody should be cut off, nor kept waiting for ever, by
its word alone. Knows no voice activity.
Source: pipecat-ai/smart-turn; the network comes in the wheel of pipecat-ai (BSD-2-Clause).
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from models.listening.packaged import PackagedFile
from models.listening.resample import Samples

if TYPE_CHECKING:
    from faster_whisper.feature_extractor import FeatureExtractor
    from onnxruntime import InferenceSession

SAMPLE_RATE = 16_000  # Hz
HEARD_SECONDS = 8
_HEARD = HEARD_SECONDS * SAMPLE_RATE  # samples
_VARIANCE_FLOOR = 1e-7  # of the features that the network was trained on

NETWORK = PackagedFile(
    purpose="The semantic end of turn",
    package="pipecat",
    path="audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
    distribution="pipecat-ai",
    install="pip install --no-deps -r requirements-listening.txt",
)


class EndOfTurn:
    """How likely a turn is over. For any number of threads; its network is loaded at first use, in 0.1 s."""

    def probability(self, samples: Samples) -> float | None:
        """[L] at 16 kHz, the turn so far with a bit of the pause → 0–1, in about 0.1 s; None without the network."""
        assert samples.ndim == 1, samples.shape
        session = _session()
        if session is None:
            return None
        (answer,) = session.run(None, {"input_features": spectrogram(samples)[None]})
        return float(answer.reshape(-1)[0])


def spectrogram(samples: Samples) -> Samples:
    """[L] → log-mel features [80, 800] of the last 8 s, silence in front of less; levels do not matter."""
    heard = samples[-_HEARD:].astype(np.float32, copy=False)
    heard = np.pad(heard, (_HEARD - heard.size, 0))
    normal = (heard - heard.mean()) / np.sqrt(heard.var() + _VARIANCE_FLOOR)
    return _features()(normal, padding=0).astype(np.float32)


@cache
def _features() -> "FeatureExtractor":
    from faster_whisper.feature_extractor import FeatureExtractor  # late: it brings all of CTranslate2

    return FeatureExtractor(chunk_length=HEARD_SECONDS)


@cache
def _session() -> "InferenceSession | None":
    """The network, once a process: a run changes nothing in it."""
    if (file := NETWORK.find()) is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
