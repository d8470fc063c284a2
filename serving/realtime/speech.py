"""An order to say something → pieces of sound, from the engine of this process while it still generates.

Not through the queue of predictions: nobody looks back at what a socket has said, and each step on the way would be
heard as a pause. What leaves is what the engine makes, at another speed if that is wished, at the rate of the wire.
"""

from collections.abc import Generator
from contextlib import ExitStack

import numpy as np

from models.engine import Engine
from models.inputs import LONGEST_TOKENS
from models.request import AudioChunk, AudioGenerationRequest, GenerationStatus, SamplingParams
from serving.realtime.audio_formats import Samples
from serving.realtime.wire_rendering import WireRendering
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
        rendering = stack.enter_context(WireRendering(pipeline.sample_rate, order.wire.rate, order.speed))
        for chunk in stack.enter_context(engine.stream(request)):
            samples = rendering.push(chunk.audio)
            if chunk.is_done:
                samples = np.concatenate([samples, rendering.flush()])
            yield _spoken(samples, chunk)


def _spoken(samples: Samples, chunk: AudioChunk) -> Spoken:
    cut_short = chunk.status is GenerationStatus.MAXIMUM_LENGTH
    return Spoken(samples, chunk.progress, chunk.steps_executed, chunk.buffer_speech_tokens, cut_short)
