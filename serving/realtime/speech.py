"""An order to say something → pieces of sound, from the engine of this process while it still generates.

Not through the queue of predictions: nobody looks back at what a socket has said, and each step on the way would be
heard as a pause. What leaves is what the engine makes, at another speed if that is wished, at the rate of the wire.
"""

import math
from collections.abc import Generator
from contextlib import ExitStack

import numpy as np

from models.engine import Engine, Pipeline
from models.inputs import LONGEST_TOKENS
from models.request import AudioGenerationRequest, GenerationStatus, SamplingParams
from serving.realtime.drawn_voice import Drawing
from serving.realtime.wire_rendering import WireRendering
from serving.realtime.workers import HandedOn, SpeechOrder, Spoken, VoicePrompt


def speak(order: SpeechOrder, engine: Engine) -> Generator[Spoken]:
    """Blocks while the engine works; closing it cancels the request. Raises ParleyError."""
    pipeline = engine.pipeline
    voice = order.continues.voice if order.continues is not None else None
    drawing = Drawing(voice, order.text) if pipeline.draws_voices and order.prompt is None else None
    with ExitStack() as stack:
        most_seconds = math.inf if order.most_tokens is None else order.most_tokens / pipeline.frame_rate
        rendering = WireRendering(pipeline.sample_rate, order.wire.rate, order.speed, most_seconds)
        stack.enter_context(rendering)
        for chunk in stack.enter_context(engine.stream(_request(order, pipeline))):
            samples = rendering.push(chunk.audio)
            if chunk.is_done or rendering.is_cut:
                samples = np.concatenate([samples, rendering.flush()])
            if rendering.is_cut:
                assert order.most_tokens is not None
                yield Spoken(samples, chunk.progress, order.most_tokens, cut_short=True)
                return
            handed_on = HandedOn(chunk.buffer_speech_tokens, drawing.push(chunk) if drawing is not None else voice)
            cut_short = chunk.status is GenerationStatus.MAXIMUM_LENGTH
            yield Spoken(samples, chunk.progress, chunk.steps_executed, handed_on, cut_short)


def _request(order: SpeechOrder, pipeline: Pipeline) -> AudioGenerationRequest:
    before, prompt = order.continues, order.prompt
    if prompt is None and before is not None and before.voice is not None:
        prompt = VoicePrompt(before.voice.file, before.voice.words)
    return AudioGenerationRequest(
        request_id=order.id,
        model=pipeline.name,
        input=order.text,
        audio_prompt=prompt.audio if prompt else None,
        audio_prompt_transcription=prompt.transcript if prompt else "",
        # Fewer would be refused: what is to be cut is cut here.
        sampling_params=SamplingParams(max_new_tokens=LONGEST_TOKENS),
        buffer_speech_tokens=before.codes if before else None,
    )
