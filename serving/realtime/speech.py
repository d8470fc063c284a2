"""An order to say something → pieces of sound, from the engine of this process while it still generates.

Not through the queue of predictions: nobody looks back at what a socket has said, and each step on the way would be
heard as a pause. What leaves is what the engine makes, at another speed if that is wished, at the rate of the wire.
"""

import math
from collections.abc import Generator
from contextlib import ExitStack

import numpy as np

from models.engine import Engine
from models.inputs import LONGEST_TOKENS
from models.request import AudioGenerationRequest, GenerationStatus, SamplingParams
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
        sampling_params=SamplingParams(
            max_new_tokens=LONGEST_TOKENS
        ),  # fewer would be refused: what is to be cut is cut here
        buffer_speech_tokens=order.continues,
    )
    with ExitStack() as stack:
        most_seconds = math.inf if order.most_tokens is None else order.most_tokens / pipeline.frame_rate
        rendering = WireRendering(pipeline.sample_rate, order.wire.rate, order.speed, most_seconds)
        stack.enter_context(rendering)
        for chunk in stack.enter_context(engine.stream(request)):
            samples = rendering.push(chunk.audio)
            if chunk.is_done or rendering.is_cut:
                samples = np.concatenate([samples, rendering.flush()])
            if rendering.is_cut:
                assert order.most_tokens is not None
                yield Spoken(samples, chunk.progress, order.most_tokens, cut_short=True)
                return
            cut_short = chunk.status is GenerationStatus.MAXIMUM_LENGTH
            yield Spoken(samples, chunk.progress, chunk.steps_executed, chunk.buffer_speech_tokens, cut_short)
