"""An order to say something → pieces of sound, from the engine of this process while it still generates.

Not through the queue of predictions: nobody looks back at what a socket has said, and each step on the way would be
heard as a pause. What leaves is what the engine makes, at another speed if that is wished, at the rate of the wire.
"""

from collections.abc import Generator
from contextlib import ExitStack

import numpy as np
import soxr

from models.audio.finish import Finisher, FinishOptions
from models.audio.limiter import soft_limit
from models.engine import Engine
from models.inputs import LONGEST_TOKENS
from models.request import Audio, AudioChunk, AudioGenerationRequest, GenerationStatus, SamplingParams
from serving.realtime.audio_formats import Samples, to_samples
from serving.realtime.workers import SpeechOrder, Spoken


def speak(order: SpeechOrder, engine: Engine) -> Generator[Spoken]:
    """Blocks while the engine works; closing it cancels the request. Raises ParleyError."""
    pipeline = engine.pipeline
    request = AudioGenerationRequest(
        request_id=order.id,
        model=pipeline.name,
        input=order.text,
        audio_prompt=order.prompt.audio if order.prompt else None,
        audio_prompt_transcription=order.prompt.transcript if order.prompt else "",
        sampling_params=SamplingParams(max_new_tokens=order.most_tokens or LONGEST_TOKENS),
        buffer_speech_tokens=order.continues,
    )
    with ExitStack() as stack:
        rendering = stack.enter_context(_Rendering(pipeline.sample_rate, order))
        for chunk in stack.enter_context(engine.stream(request)):
            samples = rendering.push(chunk.audio)
            if chunk.is_done:
                samples = np.concatenate([samples, rendering.flush()])
            yield _spoken(samples, chunk)


def _spoken(samples: Samples, chunk: AudioChunk) -> Spoken:
    cut_short = chunk.status is GenerationStatus.MAXIMUM_LENGTH
    return Spoken(samples, chunk.progress, chunk.steps_executed, chunk.buffer_speech_tokens, cut_short)


class _Rendering:
    """What the engine makes, as the wire wants it; the same samples however it is cut. Use it in a `with`."""

    def __init__(self, made_rate: int, order: SpeechOrder) -> None:
        # At its own speed it is not finished: fades at its edges would be heard where one response continues another.
        options = FinishOptions(speed_factor=order.speed)
        self._finisher = Finisher(options, made_rate, 1) if order.speed != 1 else None
        self._resampler = soxr.ResampleStream(made_rate, order.wire.rate, 1, dtype="float32", quality="HQ")

    def __enter__(self) -> "_Rendering":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._finisher is not None:
            self._finisher.close()

    def push(self, audio: Audio) -> Samples:
        """[C, L] → [M]"""
        mono = audio.mean(axis=0, keepdims=True) if audio.shape[0] > 1 else audio
        return self._wired(self._finisher.push(mono) if self._finisher is not None else mono)

    def flush(self) -> Samples:
        rest = self._finisher.flush() if self._finisher is not None else np.zeros((1, 0), np.float32)
        return self._wired(rest, last=True)

    def _wired(self, audio: Audio, *, last: bool = False) -> Samples:
        return to_samples(soft_limit(self._resampler.resample_chunk(audio[0], last=last)[np.newaxis])[0])
